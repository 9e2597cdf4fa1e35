"""What X's answer makes of an item: the table in docs/X-API.md, from the wire to the row."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from publishing.models import QueueItem
from publishing.services import claim_item
from publishing.states import State
from tests.worlds import attempts, problem
from workspaces.models import AuditEvent, Counter, SystemHold
from x_integration.models import XAccount

SUMMON = "You can only reply to or quote posts where you are mentioned or are the author."
DUPLICATE = "You are not allowed to create a Tweet with duplicate content."
PREFIX = "https://api.twitter.com/2/problems/"

RELEASED: dict[str, dict[str, Any]] = {
    "rate_limited": problem(429),
    "usage_capped": problem(429, kind=f"{PREFIX}usage-capped"),
    "no_credits": problem(402, kind=f"{PREFIX}credits"),
    "client_forbidden": problem(403, kind=f"{PREFIX}client-forbidden"),
    "x_account": problem(403, "Your account is suspended and may not do this."),
}
FAILED: dict[str, dict[str, Any]] = {
    "invalid_request": problem(400, kind=f"{PREFIX}invalid-request"),
    "summon_rule": problem(403, SUMMON),
    "forbidden": problem(403, "Something that nobody has seen before."),
    "target_gone": problem(404, kind=f"{PREFIX}resource-not-found"),
    "x_422": problem(422),
}
DOUBTED: dict[str, dict[str, Any]] = {
    "x_500": problem(500),
    "x_503": {"kind": "html"},
    "x_404": {"kind": "status", "status": 404},
    "x_408": problem(408),
    "x_302": {"kind": "status", "status": 302, "headers": {"Location": "/2/tweets"}},
    "duplicate_content": problem(403, DUPLICATE),
    "x_answer_lost": {"kind": "drop"},
}
SHAPES_OF_A_DUPLICATE: dict[str, Any] = {
    "an old number": {"errors": [{"code": 187, "message": "Status is a duplicate."}]},
    "behind a general detail": {
        "title": "Forbidden",
        "detail": "Forbidden",
        "errors": [{"message": DUPLICATE}],
    },
    "the second of two errors": {"errors": [{"message": "No."}, {"message": DUPLICATE}]},
    "after many words": {"detail": "No. " * 200, "errors": [{"message": DUPLICATE}]},
}
DOUBTED_AFTER_POSTING: dict[str, dict[str, Any]] = {
    "x_answer_lost": {"kind": "lost_answer"},
    "x_502": {"kind": "status_after", "status": 502},
    "x_201": {"kind": "truncate"},
}


@pytest.fixture
def item(x):
    """An approved reply."""
    return x.approved(x.connected())


@pytest.mark.parametrize("code", RELEASED)
def test_what_x_did_not_execute_is_released_and_counts_no_try(x, item, code):
    x.fault(**RELEASED[code])
    item = x.publish(item)
    assert (item.state, item.last_error, item.tries) == (State.APPROVED, code, 0)
    assert attempts(item) == ["not_executed"]
    assert item.not_before > timezone.now()


@pytest.mark.parametrize("code", FAILED)
def test_what_x_refused_fails_with_its_own_words(x, item, code):
    x.fault(**FAILED[code])
    item = x.publish(item)
    assert (item.state, item.last_error) == (State.FAILED, code)
    assert FAILED[code]["body"]["detail"] in item.last_words
    assert attempts(item) == ["refused"]


@pytest.mark.parametrize("code", DOUBTED)
def test_what_may_have_happened_is_a_doubt_and_not_sent_again(x, item, code):
    x.fault(**DOUBTED[code])
    item = x.publish(x.publish(item))
    assert (item.state, item.last_error) == (State.UNCONFIRMED, code)
    assert attempts(item) == ["unknown"]
    assert len(x.calls("POST", "/2/tweets")) == 1


@pytest.mark.parametrize("shape", SHAPES_OF_A_DUPLICATE)
def test_a_duplicate_is_a_doubt_in_whatever_shape_x_says_it(x, item, shape):
    """Refused, it would free the post for a second reply of ours."""
    x.fault("status", status=403, body=SHAPES_OF_A_DUPLICATE[shape])
    item = x.publish(item)
    assert (item.state, item.last_error) == (State.UNCONFIRMED, "duplicate_content")


@pytest.mark.parametrize(
    ("body", "state"),
    [
        ({"title": "Forbidden", "detail": "Forbidden", "errors": [{"message": SUMMON}]}, "failed"),
        ({"errors": [{"code": 326, "message": "Log in to unlock it."}]}, "approved"),
        ({"errors": [{"code": 64, "message": "This account may not."}]}, "approved"),
        ({"errors": [{"code": 385, "message": "That Tweet is deleted."}]}, "failed"),
    ],
)
def test_what_stands_behind_a_general_answer_decides(x, item, body, state):
    x.fault("status", status=403, body=body)
    item = x.publish(item)
    assert item.state == state
    assert XAccount.objects.exclude(held_at=None).exists() is (state == "approved")


@pytest.mark.parametrize("code", DOUBTED_AFTER_POSTING)
def test_a_post_whose_answer_was_lost_is_found_on_the_timeline(x, item, code):
    x.fault(**DOUBTED_AFTER_POSTING[code])
    item = x.publish(item)
    assert (item.state, item.last_error) == (State.UNCONFIRMED, code)
    x.sweep(after=timedelta(seconds=20))
    item.refresh_from_db()
    assert (item.state, item.x_post_id) == (State.PUBLISHED, x.machine_posts()[0]["id"])
    assert AuditEvent.objects.get(type="item.confirm").data["reconciled"] is True


def test_a_rate_limit_waits_until_x_says(x, item):
    reset = timezone.now().replace(microsecond=0) + timedelta(minutes=9)
    headers = {"x-rate-limit-reset": str(int(reset.timestamp()))}
    x.fault(**problem(429), headers=headers)
    assert x.publish(item).not_before == reset


def test_an_unreachable_x_is_tried_again_with_growing_pauses_and_then_fails(x, item, settings):
    settings.X_API_BASE_URL = "http://127.0.0.1:1"
    waits = []
    for _ in range(5):
        QueueItem.objects.update(not_before=None)
        before = timezone.now()
        item = x.publish(item)
        waits.append((item.not_before or before) - before > timedelta(seconds=29))
    assert (item.state, item.tries) == (State.FAILED, 4)
    assert waits[:4] == [True] * 4
    assert attempts(item) == ["not_executed"] * 5


def test_no_credit_stops_everybody_until_a_person_lifts_the_hold(x, item):
    x.fault(**RELEASED["no_credits"])
    x.publish(item)
    assert SystemHold.objects.get(lifted_at=None).kind == "no_credits"


def test_a_suspended_account_is_held(x, item):
    x.fault(**RELEASED["x_account"])
    x.publish(item)
    assert XAccount.objects.get().held_reason == "x_account"


def test_one_401_leads_to_one_renewal_and_one_more_call(x, item):
    x.fault(**problem(401))
    item = x.publish(item)
    assert item.state == State.PUBLISHED
    assert attempts(item) == ["not_executed", "succeeded"]
    assert len(x.calls("POST", "/2/oauth2/token")) == 1
    assert len(x.calls("POST", "/2/tweets")) == 2


def test_a_second_401_holds_the_account(x, item):
    x.fault(**{**problem(401), "times": 2})
    item = x.publish(item)
    assert (item.state, item.tries) == (State.APPROVED, 0)
    assert XAccount.objects.get().held_reason == "x_unauthorized"
    assert len(x.calls("POST", "/2/tweets")) == 2


def test_an_expired_token_is_renewed_before_the_claim(x, item):
    XAccount.objects.update(expires_at=timezone.now() - timedelta(minutes=1))
    assert x.publish(item).state == State.PUBLISHED
    assert len(x.calls("POST", "/2/oauth2/token")) == 1


@pytest.mark.parametrize("code", [*FAILED, *DOUBTED])
def test_every_error_is_counted_once_under_its_code(x, item, code):
    x.fault(**(FAILED | DOUBTED)[code])
    x.publish(item)
    counter = Counter.objects.get(name="publish_errors_total")
    assert (counter.labels, counter.value) == (f"code={code}", 1)


def test_a_claim_that_ran_out_sends_nothing(x, item, monkeypatch):
    monkeypatch.setattr("publishing.services.publish.SEND_WINDOW_SECONDS", -1)
    item = x.publish(item)
    assert (item.state, item.last_error) == (State.APPROVED, "claim_ran_out")
    assert x.calls("POST", "/2/tweets") == []


def test_the_snapshot_is_sent_and_never_the_live_row(x, item, monkeypatch):
    def claim_then_tamper(*args, **kwargs):
        attempt = claim_item(*args, **kwargs)
        QueueItem.objects.update(text="Tampered")
        return attempt

    monkeypatch.setattr("publishing.services.publish.claim_item", claim_then_tamper)
    said = item.text
    x.publish(item)
    assert [post["text"] for post in x.machine_posts()] == [said]
