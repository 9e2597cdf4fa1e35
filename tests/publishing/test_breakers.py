"""What stops publishing by itself: so many failures of a workspace, trouble with X that is everybody's, silence."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from publishing.models import CircuitBreaker, PublishAttempt, QueueItem
from publishing.services import claim, claim_item, hand_off_item
from publishing.services.breaker import SHUT_FOR
from publishing.states import State
from tests.locks import held, wait_for_waiting
from tests.worlds import WORKER, World, attempts, operator, problem
from workspaces.actors import Actor
from workspaces.models import Alarm, AuditEvent, SystemHold, Workspace
from workspaces.services import kill_switch, lift_containment, lift_hold
from x_integration.models import XAccount

SUMMON = "You can only reply to or quote posts where you are mentioned or are the author."
HOST = Actor.command()
FANS = [f"fan{n}" for n in range(9)]


@pytest.fixture
def cafe(x):
    """A connected workspace."""
    return x.connected()


class Fans:
    """Another item each time, to another person."""

    def __init__(self, x: World, workspace: Workspace) -> None:
        self.x, self.workspace, self.names = x, workspace, iter(FANS)

    def publish(self, fault: dict | None = None) -> QueueItem:
        """Approve one more, and let X do so."""
        item = self.x.approved(self.workspace, by=next(self.names))
        if fault:
            self.x.fault(**fault)
        return self.x.publish(item)


@pytest.fixture
def fans(x, cafe) -> Fans:
    """People to answer."""
    return Fans(x, cafe)


def is_contained() -> bool:
    return Workspace.objects.exclude(contained_at=None).exists()


def alarms() -> list[str]:
    return sorted(Alarm.objects.filter(over_at=None).values_list("kind", flat=True))


REFUSED, SILENT = problem(400), {"kind": "status", "status": 500}


# --- Containment ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "faults",
    [[REFUSED] * 3, [SILENT] * 3, [REFUSED, SILENT, REFUSED]],
    ids=["refused", "unknown", "both"],
)
def test_so_many_failures_in_a_row_contain_the_workspace(fans, faults):
    for fault in faults:
        assert not is_contained()
        fans.publish(fault)
    assert is_contained()
    assert alarms() == ["workspace_contained"]
    assert AuditEvent.objects.filter(type="workspace.contain").count() == 1
    item = fans.publish()
    assert (item.state, item.blocked_reason) == (State.APPROVED, "workspace_contained")


def test_another_workspace_goes_on(x, fans):
    for _ in range(3):
        fans.publish(REFUSED)
    assert x.publish(x.approved(x.connected("other"))).state == State.PUBLISHED


def test_a_success_among_them_begins_the_count_anew(fans):
    for fault in (REFUSED, REFUSED, None, REFUSED, REFUSED):
        fans.publish(fault)
    assert not is_contained()
    fans.publish(REFUSED)
    assert is_contained()


@pytest.mark.parametrize(
    "fault",
    [
        problem(403, SUMMON),
        problem(404, kind="https://api.twitter.com/2/problems/resource-not-found"),
        problem(429),
    ],
    ids=["summon", "target gone", "not executed"],
)
def test_what_says_nothing_about_us_counts_for_nothing(fans, fault):
    for _ in range(4):
        fans.publish(fault)
    assert not is_contained()


def test_what_says_nothing_about_us_does_not_end_a_row_either(fans):
    for fault in (REFUSED, REFUSED, problem(403, SUMMON), REFUSED):
        fans.publish(fault)
    assert is_contained()


def test_a_hand_off_is_neither_failure_nor_success(x, fans):
    fans.publish(REFUSED)
    item = fans.publish(REFUSED)
    hand_off_item(item.pk, version=1, actor=operator(item.workspace), now=timezone.now())
    assert not is_contained()
    fans.publish(REFUSED)
    assert is_contained()


def test_a_doubt_that_turned_out_well_was_no_failure(x, fans):
    fans.publish(REFUSED)
    fans.publish({"kind": "lost_answer"})
    x.sweep(after=timedelta(seconds=20))
    fans.publish(REFUSED)
    fans.publish(REFUSED)
    assert not is_contained()


def test_the_policy_of_a_workspace_makes_it_stricter(fans):
    Workspace.objects.update(max_consecutive_failures=1)
    fans.publish(REFUSED)
    assert is_contained()


def test_a_person_lifts_it_and_what_failed_before_counts_no_more(fans, cafe):
    for _ in range(3):
        fans.publish(REFUSED)
    assert lift_containment(cafe, reason="mended", actor=HOST, now=timezone.now())
    assert alarms() == []
    fans.publish(REFUSED)
    fans.publish(REFUSED)
    assert not is_contained()
    fans.publish(REFUSED)
    assert is_contained()


def test_nothing_but_a_person_lifts_it(x, fans):
    for _ in range(3):
        fans.publish(REFUSED)
    x.sweep(after=timedelta(hours=20))
    assert is_contained()


# --- Holds on everybody ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["no_credits", "usage_capped"])
def test_trouble_with_the_app_holds_everybody_and_disconnects_nobody(x, fans, kind):
    other = x.approved(x.connected("other"))
    item = fans.publish({"kind": kind})
    assert (item.state, item.last_error) == (State.APPROVED, kind)
    hold = SystemHold.objects.get(lifted_at=None)
    assert (hold.kind, alarms()) == (kind, [kind])
    other = x.publish(other)
    assert (other.state, other.blocked_reason) == (State.APPROVED, "system_hold")
    assert len(x.calls("POST", "/2/tweets")) == 1
    assert all(a.connected(timezone.now()) for a in XAccount.objects.all())
    assert not XAccount.objects.exclude(held_at=None).exists()
    assert kill_switch() is None


def test_a_hold_is_lifted_by_a_person_and_then_everything_goes(x, fans):
    item = fans.publish({"kind": "no_credits"})
    x.sweep(after=timedelta(hours=1))
    assert SystemHold.objects.filter(lifted_at=None).exists()
    lift_hold("no_credits", reason="topped up", actor=HOST, now=timezone.now())
    QueueItem.objects.update(not_before=None)
    assert x.publish(item).state == State.PUBLISHED
    assert alarms() == []


def test_a_burst_of_401s_holds_everybody_and_no_account(x):
    items = [x.approved(x.connected(f"cafe{n}")) for n in range(3)]
    x.fault(**{**problem(401), "times": None})
    for item in items:
        x.publish(item)
    assert SystemHold.objects.get(lifted_at=None).kind == "mass_401"
    assert not XAccount.objects.exclude(held_at=None).exists()
    assert all(a.connected(timezone.now()) for a in XAccount.objects.all())
    assert "mass_401" in alarms()
    states = set(QueueItem.objects.values_list("state", flat=True))
    assert states == {State.APPROVED}


# --- The circuit breaker --------------------------------------------------------------------------


@pytest.fixture
def opened(x) -> list[QueueItem]:
    """X was silent for three accounts, and the breaker is open; a fourth one's item waits."""
    items = [x.approved(x.connected(f"cafe{n}")) for n in range(4)]
    for item in items[:3]:
        x.fault("status", status=503)
        x.publish(item)
    assert CircuitBreaker.objects.get().opened_at
    return items


