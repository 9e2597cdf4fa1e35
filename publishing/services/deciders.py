"""Who may decide about an item: asked of the rows at every decision."""

from publishing.errors import FourEyes, ItemNotFound, WrongState
from publishing.models import QueueItem
from workspaces.actors import Actor
from workspaces.errors import NotAllowed
from workspaces.models import User
from workspaces.services import approvers, check_operator


def check_may_decide(item_id: int, actor: Actor) -> User:
    """The person who decides; a stranger is told that there is no such item.

    Raises ItemNotFound, WorkspaceNotFound or NotAllowed.
    """
    item = QueueItem.objects.select_related("workspace").filter(pk=item_id).first()
    if item is None:
        raise ItemNotFound
    if actor.user is None:
        raise NotAllowed("Only a person decides.")
    check_operator(actor.user, item.workspace)
    return actor.user


def target_is_gone(item: QueueItem) -> bool:
    """Whether X shows no longer what the item answers."""
    return item.source_post is not None and item.source_post.gone_at is not None


def check_target_stands(item: QueueItem) -> None:
    """Raise WrongState when X shows no longer what the item answers."""
    if target_is_gone(item):
        raise WrongState(
            f"{item} answers a post that X shows no longer: nothing can be said to it."
        )


def check_four_eyes(item: QueueItem, user: User) -> None:
    """Raise FourEyes when `user` wrote the text, others could approve it, and the policy minds."""
    wrote_it = item.written_by_id == user.pk
    if wrote_it and item.workspace.four_eyes and approvers(item.workspace) > 1:
        raise FourEyes
