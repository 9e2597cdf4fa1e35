"""How many statements approving and publishing cost; imported when the stage stands.

Counted by the server: for this connection it logs every statement that it was asked, so nothing that
a layer of ours does escapes. BEGIN, COMMIT and the task broker's own are told apart.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from django.db import connection
from django.utils import timezone

from publishing.models import QueueItem
from publishing.services import approve_item, publish_item
from publishing.states import State
from tests.benchmarks.figures import Figures
from tests.benchmarks.queues import Site
from tests.benchmarks.stage import Stage
from workspaces.actors import Actor
from workspaces.models import User
from x_integration.client import XClient
from x_integration.models import XAccount

MOST_OF_APPROVE, MOST_OF_PUBLISH, COMMITS = 12, 30, 3
_LINE = re.compile(r"\[(?P<pid>\d+)\] LOG:  (?:statement|execute [^:]*): (?P<words>.*)")
_BROKER, _END = "django_q_", "SET log_statement = 'none'"
_WRITES = ("INSERT", "UPDATE", "DELETE")


@dataclass
class Act:
    """What one act asked of the server."""

    statements: list[str] = field(default_factory=list)
    commits: int = 0

    @classmethod
    def of(cls, lines: list[str]) -> "Act":
        """A write outside a transaction is a commit of its own."""
        act, inside = cls(), False
        for words in lines:
            if words in ("BEGIN", "COMMIT"):
                act.commits += words == "COMMIT"
                inside = words == "BEGIN"
            elif _BROKER not in words:
                act.statements.append(words)
                act.commits += not inside and words.startswith(_WRITES)
        return act


def measure(
    stage: Stage, figures: Figures, *, site: Site, new: XAccount, large: XAccount, rows: int
) -> None:
    """Count in a new account's workspace, and in one that has `rows` items behind it."""
    figures.title(f"Statements: in a workspace of 1 item, and in one of {rows:,}")
    items = {item.workspace_id: item for item in site.items(len(site.accounts))}
    found = [_acts(stage, items[account.workspace_id]) for account in (new, large)]
    for (approve, publish), size in zip(found, ("1 item", f"{rows:,} items"), strict=True):
        _hold(figures, f"approve at {size}", approve, at_most=MOST_OF_APPROVE)
        _hold(figures, f"publish at {size}", publish, at_most=MOST_OF_PUBLISH)
        figures.hold(f"commits of both at {size}", approve.commits + publish.commits, at_most=COMMITS)  # fmt: skip
    (a, b), (c, d) = [[len(act.statements) for act in acts] for acts in found]
    figures.hold("statements that more rows added", abs(c - a) + abs(d - b), at_most=0)


def _acts(stage: Stage, item: QueueItem) -> tuple[Act, Act]:
    person, now = Actor.operator(_person(item), door="admin"), timezone.now()
    approve = partial(approve_item, item.pk, version=1, actor=person, now=now)
    x = XClient()
    publish = partial(publish_item, item.pk, x=x, actor=Actor.worker(), clock=timezone.now)
    acts = _asked(stage.database_log, approve), _asked(stage.database_log, publish)
    item.refresh_from_db()
    if item.state != State.PUBLISHED:
        raise RuntimeError(f"{item} was not published: {item.state} {item.blocked_reason}")
    return acts


def _person(item: QueueItem) -> User:
    return item.workspace.memberships.select_related("user")[0].user


def _asked(log: Path, act: Callable[[], object]) -> Act:
    """What the server was asked while `act` ran."""
    begun = log.stat().st_size
    with _logged():
        act()
    with log.open("rb") as whole:
        whole.seek(begun)
        said = whole.read().decode(errors="replace")
    ours = str(connection.connection.info.backend_pid)
    lines = [found["words"] for found in _LINE.finditer(said) if found["pid"] == ours]
    asked = Act.of([words for words in lines if words != _END])
    if not (asked.statements and asked.commits):
        raise RuntimeError("The server's log does not say what it was asked.")
    return asked


@contextmanager
def _logged() -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("SET log_statement = 'all'")
        yield
        cursor.execute(_END)


def _hold(figures: Figures, what: str, act: Act, *, at_most: int) -> None:
    count = len(act.statements)
    figures.hold(f"statements of {what}", count, at_most=at_most)
    for words in act.statements if count > at_most else ():
        figures.show("", words[:100])
