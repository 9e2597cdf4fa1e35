"""Queues to publish from, and a history behind them; imported when the stage stands.

The history is written by SQL alone, foreign keys unasked, so that a million items take minutes. Each
has its source post, most an approval, an attempt and an audit row too; its audit rows carry no
hashes that would verify, so nothing is verified in its workspace.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any

from django.db import connection
from django.utils import timezone

from publishing.models import Approval, Kind, QueueItem
from publishing.services.approvals import content_hash, snapshot_of
from publishing.states import State
from tests.benchmarks.seeding import AT_ONCE, seed_accounts
from workspaces.audit import GENESIS
from workspaces.models import AuditChain, Membership, User, Workspace
from x_integration.models import SourcePost, XAccount

if TYPE_CHECKING:
    from collections.abc import Iterable

    from x_integration.simulator.process import SimulatorProcess

_EACH_AT_MOST = 8  # replies of a workspace in an hour: the default limit


@dataclass
class Site:
    """Workspaces with an account each, and the one person who decides in all of them."""

    simulator: SimulatorProcess
    person: User
    accounts: list[XAccount]

    @classmethod
    def of(cls, simulator: SimulatorProcess, workspaces: int) -> Site:
        """A new site."""
        newest = XAccount.objects.order_by("-pk").first()
        first = newest.pk + 1 if newest else 1
        expiry = timezone.now() + timedelta(hours=3)
        seed_accounts(simulator, dict.fromkeys(range(first, first + workspaces), expiry))
        accounts = XAccount.objects.filter(pk__gte=first).select_related("workspace").order_by("pk")
        person, _ = User.objects.get_or_create(username="operator")
        site = cls(simulator, person, list(accounts))
        Membership.objects.bulk_create(
            Membership(workspace=account.workspace, user=person, role=Membership.Role.OWNER)
            for account in site.accounts
        )
        AuditChain.objects.bulk_create(
            AuditChain(name=str(account.workspace_id), head_hash=GENESIS)
            for account in site.accounts
        )
        return site

    def items(self, count: int, *, state: State = State.PENDING) -> list[QueueItem]:
        """Replies, the next of every workspace in turn: each to another person's own post.

        Approved ones have their approval, as if each had been approved a minute ago.
        """
        turns = [divmod(number, len(self.accounts)) for number in range(count)]
        if turns and turns[-1][0] >= _EACH_AT_MOST:
            raise ValueError("So many items need more workspaces: an hour takes 8 of each.")
        wanted = [(self.accounts[place], f"person{turn}") for turn, place in turns]
        posts = _said(self.simulator, wanted)
        SourcePost.objects.bulk_create(posts, batch_size=AT_ONCE)
        rows = [self._item(post, state) for post in posts]
        QueueItem.objects.bulk_create(rows, batch_size=AT_ONCE)
        touched = {row.workspace_id: row.workspace for row in rows}
        Workspace.objects.bulk_update(touched.values(), ["last_item_number"], batch_size=AT_ONCE)
        if state == State.APPROVED:
            by_workspace = {account.workspace_id: account for account in self.accounts}
            Approval.objects.bulk_create(
                (_approval(row, by_workspace[row.workspace_id], self.person) for row in rows),
                batch_size=AT_ONCE,
            )
        analyze()
        return rows

    def _item(self, post: SourcePost, state: State) -> QueueItem:
        number = post.workspace.last_item_number = post.workspace.last_item_number + 1
        earlier = timezone.now() - timedelta(minutes=1)
        return QueueItem(
            workspace=post.workspace,
            number=number,
            kind=Kind.REPLY,
            state=state,
            text=f"Thank you for asking, here is answer number {number}.",
            source_post=post,
            origin="template",
            created_at=earlier,
            moved_at=earlier,
            relevant_until=earlier + timedelta(days=7),
        )


def _said(simulator: SimulatorProcess, wanted: list[tuple[XAccount, str]]) -> list[SourcePost]:
    """A mention of each account by each person, at X and as it would have been read from there."""
    people = {name: simulator.make_user(name)["id"] for name in {name for _, name in wanted}}
    line, now = HTTPConnection("127.0.0.1", simulator.port, timeout=30), timezone.now()
    posts = []
    for account, name in wanted:
        text = f"@{account.username} when do you open tomorrow?"
        said = _control(line, "/posts", {"username": name, "text": text})
        posts.append(
            SourcePost(
                workspace=account.workspace,
                x_post_id=said["id"],
                author_id=people[name],
                author_username=name,
                text=text,
                lang="en",
                conversation_id=said["id"],
                posted_at=now,
                eligibility=SourcePost.Eligibility.SUMMONED,
                eligibility_reason="mentioned",
                payload={},
                ingested_at=now,
            )
        )
    line.close()
    return posts


def _control(line: HTTPConnection, path: str, body: dict[str, Any]) -> dict[str, Any]:
    line.request("POST", f"/control{path}", json.dumps(body), {"Content-Type": "application/json"})
    answer = line.getresponse()
    told = json.loads(answer.read())
    if answer.status >= 400:
        raise RuntimeError(f"The local X refused: {told}")
    return dict(told)


def _approval(item: QueueItem, account: XAccount, person: User) -> Approval:
    snapshot, at = snapshot_of(item, account), timezone.now()
    return Approval(
        item=item,
        version=item.version,
        snapshot=snapshot,
        content_hash=content_hash(snapshot),
        approved_by=person,
        door="admin",
        approved_at=at,
        expires_at=at + timedelta(hours=24),
    )


def analyze() -> None:
    """What autovacuum would do a minute later."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


