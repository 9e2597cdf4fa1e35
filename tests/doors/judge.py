"""What must hold after every call: each post at X has a live approval of exactly that content."""

from __future__ import annotations

from dataclasses import dataclass, field

from publishing.models import Approval, PublishAttempt, QueueItem
from publishing.states import State
from tests.doors.callers import Caller
from tests.worlds import World
from workspaces.models import Membership

MOVED = (State.APPROVED, State.PUBLISHING, State.PUBLISHED)


@dataclass
class Judge:
    """Holds X against the approvals that the caller made; older ones are all dead."""

    x: World
    last_approval: int = field(init=False)
    states: dict[int, str] = field(init=False)
    posts: int = 0
    _request: int = field(init=False)
    _posts: set[str] = field(init=False)

    def __post_init__(self) -> None:
        self.last_approval = Approval.objects.latest("pk").pk
        self.states = _states()
        self._request = max((row["n"] for row in self.x.simulator.requests()), default=0)
        self._posts = {post["id"] for post in self.x.machine_posts()}

    def nothing_was_decided(self, who: str) -> None:
        """A door with a reason makes no approval and moves nothing to where it could be sent."""
        assert not self._fresh().exists(), f"{who}: an approval was made"
        moved = [pk for pk, state in _states().items() if state != self.states.get(pk, "")]
        ready = QueueItem.objects.filter(pk__in=moved, state__in=MOVED)
        assert not ready.exists(), f"{who}: {ready[0]} became {ready[0].state}"

    def look(self, who: str, caller: Caller | None) -> None:
        """Raise AssertionError for a request or a post that no approval of the caller's covers."""
        for approval in self._fresh():
            theirs = caller is not None and approval.approved_by == caller.user
            assert theirs, f"{who}: somebody else approved"
            self._check_role(who, approval)
        rows = self.x.simulator.requests(self._request)
        self._request = max((row["n"] for row in rows), default=self._request)
        asked = [row for row in rows if (row["method"], row["path"]) == ("POST", "/2/tweets")]
        if not asked:
            return
        assert caller is not None, f"{who}: X was asked to post"
        assert caller.may_approve, f"{who}: X was asked to post for {caller.name}"
        sent = PublishAttempt.objects.filter(approval__in=self._fresh(), by_hand=False)
        assert sent.count() >= len(asked), f"{who}: X was asked without a fresh approval"
        for post in self.x.machine_posts():
            if post["id"] not in self._posts:
                self._check_post(who, caller, post)
                self.x.simulator.take_down(post["id"])  # or the next such text is a duplicate
                self.posts += 1

    def _check_post(self, who: str, caller: Caller, post: dict[str, str]) -> None:
        """One person's yes to this text, this target and this account, used once, by an operator."""
        found = PublishAttempt.objects.filter(x_post_id=post["id"]).select_related(
            "approval", "workspace__x_account"
        )
        assert len(found) == 1, f"{who}: {post['text']!r} stands at X and in no attempt"
        approval = found[0].approval
        assert approval is not None, f"{who}: {post['text']!r} was sent without an approval"
        content = (approval.snapshot["text"], approval.snapshot["target"])
        assert content == (post["text"], post["in_reply_to"]), f"{who}: other words were approved"
        account = found[0].workspace.x_account.x_user_id
        assert approval.snapshot["account"] == account, f"{who}: another account was approved"
        assert approval.pk > self.last_approval, f"{who}: an old approval was used"
        assert approval.approved_by == caller.user, f"{who}: somebody else approved"
        assert approval.used_at is not None, f"{who}: the approval is not used up"
        assert approval.voided_at is None, f"{who}: the approval was void"
        assert approval.attempts.count() == 1, f"{who}: the approval was used twice"
        self._check_role(who, approval)

    def _check_role(self, who: str, approval: Approval) -> None:
        theirs = Membership.objects.filter(
            user=approval.approved_by, workspace__items=approval.item_id
        )
        role = theirs.values_list("role", flat=True).first()
        assert role in Membership.OPERATORS, f"{who}: a {role or 'stranger'} approved"

    def _fresh(self):
        return Approval.objects.filter(pk__gt=self.last_approval)


def _states() -> dict[int, str]:
    return dict(QueueItem.objects.values_list("pk", "state"))
