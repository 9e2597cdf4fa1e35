"""Our own timeline: what is read there costs as every reading does, and is never kept from being read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from x_integration.payloads import Page
from x_integration.services.gone import note_what_is_gone
from x_integration.services.spending import charge_look
from x_integration.services.tokens import with_access_token

if TYPE_CHECKING:
    from datetime import datetime

    from revfirst.batch import Patience
    from revfirst.clock import Clock
    from workspaces.actors import Actor
    from x_integration.client import XClient
    from x_integration.models import XAccount
    from x_integration.payloads import Post


def own_posts_since(
    account: XAccount,
    since: datetime,
    *,
    subject: str,
    x: XClient,
    actor: Actor,
    clock: Clock,
    patience: Patience | None = None,
) -> list[Post]:
    """The account's own posts since an instant, newest first; the ledger has each page as it comes.

    `subject` is what the look is for. Raises XReadFailed, XUnauthorized, NoAccessToken, OutOfTime or Busy.
    """
    workspace, read = account.workspace, list[Page]()

    def look(token: str) -> None:
        pages = x.timeline(account.x_user_id, access_token=token, start_time=since)
        for page in patience.each(pages) if patience else pages:
            ids = [post.id for post in page.posts]
            charge_look(workspace, ids, subject=subject, actor=actor, now=clock())
            read.append(page)

    with_access_token(workspace, look, x=x, actor=actor, clock=clock, patience=patience)
    note_what_is_gone(read, now=clock())
    return list({post.id: post for page in read for post in page.posts}.values())