def wait_out_the_breaker() -> None:
    """Its five minutes are over, and whatever it held back is due."""
    CircuitBreaker.objects.update(shut_until=timezone.now() - timedelta(seconds=1))
    QueueItem.objects.update(not_before=None)


def test_silence_for_many_accounts_shuts_sending_for_five_minutes(x, opened):
    item = x.publish(opened[3])
    assert (item.state, item.blocked_reason) == (State.APPROVED, "circuit_breaker")
    shut_until = CircuitBreaker.objects.get().shut_until
    assert item.not_before == shut_until
    assert abs(shut_until - timezone.now() - SHUT_FOR) < timedelta(seconds=20)
    assert len(x.calls("POST", "/2/tweets")) == 3
    assert alarms() == ["x_silent"]
    assert AuditEvent.objects.filter(type="breaker.open").count() == 1


def test_silence_for_one_account_alone_shuts_nothing(x, fans):
    x.connected("other")
    x.connected("third")
    for _ in range(2):
        fans.publish(SILENT)
    assert not CircuitBreaker.objects.exclude(opened_at=None).exists()


def test_an_x_that_answers_more_than_it_is_silent_is_not_silent(x):
    teams = [x.connected(f"cafe{n}") for n in range(3)]
    crowd = [Fans(x, team) for team in teams]
    for each in crowd:
        each.publish()
    for each in crowd:
        each.publish(SILENT)
    assert not CircuitBreaker.objects.exclude(opened_at=None).exists()


