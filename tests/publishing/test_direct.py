"""Publishing without an approval, over real HTTP to X: one post for one key, every trace audited."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.utils import timezone

from publishing.errors import Blocked, KeyReused
from publishing.models import CircuitBreaker, DirectRequest, PublishAttempt, QueueItem
from publishing.services import compare_counters, opt_out_author, publish_directly
from publishing.services.publish import call_and_settle
from publishing.states import State
from tests.api import signed_in
from tests.locks import held, wait_for_waiting
from tests.worlds import WORKER, attempts, operator, problem
from workspaces.actors import Actor
from workspaces.errors import NotAllowed
from workspaces.models import AuditEvent, Counter, Workspace
from workspaces.services import set_kill_switch
from x_integration.client import XClient
from x_integration.models import SourcePost, Spend, XAccount

KEY = "an-internal-key-of-this-test"
TEXT = "The bar is open!"


@pytest.fixture
def cafe(x, settings):
    """A connected workspace, and an open door."""
    settings.PUBLISHING_DIRECT_API_ENABLED = True
    settings.PUBLISHING_DIRECT_API_INTERNAL_KEY = KEY
    return x.connected()


def ask(cafe: Workspace, text: str = TEXT, *, key: str = "", to: str | None = None):
    """Over HTTP, as the owner: the answer."""
    body = {"workspace_id": str(cafe.pk), "text": text}
    if to:
        body["in_reply_to_tweet_id"] = to
    headers = {"X-Internal-Key": KEY, **({"Idempotency-Key": key} if key else {})}
    path = "/publishing/reply" if to else "/publishing/post"
    owner = signed_in(operator(cafe).user)  # type: ignore[arg-type]
    return owner.post(path, body, format="json", headers=headers)


def publish_as(actor: Actor, cafe: Workspace, text: str) -> object:
    """In a thread, under the same key each time: the item's id, or the name of the error."""
    with closing(connection):
        try:
            return publish_directly(
                cafe,
                text=text,
                in_reply_to=None,
                actor=actor,
                x=XClient(),
                clock=timezone.now,
                idempotency_key="the same",
            ).pk
        except (KeyReused, Blocked, NotAllowed) as error:
            return error.code


def together(cafe: Workspace, *bodies: str) -> list[object]:
    """One key, several bodies, all past the first look at the key; items, or names of errors."""
    owner = operator(cafe, door="api")
    with ThreadPoolExecutor(len(bodies)) as pool:
        with held(cafe):
            going = [pool.submit(publish_as, owner, cafe, text) for text in bodies]
            wait_for_waiting(len(bodies))
        return [each.result(timeout=20) for each in going]


# --- One post for one key ---------------------------------------------------------------------------


def test_two_requests_with_one_key_at_one_moment_are_one_post(x, cafe):
    first, second = together(cafe, TEXT, TEXT)
    assert first == second == QueueItem.objects.get().pk
    assert len(x.machine_posts()) == 1
    assert AuditEvent.objects.filter(type="direct.block").count() == 0
    assert DirectRequest.objects.count() == 1


def test_one_key_with_two_bodies_at_one_moment_publishes_one_of_them(x, cafe):
    told = together(cafe, TEXT, "Something else")
    assert sorted(map(str, told)) == sorted(
        [str(QueueItem.objects.get().pk), "idempotency_key_reused"]
    )
    assert len(x.machine_posts()) == 1


def test_a_long_text_with_its_key_again_is_no_repetition(x, cafe):
    answers = [ask(cafe, f"{TEXT} Come in, sit down, and have a coffee.", key="k") for _ in "ab"]
    assert [answer.status_code for answer in answers] == [201, 201]


def test_nobody_is_mentioned_directly_who_did_not_ask_for_it(x, cafe):
    said = x.mention(cafe, by="lia")["id"]
    told = [ask(cafe, "With @eva tonight"), ask(cafe, "@lia @eva hello", to=said)]
    assert [answer.json()["code"] for answer in told] == ["bad_content", "bad_content"]
    assert x.machine_posts() == []
    assert ask(cafe, "@lia hello", to=said).status_code == 201


def test_a_key_again_brings_the_first_item_and_uses_no_number(x, cafe):
    answers = [ask(cafe, key="k") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201, 201, 201]
    assert len({answer.json()["x_post_id"] for answer in answers}) == 1
    cafe.refresh_from_db()
    assert (cafe.last_item_number, len(x.machine_posts())) == (1, 1)


def test_a_key_with_another_body_is_422(x, cafe):
    ask(cafe, key="k")
    answer = ask(cafe, "Something else", key="k")
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert len(x.machine_posts()) == 1


