"""What a workspace reads on X, changed by its operators. The audit log has our numbers, not the queries.

A query may name people, and the audit log names nobody on X.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.db import IntegrityError

from workspaces import audit
from workspaces.actors import Actor
from workspaces.models import Workspace
from workspaces.services import check_operator, holding_nobody_up
from x_integration.errors import FeedNotFound, SearchExists, TooManySearches
from x_integration.models import Feed
from x_integration.queries import checked_query

MOST_SEARCHES = 10
"""Of one workspace. Each is read every two minutes at the most: 75 of the 300 calls that X allows in a
quarter of an hour, and the pages that follow the first have the rest."""
_READ_ANEW: dict[str, Any] = {
    "seen_until": "",
    "reading_from": "",
    "read_down_to": "",
    "last_error": "",
    "leased_until": None,  # whoever reads the old query has lost the lease, and writes no mark
}


def add_search(workspace: Workspace, query: str, *, actor: Actor, now: datetime) -> Feed:
    """Search X for this from now on.

    Raises BadQuery, SearchExists, TooManySearches, NotAllowed, or WorkspaceNotFound for a stranger.
    """
    _check(workspace, actor)
    kept = checked_query(query)
    with _once(), holding_nobody_up():
        Workspace.objects.select_for_update(no_key=True).get(pk=workspace.pk)
        if workspace.feeds.filter(kind=Feed.Kind.SEARCH).count() >= MOST_SEARCHES:
            raise TooManySearches(
                f"A workspace has at most {MOST_SEARCHES} searches: change or remove one."
            )
        feed = Feed.objects.create(
            workspace=workspace, kind=Feed.Kind.SEARCH, query=kept, next_read_at=now
        )
        _record("search.add", feed, actor=actor, now=now)
    return feed


def change_search(feed: Feed, query: str, *, actor: Actor, now: datetime) -> bool:
    """Search for something else, from the beginning and at once; says whether it changed.

    Raises FeedNotFound, also for the mentions, and what `add_search` raises.
    """
    _check(feed.workspace, actor)
    kept = checked_query(query)
    search = Feed.objects.filter(pk=feed.pk, kind=Feed.Kind.SEARCH)
    with _once(), holding_nobody_up():
        changed = search.exclude(query=kept).update(query=kept, next_read_at=now, **_READ_ANEW)
        if changed:
            _record("search.change", feed, actor=actor, now=now)
        elif not search.exists():
            raise FeedNotFound
    return bool(changed)


def switch_feed(feed: Feed, *, on: bool, actor: Actor, now: datetime) -> bool:
    """Read the search, or the mentions, or read it no more; says whether it changed. Raises NotAllowed.

    Switched on, it is read at once, from where it was left.
    """
    _check(feed.workspace, actor)
    told: dict[str, Any] = {"is_on": on, **({"next_read_at": now} if on else {})}
    with holding_nobody_up():
        changed = Feed.objects.filter(pk=feed.pk, is_on=not on).update(**told)
        if changed:
            _record(f"{feed.kind}.switch", feed, actor=actor, now=now, data={"on": on})
    return bool(changed)


def remove_search(feed: Feed, *, actor: Actor, now: datetime) -> bool:
    """Forget the search; what it has found stays. Says whether it was there. Raises NotAllowed."""
    _check(feed.workspace, actor)
    with holding_nobody_up():
        removed, _ = Feed.objects.filter(pk=feed.pk, kind=Feed.Kind.SEARCH).delete()
        if removed:
            _record("search.remove", feed, actor=actor, now=now)
    return bool(removed)


def _check(workspace: Workspace, actor: Actor) -> None:
    if actor.user:
        check_operator(actor.user, workspace)


@contextmanager
def _once() -> Iterator[None]:
    """The database says that a workspace has each query once."""
    try:
        yield
    except IntegrityError as error:
        if "feed_once" not in str(error):
            raise
        raise SearchExists from None


def _record(
    type_: str, feed: Feed, *, actor: Actor, now: datetime, data: dict[str, Any] | None = None
) -> None:
    audit.record(
        type_,
        workspace=feed.workspace,
        subject=f"feed:{feed.pk}",
        actor=actor,
        now=now,
        data=data,
    )