# --- a history ----------------------------------------------------------------------------------

_HISTORY = (
    """CREATE TEMPORARY TABLE history AS
    SELECT n, now() - interval '2 days' - (%(count)s - n) * interval '20 seconds' AS at,
        CASE WHEN n %% 100 < 85 THEN 'published' WHEN n %% 100 < 92 THEN 'rejected'
            WHEN n %% 100 < 96 THEN 'failed' WHEN n %% 100 < 99 THEN 'expired' ELSE 'pending'
        END AS state,
        (1000000000000 + %(post)s + n)::text AS target,
        CASE WHEN n %% 100 < 85 THEN (2000000000000 + %(item)s + n)::text ELSE '' END AS x_post_id
    FROM generate_series(1, %(count)s) n""",
    """INSERT INTO x_integration_sourcepost (id, workspace_id, x_post_id, author_id, author_username,
        text, lang, conversation_id, posted_at, eligibility, eligibility_reason, payload, ingested_at)
    SELECT %(post)s + n, %(workspace)s, target, (n %% 50000)::text, 'person' || n %% 50000,
        'A question, number ' || n, 'en', target, at, 'summoned', 'mentioned', '{}', at
    FROM history""",
    """INSERT INTO publishing_queueitem (id, workspace_id, number, version, kind, state, text,
        source_post_id, origin, template, created_at, moved_at, blocked_reason, block_reasons, tries,
        last_error, last_words, decision_reason, x_post_id, needs_person)
    SELECT %(item)s + n, %(workspace)s, n, 1, 'reply', state, 'An answer, number ' || n,
        %(post)s + n, 'template', '', at, at, '', '[]', 0, '', '', '', x_post_id, false
    FROM history""",
    """INSERT INTO publishing_approval (id, item_id, version, snapshot, content_hash, approved_by_id,
        door, approved_at, expires_at, used_at, voided_at)
    SELECT %(approval)s + n, %(item)s + n, 1, '{}', md5(n::text), %(person)s, 'admin', at,
        at + interval '1 day', CASE WHEN x_post_id <> '' THEN at END,
        CASE WHEN x_post_id = '' THEN at END
    FROM history WHERE state IN ('published', 'failed')""",
    """INSERT INTO publishing_publishattempt (id, workspace_id, item_id, number, approval_id, by_hand,
        on_trial, snapshot, content_hash, kind, target, thread, author_id, text_hash, usd, priced_as,
        charged, outcome, started_at, settled_at, code, words, x_post_id, reconciled, looks)
    SELECT %(attempt)s + n, %(workspace)s, %(item)s + n, 1, %(approval)s + n, false, false, '{}',
        md5(n::text), 'reply', target, target, (n %% 50000)::text, md5(n::text), 0.01, 'summoned_reply', true,
        CASE WHEN x_post_id <> '' THEN 'succeeded' ELSE 'refused' END, at, at, '', '', x_post_id,
        false, 0
    FROM history WHERE state IN ('published', 'failed')""",
    """INSERT INTO workspaces_auditevent (id, chain, seq, at, type, subject, actor, door, data,
        prev_hash, hash)
    SELECT %(audit)s + n, %(chain)s, n, at, 'item.propose', 'item:' || n, 'worker', 'worker', '{}',
        md5((n - 1)::text), md5(n::text)
    FROM history""",
    "DROP TABLE history",
)
_TABLES = {
    "post": "x_integration_sourcepost",
    "item": "publishing_queueitem",
    "approval": "publishing_approval",
    "attempt": "publishing_publishattempt",
    "audit": "workspaces_auditevent",
}


def seed_history(site: Site, account: XAccount, count: int) -> None:
    """`count` items of the past in the account's workspace, which had none."""
    workspace = account.workspace
    numbers: dict[str, Any] = {"count": count, "person": site.person.pk}
    numbers |= {"workspace": workspace.pk, "chain": str(workspace.pk)}
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        for name, table in _TABLES.items():
            cursor.execute(f"SELECT coalesce(max(id), 0) FROM {table}")  # noqa: S608 - our names
            numbers[name] = cursor.fetchone()[0]
        for statement in _HISTORY:
            cursor.execute(statement, numbers)
        cursor.execute(
            "UPDATE workspaces_auditchain SET head_seq = %(count)s,"
            " head_hash = md5(%(count)s::text) WHERE name = %(chain)s",
            numbers,
        )
        cursor.execute("SET session_replication_role = origin")
        _draw_ids_after(cursor, _TABLES.values())
        cursor.execute("VACUUM ANALYZE")  # as a site that has lived has been
    workspace.last_item_number = count
    Workspace.objects.filter(pk=workspace.pk).update(last_item_number=count)


def _draw_ids_after(cursor: Any, tables: Iterable[str]) -> None:
    for table in tables:
        cursor.execute(
            "SELECT setval(%s, greatest(1, (SELECT max(id) FROM " + table + ")))",  # noqa: S608
            [f"{table}_id_seq"],
        )
