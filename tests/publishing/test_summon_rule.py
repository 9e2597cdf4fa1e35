"""The verdict on each of 5,000 random posts beside X's own: what we call eligible, X does not refuse.

X's rule is asked in the local X's own code, over the journal of the process that told us of the posts;
some hundreds of replies are sent as well.
"""

import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from django.utils import timezone

from publishing.models import QueueItem
from publishing.services import publish_item
from publishing.services.approvals import freeze
from publishing.services.gates import GATES, Block, Case
from publishing.states import State
from tests.crowds import US, Crowd
from tests.factories import QueueItemFactory
from tests.worlds import WORKER
from tests.x_integration.conftest import opened
from workspaces.models import User
from x_integration.client import XClient
from x_integration.errors import XRejected
from x_integration.models import SourcePost, XAccount
from x_integration.services.storing import store_posts
from x_integration.simulator.drafts import Draft
from x_integration.simulator.instants import now_ms
from x_integration.simulator.problems import SUMMON_TEXT, TARGET_GONE_TEXT, Refusal
from x_integration.simulator.rules import check_draft, is_summoned
from x_integration.simulator.state import State as StateOfX
from x_integration.simulator.world import User as UserOfX
from x_integration.simulator.world import World

POSTS, SENT, REFUSED = 5000, 300, 40
NEVER = float("inf")
Eligibility = SourcePost.Eligibility


@dataclass
class Rule:
    """X's rule over the posts that X told us of."""

    world: World
    us: UserOfX

    def refuses(self, post: SourcePost, *, tier: str = "self_serve") -> bool:
        """Whether X answers a reply of ours with the 403 of the summon rule."""
        draft = Draft("Thank you!", int(post.x_post_id), (), None, "everyone")
        try:
            check_draft(draft, self.us, self.world, tier=tier, dialect="new", now=now_ms())
        except Refusal as refusal:
            return refusal.body.get("detail") == SUMMON_TEXT
        return False

    def verdict(self, post: SourcePost) -> str:
        """What X would say of the post, were it asked."""
        target = self.world.posts[int(post.x_post_id)]
        if target.author_id == self.us.id:
            return Eligibility.OWN_THREAD
        summoned = is_summoned(target, self.us, self.world)
        return Eligibility.SUMMONED if summoned else Eligibility.NOT_SUMMONED

    def quotes_what_is_gone(self, post: SourcePost) -> bool:
        """X shows it to nobody, so nobody but X can tell whose it was."""
        quoted = self.world.posts[int(post.x_post_id)].quotes
        return quoted is not None and self.world.live_post(quoted) is None


def rule_of(simulator, folder: Path) -> Rule:
    """X as its journal tells it, in this process."""
    folder.mkdir()
    shutil.copy(simulator.state / "journal.jsonl", folder)
    state = StateOfX(folder)
    state.journal.close()
    us = state.world.user_named(US)
    assert us is not None
    return Rule(state.world, us)


@pytest.fixture
def heard(x, tmp_path):
    """A crowd's posts as we stored them, those that X told whole of, and X's rule."""
    workspace = x.connected(US)
    account = XAccount.objects.select_related("workspace").get(workspace=workspace)
    x.simulator.settings(rate_limits={"*": 1_000_000})
    crowd = Crowd(x.simulator, seed=20261128)
    crowd.speak(POSTS)
    whole = set()
    for page, is_whole in crowd.told(opened(account.access_token)):
        store_posts(account, page.posts, now=timezone.now())
        whole |= {post.id for post in page.posts} if is_whole else set()
    return workspace, whole, rule_of(x.simulator, tmp_path / "x")


def test_x_refuses_nothing_that_is_called_eligible_and_we_refuse_the_rest(x, heard):
    workspace, whole, rule = heard
    posts = list(SourcePost.objects.order_by("x_post_id"))
    verdicts = Counter(post.eligibility for post in posts)
    assert len(posts) == POSTS - 100
    assert min(verdicts[each] for each in Eligibility.values) > POSTS / 12, verdicts
    eligible = [post for post in posts if post.may_be_answered]
    assert [post.text for post in eligible if rule.refuses(post)] == []
    assert [post.text for post in posts if rule.refuses(post, tier="enterprise")] == []
    _check_verdicts([post for post in posts if post.x_post_id in whole], rule)
    _check_sent(workspace, eligible[:: len(eligible) // SENT])
    _check_refused(x, workspace, [post for post in posts if not post.may_be_answered])


def _check_verdicts(posts, rule):
    """Where X kept nothing back, ours is X's: nothing is handed off that might have been sent."""
    asked = [post for post in posts if not rule.quotes_what_is_gone(post)]
    assert [post.text for post in asked if post.eligibility != rule.verdict(post)] == []


def _check_sent(workspace, posts):
    """Replies that leave the machine: X publishes them, or refuses for another reason."""
    x, token = XClient(), opened(workspace.x_account.access_token)
    answers = Counter(
        _answer(x, token, f"Thank you, number {number}!", post) for number, post in enumerate(posts)
    )
    assert set(answers) <= {"published", TARGET_GONE_TEXT}
    assert answers["published"] >= SENT * 0.9


def _answer(x, token, text, post):
    try:
        x.create_post(text, in_reply_to=post.x_post_id, access_token=token, begin_before=NEVER)
    except XRejected as error:
        return str(error)
    return "published"


def _check_refused(x, workspace, posts):
    """By the gate, each of them; and by a publication from end to end, some."""
    gate = next(gate for gate in GATES if gate.name == "target_not_eligible")
    for post in posts:  # it looks at nothing else
        assert gate.ask(cast(Case, SimpleNamespace(target=post))) == Block("target_not_eligible")
    before, owner = len(x.simulator.requests()), User.objects.get()
    for post in posts[:: len(posts) // REFUSED]:
        item = QueueItemFactory(workspace=workspace, source_post=post, state=State.APPROVED)
        freeze(item, by=owner, door="admin", now=timezone.now())
        publish_item(item.pk, x=XClient(), actor=WORKER, clock=timezone.now)
    blocked = QueueItem.objects.filter(state=State.APPROVED, blocked_reason="target_not_eligible")
    assert blocked.count() == QueueItem.objects.count() >= REFUSED
    assert len(x.simulator.requests()) == before