def test_silence_of_a_while_ago_is_over(x):
    for n in range(3):
        x.fault("status", status=503)
        x.publish(x.approved(x.connected(f"cafe{n}")))
        PublishAttempt.objects.update(started_at=timezone.now() - timedelta(minutes=2))
    assert not CircuitBreaker.objects.exclude(opened_at=None).exists()


def test_a_post_that_was_found_on_the_timeline_was_no_answer(x):
    """X has posted, and said nothing: it is as silent as before."""
    teams = [x.connected(f"cafe{n}") for n in range(3)]
    for team in teams:
        fans = Fans(x, team)
        x.fault("lost_answer")
        x.publish(x.approved(team))
        CircuitBreaker.objects.all().delete()
        x.sweep(after=timedelta(seconds=20))
        fans.publish(SILENT)
    assert CircuitBreaker.objects.get().opened_at


def test_refusals_are_answers(x):
    for n in range(4):
        x.fault(**REFUSED)
        x.publish(x.approved(x.connected(f"cafe{n}")))
    assert not CircuitBreaker.objects.exclude(opened_at=None).exists()


def test_afterwards_one_try_goes_and_closes_it_by_itself(x, opened):
    wait_out_the_breaker()
    assert x.publish(opened[3]).state == State.PUBLISHED
    assert PublishAttempt.objects.filter(on_trial=True).count() == 1
    breaker = CircuitBreaker.objects.get()
    assert (breaker.opened_at, breaker.shut_until, alarms()) == (None, None, [])
    assert AuditEvent.objects.filter(type="breaker.close").count() == 1


def test_while_the_one_try_is_under_way_no_second_one_goes(x, opened):
    wait_out_the_breaker()
    second = x.approved(opened[3].workspace, by="rui")
    first = claim_item(opened[3].pk, actor=WORKER, now=timezone.now())
    assert first is not None
    second = x.publish(second)
    assert (second.state, second.blocked_reason) == (State.APPROVED, "circuit_breaker")
    assert first.on_trial
    assert attempts(second) == []


def is_claimed(item: QueueItem) -> bool:
    """In a thread: whether the item could be claimed."""
    with closing(connection):
        return claim_item(item.pk, actor=WORKER, now=timezone.now()) is not None


def test_of_two_that_come_at_one_moment_one_is_the_try(x, opened, monkeypatch):
    """Both have asked the gates before one of them takes it."""
    monkeypatch.setattr(claim, "LOCK_SECONDS_WITH_A_WORKSPACE", 10)
    fifth = x.approved(x.connected("cafe4"))
    wait_out_the_breaker()
    with ThreadPoolExecutor(2) as pool:
        with held(CircuitBreaker.objects.get()):
            going = [pool.submit(is_claimed, item) for item in (opened[3], fifth)]
            wait_for_waiting(2)
        assert sorted(each.result(timeout=20) for each in going) == [False, True]
    assert PublishAttempt.objects.filter(on_trial=True).count() == 1


def test_a_try_that_came_too_late_for_its_call_leaves_it_to_the_next_one(x, opened, monkeypatch):
    wait_out_the_breaker()
    with monkeypatch.context() as patch:
        patch.setattr("publishing.services.publish.SEND_WINDOW_SECONDS", -1)
        assert x.publish(opened[3]).last_error == "claim_ran_out"
    now = timezone.now()
    assert CircuitBreaker.objects.filter(opened_at__isnull=False, shut_until__lte=now).exists()
    QueueItem.objects.update(not_before=None)
    assert x.publish(opened[3]).state == State.PUBLISHED
    assert CircuitBreaker.objects.get().opened_at is None


def test_a_try_that_finds_x_silent_still_shuts_it_again(x, opened):
    wait_out_the_breaker()
    x.fault("status", status=503)
    x.publish(opened[3])
    breaker = CircuitBreaker.objects.get()
    assert breaker.opened_at
    assert breaker.shut_until
    assert abs(breaker.shut_until - timezone.now() - SHUT_FOR) < timedelta(seconds=20)
    assert AuditEvent.objects.filter(type="breaker.open").count() == 1


def test_a_refusal_of_the_one_try_closes_it_too(x, opened):
    wait_out_the_breaker()
    x.fault(**REFUSED)
    x.publish(opened[3])
    assert CircuitBreaker.objects.get().opened_at is None
