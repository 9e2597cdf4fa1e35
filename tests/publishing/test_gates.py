"""What keeps an approved item back: each gate by itself, over a world where everything else is well."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.utils import timezone

from publishing.models import (
    Approval,
    CircuitBreaker,
    OptOut,
    PublishAttempt,
    QueueItem,
    ReadingReservation,
)
from publishing.services import (
    approve_item,
    claim_item,
    opt_out_author,
    propose_item,
    publish_batch,
    retry_item,
)
from publishing.services.gates import GATES
from publishing.states import State
from tests.factories import QueueItemFactory, WorkspaceFactory, XAccountFactory
from tests.worlds import WORKER, attempts, operator
from workspaces.actors import Actor
from workspaces.models import AuditEvent, Counter, Membership, User, Workspace
from workspaces.services import place_hold, set_kill_switch
from x_integration.answers import Rate
from x_integration.client import CREATE_POST
from x_integration.models import SourcePost, XAccount
from x_integration.services import record_spend, remember_rates


def _kill(item):
    set_kill_switch(True, reason="test", actor=Actor.command(), now=timezone.now(), wait=False)


def _hold(item):
    place_hold("x_credits", reason="test", actor=WORKER, now=timezone.now())


def _set(model, **columns):
    return lambda item: model.objects.update(**columns)


def _drop_approval(item):
    item.attempts.all().delete()
    item.approvals.all().delete()


def _other_account(item):
    XAccount.objects.update(x_user_id="999")


def _swapped_snapshot(item):
    approval = Approval.objects.get()
    Approval.objects.update(snapshot={**approval.snapshot, "text": "Something else"})


def _already_answered(item):
    other = QueueItemFactory(
        workspace=item.workspace,
        number=99,
        source_post=item.source_post,
        state=State.REJECTED,
    )
    approval = Approval.objects.get()
    approval.pk = None
    approval.item, approval.used_at = other, timezone.now()
    approval.save()
    other.attempts.create(
        workspace=other.workspace,
        kind=other.kind,
        target=item.source_post.x_post_id,
        number=1,
        approval=approval,
        snapshot={},
        content_hash="",
        outcome="unknown",
        started_at=timezone.now(),
        settled_at=timezone.now(),
    )


def _sent(*, ago: timedelta, **columns):
    """Something that was sent from the workspace so long ago."""

    def spoil(item):
        other = QueueItemFactory(workspace=item.workspace, number=99, state=State.REJECTED)
        began = timezone.now() - ago
        other.attempts.create(
            **{
                "workspace": item.workspace,
                "number": 1,
                "approval": Approval.objects.get(),
                "snapshot": {},
                "content_hash": "",
                "kind": "reply",
                "outcome": "succeeded",
                "x_post_id": "1",
                "started_at": began,
                "settled_at": began,
                **{name: of(item) for name, of in columns.items()},
            }
        )

    return spoil


def _thread(item):
    return item.source_post.thread


def _author(item):
    return item.source_post.author_id


def _many_sent(number: int, *, ago: timedelta, **columns):
    def spoil(item):
        for n in range(number):
            columns["x_post_id"] = lambda _, n=n: str(1000 + n)
            _sent(ago=ago + timedelta(seconds=n), **columns)(item)
            QueueItem.objects.filter(number=99).update(number=100 + n)

    return spoil


def _opted_out(item):
    opt_out_author(item.source_post, actor=WORKER, now=timezone.now())


def _spent(usd: str, **budgets):
    def spoil(item):
        Workspace.objects.update(**budgets)
        record_spend(item.workspace, "post", Decimal(usd), subject="account", now=timezone.now())

    return spoil


def _reading(usd, **budgets):
    def spoil(item, *, workspace=None):
        Workspace.objects.update(**budgets)
        ReadingReservation.objects.create(
            workspace=workspace or item.workspace,
            usd=usd,
            until=timezone.now() + timedelta(seconds=60),
        )

    return spoil


def _rate_is_spent(item, *, account=None, endpoint=CREATE_POST, left=0):
    reset = timezone.now() + timedelta(minutes=9)
    account = account or item.workspace.x_account
    remember_rates(account.pk, {endpoint: Rate(100, left, reset)}, now=timezone.now())


def _elsewhere(item):
    """Everything that would hold it back, in another workspace."""
    there = WorkspaceFactory()
    about = {
        "thread": _thread,
        "author_id": _author,
        "target": lambda _: item.source_post.x_post_id,
    }
    _many_sent(8, ago=timedelta(0), workspace=lambda _: there, **about)(item)
    under_way = {"outcome": "in_flight", "x_post_id": "", "settled_at": None, "usd": Decimal(100)}
    last = PublishAttempt.objects.filter(workspace=there).latest("pk")
    PublishAttempt.objects.filter(pk=last.pk).update(**under_way)
    OptOut.objects.create(
        workspace=there, author_id=_author(item), since=timezone.now(), noted_by="command"
    )
    record_spend(there, "post", Decimal(100), subject="account", now=timezone.now())
    _reading(Decimal(100))(item, workspace=there)
    Workspace.objects.update(daily_budget_usd=Decimal(1), monthly_budget_usd=Decimal(1))
    _rate_is_spent(item, account=XAccountFactory(workspace=there))


def _voice(content: str):
    return lambda item: Path(django_settings.BRAND_VOICE_FILE_PATH).write_text(content)


def _voice_of_their_language(item):
    SourcePost.objects.update(lang="pt")
    _voice('languages: {"*": {}, pt: {sentence_words_at_most: 0}}')(item)


def _no_voice(item):
    Path(django_settings.BRAND_VOICE_FILE_PATH).unlink()


def _breaker_is_open(item):
    now = timezone.now()
    CircuitBreaker.objects.create(opened_at=now, shut_until=now + timedelta(minutes=5))


NOW = timezone.now()
CASES = {
    "kill_switch": [_kill],
    "system_hold": [_hold],
    "workspace_paused": [_set(Workspace, paused_at=NOW, paused_reason="test")],
    "workspace_contained": [_set(Workspace, contained_at=NOW, contained_reason="test")],
    "account_not_ready": [
        _set(XAccount, held_at=NOW, held_reason="suspended"),
        _set(XAccount, scope="tweet.read users.read"),
        _set(XAccount, revoked_at=NOW),
        _set(XAccount, expires_at=NOW - timedelta(hours=1), refresh_token=None),
        _set(XAccount, access_token=None, refresh_token=None),
    ],
    "approval_missing": [
        _drop_approval,
        _set(Approval, voided_at=NOW),
        _set(Approval, used_at=NOW),
    ],
    "approval_void": [
        _set(QueueItem, text="Something else"),
        _set(QueueItem, version=2),
        _swapped_snapshot,
        _set(Approval, content_hash="0" * 64),
        _other_account,
        _set(QueueItem, scheduled_for=NOW - timedelta(days=1)),
        _set(SourcePost, x_post_id="1"),
        _set(Membership, role=Membership.Role.MEMBER),
        _set(User, is_active=False),
        lambda item: Membership.objects.all().delete(),
        lambda item: Membership.objects.update(workspace=WorkspaceFactory()),
    ],
    "approval_expired": [
        _set(Approval, approved_at=NOW - timedelta(days=3), expires_at=NOW - timedelta(days=2))
    ],
    "target_not_eligible": [_set(SourcePost, eligibility=SourcePost.Eligibility.NOT_SUMMONED)],
    "too_late": [_set(QueueItem, relevant_until=NOW)],
    "content_refused": [
        _voice('languages: {"*": {sentences_at_most: 0}}'),
        _voice_of_their_language,
    ],
    "no_brand_voice": [_voice("languages: ["), _no_voice],
    "duplicate": [
        _already_answered,
        _sent(ago=timedelta(days=300), target=lambda item: item.source_post.x_post_id),
    ],
    "thread_cooldown": [
        _sent(ago=timedelta(minutes=44), thread=_thread),
        _sent(
            ago=timedelta(0), thread=_thread, outcome=lambda _: "unknown", x_post_id=lambda _: ""
        ),
    ],
    "author_cooldown": [_sent(ago=timedelta(minutes=29), author_id=_author)],
    "author_opted_out": [_opted_out],
    "hourly_quota": [
        _many_sent(8, ago=timedelta(minutes=50)),
        _set(Workspace, max_replies_per_hour=0),
    ],
    "daily_quota": [
        _many_sent(30, ago=timedelta(hours=23)),
        _set(Workspace, max_replies_per_day=0),
    ],
    "budget": [
        _spent("0.995", daily_budget_usd=Decimal(1)),
        _spent("9.995", monthly_budget_usd=Decimal(10)),
        _spent("0", daily_budget_usd=Decimal(0)),
        _reading(Decimal("0.99"), daily_budget_usd=Decimal(1)),
        _reading(Decimal("0.99"), monthly_budget_usd=Decimal(1)),
    ],
    "x_rate_limit": [_rate_is_spent],
    "circuit_breaker": [_breaker_is_open],
}
OPEN = {
    "thread_cooldown": _sent(ago=timedelta(minutes=46), thread=_thread),
    "thread_cooldown given back": _sent(
        ago=timedelta(0), thread=_thread, outcome=lambda _: "refused", x_post_id=lambda _: ""
    ),
    "thread_cooldown of what was given up": _sent(
        ago=timedelta(0), thread=_thread, outcome=lambda _: "abandoned", x_post_id=lambda _: ""
    ),
    "whatever is in another workspace": _elsewhere,
    "another thread": _sent(ago=timedelta(0), thread=lambda _: "1"),
    "author_cooldown": _sent(ago=timedelta(minutes=31), author_id=_author),
    "hourly_quota, seven": _many_sent(7, ago=timedelta(minutes=50)),
    "hourly_quota, posts": _many_sent(8, ago=timedelta(minutes=50), kind=lambda _: "post"),
    "daily_quota, posts": _many_sent(30, ago=timedelta(hours=23), kind=lambda _: "post"),
    "hourly_quota, an hour ago": _many_sent(8, ago=timedelta(minutes=61)),
    "daily_quota, a day ago": _many_sent(30, ago=timedelta(hours=25)),
    "what was given up does not count as a duplicate": _sent(
        ago=timedelta(0),
        target=lambda item: item.source_post.x_post_id,
        outcome=lambda _: "abandoned",
        x_post_id=lambda _: "",
    ),
    # With the half cent that it cost to read the mention.
    "budget to the last cent": _spent("0.985", daily_budget_usd=Decimal(1)),
    "x_rate_limit with a call left": partial(_rate_is_spent, left=1),
    "x_rate_limit of something else": partial(_rate_is_spent, endpoint="GET /2/users/{id}/tweets"),
}


@pytest.fixture(autouse=True)
def voice(settings, tmp_path):
    """The brand voice that we ship, as a file that a test may change."""
    shipped = Path(settings.BRAND_VOICE_FILE_PATH).read_text()
    settings.BRAND_VOICE_FILE_PATH = str(tmp_path / "voice.yaml")
    (tmp_path / "voice.yaml").write_text(shipped)


@pytest.fixture
def item(x):
    """An approved reply that nothing keeps back."""
    return x.approved(x.connected())


@pytest.mark.parametrize(
    ("reason", "spoil"), [(reason, spoil) for reason, how in CASES.items() for spoil in how]
)
def test_a_gate_holds_the_item_back_and_says_why(x, item, reason, spoil):
    spoil(item)
    item = x.publish(item)
    assert (item.state, item.blocked_reason) == (State.APPROVED, reason)
    assert x.calls("POST", "/2/tweets") == []
    assert attempts(item) == []


@pytest.mark.parametrize("what", OPEN)
def test_a_gate_opens_when_it_says(x, item, what):
    OPEN[what](item)
    assert x.publish(item).state == State.PUBLISHED


@pytest.mark.parametrize(
    ("spoil", "opens_in"),
    [
        (_sent(ago=timedelta(minutes=5), thread=_thread), timedelta(minutes=40)),
        (_sent(ago=timedelta(minutes=5), author_id=_author), timedelta(minutes=25)),
        (_many_sent(8, ago=timedelta(minutes=10)), timedelta(minutes=50, seconds=-7)),
        (_rate_is_spent, timedelta(minutes=9)),
        (_breaker_is_open, timedelta(minutes=5)),
        (_reading(Decimal(1), daily_budget_usd=Decimal(1)), timedelta(minutes=1)),
    ],
)
def test_a_gate_that_knows_says_until_when(x, item, spoil, opens_in):
    spoil(item)
    item = x.publish(item)
    assert abs(item.not_before - timezone.now() - opens_in) < timedelta(seconds=10)


def test_a_day_s_budget_opens_at_midnight_utc_and_a_month_s_on_the_first(x, item):
    noon = datetime(2026, 12, 31, 12, tzinfo=UTC)
    midnight = datetime(2027, 1, 1, tzinfo=UTC)
    Approval.objects.update(expires_at=noon + timedelta(days=1))
    QueueItem.objects.update(relevant_until=None)
    XAccount.objects.update(expires_at=noon + timedelta(hours=1))
    for budget in ("daily_budget_usd", "monthly_budget_usd"):
        Workspace.objects.update(daily_budget_usd=None, monthly_budget_usd=None)
        Workspace.objects.update(**{budget: 0})
        QueueItem.objects.update(not_before=None)
        claim_item(item.pk, actor=WORKER, now=noon)
        item.refresh_from_db()
        assert (item.blocked_reason, item.not_before) == ("budget", midnight)


def test_a_month_s_budget_counts_since_the_first(x, item):
    noon = datetime(2026, 12, 15, 12, tzinfo=UTC)
    Approval.objects.update(expires_at=noon + timedelta(days=1))
    QueueItem.objects.update(relevant_until=None)
    XAccount.objects.update(expires_at=noon + timedelta(hours=1))
    Workspace.objects.update(monthly_budget_usd=Decimal(1))
    record_spend(item.workspace, "post", Decimal(1), subject="account", now=noon.replace(day=1))
    claim_item(item.pk, actor=WORKER, now=noon)
    item.refresh_from_db()
    assert item.blocked_reason == "budget"


def test_the_limits_are_those_of_replies_not_of_posts_of_our_own(x, item):
    Workspace.objects.update(max_replies_per_hour=0)
    post = propose_item(
        item.workspace, text="Good day", actor=operator(item.workspace), now=timezone.now()
    )
    approve_item(post.pk, version=1, actor=operator(item.workspace), now=timezone.now())
    assert x.publish(post).state == State.PUBLISHED


def test_the_same_words_are_a_duplicate_within_a_day(x, item):
    who = operator(item.workspace)
    for text in ("Good day", " Good  day "):
        post = propose_item(item.workspace, text=text, actor=who, now=timezone.now())
        approve_item(post.pk, version=1, actor=who, now=timezone.now())
        post = x.publish(post)
    assert (post.state, post.blocked_reason) == (State.APPROVED, "duplicate")
    assert post.not_before
    assert post.not_before > timezone.now() + timedelta(hours=23)
    QueueItem.objects.filter(pk=post.pk).update(not_before=None)
    PublishAttempt.objects.update(started_at=timezone.now() - timedelta(hours=25))
    assert claim_item(post.pk, actor=WORKER, now=timezone.now())


def test_the_same_words_to_somebody_else_are_no_duplicate(x, item):
    first = x.publish(item)
    other = x.answering(item.workspace, by="rui", text=first.text)
    assert claim_item(other.pk, actor=WORKER, now=timezone.now())


def test_a_thread_of_our_own_has_no_author_to_be_pestered(x, item):
    us = item.workspace.x_account.x_user_id
    SourcePost.objects.update(author_id=us)
    _sent(ago=timedelta(minutes=1), author_id=lambda _: us)(item)
    assert x.publish(item).state == State.PUBLISHED


def test_what_is_scheduled_goes_out_at_its_time_and_not_before(x):
    cafe = x.connected()
    who, now = operator(cafe), timezone.now()
    at = now + timedelta(minutes=30)
    post = propose_item(cafe, text="Open!", scheduled_for=at, actor=who, now=now)
    approve_item(post.pk, version=1, actor=who, now=now)
    post = x.publish(post)
    assert (post.state, post.blocked_reason, attempts(post)) == (State.APPROVED, "", [])
    publish_batch(actor=WORKER, clock=lambda: at - timedelta(seconds=1))
    assert x.machine_posts() == []
    publish_batch(actor=WORKER, clock=lambda: at)
    assert len(x.machine_posts()) == 1


def test_what_was_put_off_is_not_asked_before_its_time(x, item):
    at = timezone.now() + timedelta(minutes=30)
    QueueItem.objects.update(not_before=at)
    assert attempts(x.publish(item)) == []
    assert not QueueItem.objects.due(at - timedelta(seconds=1)).exists()
    assert claim_item(item.pk, actor=WORKER, now=at)


def test_what_may_have_been_sent_of_the_item_itself_is_a_duplicate(x, item):
    """Its state was set by no service: the attempts are asked, by their item alone."""
    x.fault("status", status=500)
    x.publish(item)
    PublishAttempt.objects.update(target="", thread="", author_id="", text_hash="")
    QueueItem.objects.update(state=State.APPROVED)
    Approval.objects.update(used_at=None)
    assert x.publish(item).blocked_reason == "duplicate"
    assert attempts(item) == ["unknown"]


def test_nothing_spoiled_nothing_held_back(x, item):
    assert x.publish(item).state == State.PUBLISHED


def test_every_gate_has_a_case():
    names = {gate.name for gate in GATES} - {"approval", "content"}
    of_approval = {"approval_missing", "approval_void", "approval_expired"}
    assert names | of_approval | {"content_refused", "no_brand_voice"} == CASES.keys()


def test_the_gates_are_asked_in_the_order_of_the_design():
    assert [gate.name for gate in GATES] == [
        *("kill_switch", "system_hold", "workspace_paused", "workspace_contained"),
        *("account_not_ready", "approval", "too_late", "target_not_eligible", "content"),
        *("duplicate", "thread_cooldown", "author_cooldown", "author_opted_out"),
        *("hourly_quota", "daily_quota", "budget", "x_rate_limit", "circuit_breaker"),
    ]


def test_the_first_gate_in_order_gives_the_reason(x, item):
    _kill(item)
    Workspace.objects.update(paused_at=NOW, paused_reason="test")
    assert x.publish(item).blocked_reason == "kill_switch"


def test_a_block_is_audited_and_counted_once_per_item_and_reason(x, item):
    Workspace.objects.update(paused_at=NOW, paused_reason="test")
    later = timezone.now()
    for minutes in range(1, 4):
        claim_item(item.pk, actor=WORKER, now=later + timedelta(minutes=2 * minutes))
    assert AuditEvent.objects.filter(type="item.block").count() == 1
    assert Counter.objects.get(name="publish_blocked_total").value == 1


def test_a_second_reason_is_counted_too_and_the_first_not_again(x, item):
    later = timezone.now()
    for number, paused in enumerate((NOW, None, NOW, None), start=1):
        Workspace.objects.update(paused_at=paused, contained_at=None if paused else NOW)
        claim_item(item.pk, actor=WORKER, now=later + timedelta(minutes=2 * number))
    blocks = AuditEvent.objects.filter(type="item.block").values_list("data__reason", flat=True)
    assert sorted(blocks) == ["workspace_contained", "workspace_paused"]


def test_a_reason_is_not_counted_again_after_the_item_was_put_back_into_the_queue(x, item):
    who, pause = operator(item.workspace), {"paused_at": NOW, "paused_reason": "test"}
    Workspace.objects.update(**pause)
    x.publish(item)
    QueueItem.objects.update(relevant_until=NOW)
    x.sweep()
    QueueItem.objects.update(relevant_until=None)
    retry_item(item.pk, version=1, actor=who, now=timezone.now())
    approve_item(item.pk, version=1, actor=who, now=timezone.now())
    assert x.publish(item).blocked_reason == "workspace_paused"
    assert Counter.objects.get(name="publish_blocked_total").value == 1


def test_a_blocked_item_goes_out_by_itself_when_the_gate_opens(x, item):
    Workspace.objects.update(paused_at=NOW, paused_reason="test")
    x.publish(item)
    Workspace.objects.update(paused_at=None, paused_reason="")
    QueueItem.objects.update(not_before=None)
    item = x.publish(item)
    assert (item.state, item.blocked_reason) == (State.PUBLISHED, "")
