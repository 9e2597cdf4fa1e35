"""The post that somebody wants to answer, when it was not read as a mention."""

from datetime import datetime

from revfirst.clock import ticking
from workspaces import audit
from workspaces.actors import Actor
from workspaces.models import Workspace
from workspaces.services import holding_nobody_up
from x_integration.client import XClient
from x_integration.errors import NoAccessToken
from x_integration.models import SourcePost, XAccount
from x_integration.services.spending import record_post_reads
from x_integration.services.storing import store_posts
from x_integration.services.tokens import with_access_token


def find_target(
    workspace: Workspace, post_id: str, *, x: XClient, actor: Actor, now: datetime
) -> SourcePost | None:
    """The stored post; one that is not stored yet is read from X and stored. None when X has none.

    X charges for a post that it shows: ledger and audit log have the price, by our own number of it.

    Raises NoAccessToken, XUnauthorized, XReadFailed or Busy.
    """
    known = SourcePost.objects.filter(workspace=workspace, x_post_id=post_id)
    if (stored := known.first()) is not None:
        return stored
    account = XAccount.objects.live().filter(workspace=workspace).first()
    if account is None:
        raise NoAccessToken
    post = with_access_token(
        workspace,
        lambda token: x.post(post_id, access_token=token),
        x=x,
        actor=actor,
        clock=ticking(now),
    )
    if post is None:
        return None
    with holding_nobody_up():
        store_posts(account, [post], now=now)
        stored = known.get()
        charge = record_post_reads(
            workspace, [post.id], subject=f"source_post:{stored.pk}", now=now
        )
        audit.record(
            "posts.look_up",
            workspace=workspace,
            subject="account",
            actor=actor,
            now=now,
            data={"source_post": stored.pk, **charge.data},
            counts=charge.counts,
        )
    return stored