def test_a_key_stands_for_the_post_that_it_answers_too(x, cafe):
    ask(cafe, key="k")
    answer = ask(cafe, key="k", to=x.mention(cafe)["id"])
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert len(x.machine_posts()) == 1


def test_a_key_of_another_workspace_is_another_key(x, cafe):
    assert ask(cafe, key="k").status_code == 201
    answer = ask(x.connected("bar"), key="k")
    assert (answer.status_code, answer.json()["number"]) == (201, 1)
    assert len(x.machine_posts()) == 2


def test_a_key_stays_with_what_was_in_doubt(x, cafe):
    x.fault("status", status=500)
    answers = [ask(cafe, key="k") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert len(x.calls("POST", "/2/tweets")) == 1


def test_a_block_leaves_the_key_free(x, cafe):
    Workspace.objects.update(paused_at=timezone.now(), paused_reason="test")
    assert ask(cafe, key="k").json()["code"] == "workspace_paused"
    Workspace.objects.update(paused_at=None, paused_reason="")
    assert ask(cafe, key="k").status_code == 201


# --- What it leaves behind ------------------------------------------------------------------------


def counted(name: str, labels: str = "") -> Decimal:
    row = Counter.objects.filter(name=name, labels=labels).first()
    return row.value if row else Decimal(0)


def test_a_post_is_counted_as_a_post_and_as_direct(x, cafe):
    assert ask(cafe).status_code == 201
    assert (counted("posts_published_total"), counted("direct_publish_total")) == (1, 1)
    assert AuditEvent.objects.get(type="item.confirm").data["direct"] is True
    assert AuditEvent.objects.get(type="item.direct").data["target"] is None
    assert compare_counters() == []


def test_a_reply_names_its_target_by_our_own_number(x, cafe):
    said = x.mention(cafe)
    assert ask(cafe, to=said["id"]).status_code == 201
    row = AuditEvent.objects.get(type="item.direct")
    assert row.data["target"] == SourcePost.objects.get().pk
    assert (counted("replies_published_total"), counted("direct_publish_total")) == (1, 1)


def test_no_word_and_no_name_of_x_is_in_the_audit_log(x, cafe):
    said = x.mention(cafe, "@cafe a very private remark", by="lia")
    ask(cafe, to=said["id"])
    log = " ".join(str(row.data) for row in AuditEvent.objects.all())
    author = SourcePost.objects.get().author_id
    for secret in ("private remark", "lia", said["id"], author, TEXT):
        assert secret not in log


def test_looking_up_the_target_is_spend_once(x, cafe):
    said = x.mention(cafe)
    x.fault("status", status=400)
    ask(cafe, to=said["id"])
    ask(cafe, "Other words", to=said["id"])
    assert len(x.calls("GET", "/2/tweets")) == 1
    spent = Spend.objects.get(kind="post_read")
    assert (spent.calls, spent.usd) == (1, Decimal("0.005"))
    assert counted("x_spend_usd_total", "kind=post_read") == Decimal("0.005")
    row = AuditEvent.objects.get(type="posts.look_up")
    assert row.data["source_post"] == SourcePost.objects.get().pk
    assert compare_counters() == []


def test_a_post_that_x_does_not_show_costs_nothing(x, cafe):
    answer = ask(cafe, to="1900000000000000001")
    assert (answer.status_code, answer.json()["code"]) == (409, "target_not_eligible")
    assert not Spend.objects.exists()
    assert not AuditEvent.objects.filter(type="posts.look_up").exists()
    assert counted("publish_blocked_total", "reason=target_not_eligible") == 1


def test_what_was_ingested_is_not_looked_up(x, cafe):
    said = x.mention(cafe)
    x.ingest(cafe)
    assert ask(cafe, to=said["id"]).status_code == 201
    assert not AuditEvent.objects.filter(type="posts.look_up").exists()


# --- The same gates, the same settle -----------------------------------------------------------------


def _pause(cafe):
    Workspace.objects.update(paused_at=timezone.now(), paused_reason="test")


def _no_budget(cafe):
    Workspace.objects.update(daily_budget_usd=0)


@pytest.mark.parametrize(
    ("spoil", "reason"), [(_pause, "workspace_paused"), (_no_budget, "budget")]
)
def test_a_gate_is_409_with_its_reason_and_leaves_no_item(x, cafe, spoil, reason):
    spoil(cafe)
    answer = ask(cafe)
    assert (answer.status_code, answer.json()["code"]) == (409, reason)
    assert not QueueItem.objects.exists()
    assert AuditEvent.objects.get(type="direct.block").data == {"reason": reason}
    assert counted("publish_blocked_total", f"reason={reason}") == 1


def test_while_something_stops_us_x_is_not_asked_for_the_target(x, cafe):
    said = x.mention(cafe)
    _pause(cafe)
    assert ask(cafe, to=said["id"]).json()["code"] == "workspace_paused"
    set_kill_switch(True, reason="test", actor=WORKER, now=timezone.now(), wait=False)
    XAccount.objects.update(revoked_at=timezone.now())
    assert ask(cafe, to=said["id"]).json()["code"] == "kill_switch"
    assert x.calls("GET", "/2/tweets") == []
    assert AuditEvent.objects.filter(type="direct.block").count() == 2


def test_that_there_is_no_token_ranks_with_the_account(x, cafe):
    _no_budget(cafe)
    now = timezone.now()
    somebody_renews = {"refresh_leased_until": now + timedelta(minutes=1)}
    XAccount.objects.update(expires_at=now - timedelta(hours=1), **somebody_renews)
    assert ask(cafe).json()["code"] == "account_not_ready"


def test_that_there_is_no_token_to_look_up_the_target_ranks_there_too(x, cafe):
    said = x.mention(cafe)
    XAccount.objects.update(expires_at=timezone.now() - timedelta(hours=1))
    x.fault("status", path="/2/oauth2/token", status=500)
    answer = ask(cafe, to=said["id"])
    assert (answer.status_code, answer.json()["code"]) == (409, "account_not_ready")
    assert counted("publish_blocked_total", "reason=account_not_ready") == 1
    assert x.calls("GET", "/2/tweets") == []


def test_a_pause_after_the_workspace_was_read_stops_it(x, cafe):
    _pause(cafe)
    assert cafe.paused_at is None
    assert publish_as(operator(cafe, door="api"), cafe, TEXT) == "workspace_paused"
    assert x.machine_posts() == []


def test_while_it_is_the_one_try_of_the_breaker_nobody_else_goes(x, cafe, monkeypatch):
    long_ago = timezone.now() - timedelta(minutes=10)
    CircuitBreaker.objects.create(opened_at=long_ago, shut_until=long_ago)
    shut = []

    def look(*given, **more):
        shut.append(CircuitBreaker.objects.filter(shut_until__gt=timezone.now()).exists())
        return call_and_settle(*given, **more)

    monkeypatch.setattr("publishing.services.direct.call_and_settle", look)
    assert ask(cafe).status_code == 201
    assert shut == [True]
    assert CircuitBreaker.objects.get().opened_at is None


def test_a_401_marks_the_token_and_is_not_tried_again(x, cafe):
    x.fault(**problem(401))
    answer = ask(cafe)
    assert (answer.status_code, answer.json()["code"]) == (502, "x_unauthorized")
    assert XAccount.objects.get().access_token_rejected_at
    assert len(x.calls("POST", "/2/tweets")) == 1


def test_who_loses_the_role_before_the_claim_publishes_nothing(x, cafe):
    actor = operator(cafe, door="api")
    with ThreadPoolExecutor() as pool:
        with held(cafe):
            going = pool.submit(publish_as, actor, cafe, TEXT)
            wait_for_waiting(1)
            cafe.memberships.filter(user=actor.user).update(role="member")
        assert going.result(timeout=20) == "role"
    assert (x.machine_posts(), QueueItem.objects.count()) == ([], 0)


def test_somebody_who_opted_out_is_not_answered_directly(x, cafe):
    said = x.mention(cafe)
    x.ingest(cafe)
    opt_out_author(SourcePost.objects.get(), actor=operator(cafe), now=timezone.now())
    assert ask(cafe, to=said["id"]).json()["code"] == "author_opted_out"
    assert x.machine_posts() == []


@pytest.mark.parametrize(
    ("fault", "status", "state", "outcome", "charged"),
    [
        (problem(400), 502, State.FAILED, "refused", False),
        (problem(429), 502, State.FAILED, "not_executed", False),
        ({"kind": "no_credits"}, 502, State.FAILED, "not_executed", False),
        ({"kind": "drop"}, 202, State.UNCONFIRMED, "unknown", True),
        ({"kind": "truncate"}, 202, State.UNCONFIRMED, "unknown", True),
    ],
    ids=["400", "429", "402", "drop", "truncate"],
)
def test_what_x_made_of_it(x, cafe, fault, status, state, outcome, charged):
    """What X did not execute is not tried again: nobody waits in a queue for it."""
    x.fault(**fault)
    assert ask(cafe).status_code == status
    item = QueueItem.objects.get()
    assert (item.state, attempts(item)) == (state, [outcome])
    assert Spend.objects.exists() is charged
    assert counted("direct_publish_total") == 0
    assert PublishAttempt.objects.get().is_direct
    assert compare_counters() == []
