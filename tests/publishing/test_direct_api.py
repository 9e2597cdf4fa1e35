"""The direct doors: who, whether it is open, the internal key, and only then what is asked for."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from django.core.checks import run_checks
from django.utils import timezone

from publishing import services
from publishing.direct_api import answer
from publishing.errors import BadContent, Blocked, DirectPublishingDisabled, KeyReused
from publishing.models import QueueItem
from publishing.states import State
from tests.api import member, program, signed_in
from tests.environments import PRODUCTION, bare
from tests.factories import QueueItemFactory, UserFactory, WorkspaceFactory
from tests.worlds import ROOT
from workspaces.actors import Actor
from workspaces.errors import NotAllowed
from x_integration.client import XClient

pytestmark = pytest.mark.django_db(transaction=True)

POST, REPLY = "/publishing/post", "/publishing/reply"
KEY = "an-internal-key-of-this-test"


@pytest.fixture
def cafe():
    """A workspace."""
    return WorkspaceFactory(slug="cafe")


@pytest.fixture
def opened(settings):
    """The door is open."""
    settings.PUBLISHING_DIRECT_API_ENABLED = True
    settings.PUBLISHING_DIRECT_API_INTERNAL_KEY = KEY


@pytest.fixture
def service(monkeypatch):
    """What the service says, which others test; and what it was called with."""
    calls = []

    def say(outcome):
        def publish_directly(workspace, **given):
            calls.append({"workspace": workspace, **given})
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        monkeypatch.setattr(services, "publish_directly", publish_directly)
        return calls

    return say


def send(client, workspace, path=POST, *, key: str | None = KEY, idempotency=None, **body):
    """Ask for a publication: the answer."""
    headers = {"X-Internal-Key": key, "Idempotency-Key": idempotency}
    more = {"in_reply_to_tweet_id": "1900000000000000001"} if path == REPLY else {}
    return client.post(
        path,
        {"workspace_id": str(workspace.pk), "text": "Hello", **more, **body},
        format="json",
        headers={name: value for name, value in headers.items() if value is not None},
    )


def told(answer_):
    """Status and code."""
    return answer_.status_code, answer_.json()["code"]


# --- The order of the checks --------------------------------------------------------------------


@pytest.mark.parametrize("path", [POST, REPLY])
def test_nobody_is_401_before_anything_else(client, cafe, opened, path):
    answer_ = client.post(path, b"{", content_type="application/json")
    assert told(answer_) == (401, "not_authenticated")


@pytest.mark.parametrize("path", [POST, REPLY])
def test_a_member_is_refused_by_role_open_or_not(cafe, settings, service, path):
    calls = service(None)
    settings.PUBLISHING_DIRECT_API_INTERNAL_KEY = KEY
    for flag in (False, True):
        settings.PUBLISHING_DIRECT_API_ENABLED = flag
        assert told(send(signed_in(member(cafe, "member")), cafe, path)) == (403, "role")
    assert calls == []


@pytest.mark.parametrize("path", [POST, REPLY])
def test_to_a_stranger_the_workspace_is_missing_just_like_one_that_never_was(cafe, opened, path):
    client = signed_in(UserFactory(is_superuser=True))
    never = WorkspaceFactory.build(id=uuid4())
    answers = [send(client, place, path) for place in (cafe, never)]
    assert told(answers[0]) == (404, "workspace_not_found")
    assert answers[0].content == answers[1].content


@pytest.mark.parametrize("path", [POST, REPLY])
@pytest.mark.parametrize("role", ["owner", "admin"])
def test_it_is_shut_unless_somebody_opened_it(cafe, settings, service, path, role):
    calls = service(None)
    settings.PUBLISHING_DIRECT_API_INTERNAL_KEY = KEY
    answer_ = send(signed_in(member(cafe, role)), cafe, path)
    assert (told(answer_), calls) == ((403, "direct_publishing_disabled"), [])


@pytest.mark.parametrize("path", [POST, REPLY])
@pytest.mark.parametrize("key", [None, "", " ", KEY[:-1], KEY + "x", KEY.upper(), "\xe9"])
def test_open_it_asks_for_the_internal_key(cafe, opened, service, path, key):
    calls = service(None)
    answer_ = send(signed_in(member(cafe)), cafe, path, key=key)
    assert (told(answer_), calls) == ((403, "invalid_internal_key"), [])


@pytest.mark.parametrize("given", [None, "", "None"])
@pytest.mark.parametrize("ours", ["", None])
def test_a_key_that_nobody_set_matches_nothing(cafe, settings, service, given, ours):
    calls = service(None)
    settings.PUBLISHING_DIRECT_API_ENABLED = True
    settings.PUBLISHING_DIRECT_API_INTERNAL_KEY = ours
    answer_ = send(signed_in(member(cafe)), cafe, key=given)
    assert (told(answer_), calls) == ((403, "invalid_internal_key"), [])


def test_a_program_needs_the_scope(cafe, opened, service):
    calls = service(None)
    owner = member(cafe)
    others = ["status:read", "queue:read", "queue:propose", "queue:edit", "audit:read"]
    assert told(send(program(cafe, owner, *others), cafe)) == (403, "missing_scope")
    assert calls == []


def test_a_program_publishes_in_its_own_workspace_only(cafe, opened, service):
    calls = service(None)
    owner = member(cafe)
    bar = WorkspaceFactory(owner=owner)
    answer_ = send(program(cafe, owner, "publish:direct"), bar)
    assert (told(answer_), calls) == ((404, "workspace_not_found"), [])


def test_an_operators_key_is_as_good_as_the_operator_is_now(cafe, opened, service):
    calls = service(None)
    owner = member(cafe)
    client = program(cafe, owner, "publish:direct")
    owner.memberships.update(role="member")
    assert (told(send(client, cafe)), calls) == ((403, "role"), [])


def test_a_session_without_a_csrf_token_publishes_nothing(cafe, opened, service):
    calls = service(None)
    client = signed_in(member(cafe))
    client.handler.enforce_csrf_checks = True
    assert (told(send(client, cafe)), calls) == ((403, "permission_denied"), [])


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete", "options"])
def test_nothing_but_post_does_anything(cafe, opened, method):
    answer_ = getattr(signed_in(member(cafe)), method)(POST, {}, format="json")
    assert told(answer_) == (405, "method_not_allowed")


# --- What is asked for --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        (POST, {"text": None}, "text"),
        (POST, {"text": "a\x00"}, "text"),
        (POST, {"text": 100.0}, "text"),
        (POST, {"approve": True}, "approve"),
        (POST, {"in_reply_to_tweet_id": "1"}, "in_reply_to_tweet_id"),
        (POST, {"workspace_id": "7"}, "workspace_id"),
        (POST, {"workspace_id": None}, "workspace_id"),
        (REPLY, {"in_reply_to_tweet_id": None}, "in_reply_to_tweet_id"),
        (REPLY, {"in_reply_to_tweet_id": "x"}, "in_reply_to_tweet_id"),
        (REPLY, {"in_reply_to_tweet_id": "9" * 20}, "in_reply_to_tweet_id"),
    ],
)
def test_a_bad_body_is_400_and_names_the_field(cafe, opened, service, path, body, field):
    calls = service(None)
    answer_ = send(signed_in(member(cafe)), cafe, path, **body)
    assert (told(answer_), calls) == ((400, "invalid"), [])
    assert list(answer_.json()["fields"]) == [field]


@pytest.mark.parametrize("key", ["", "x" * 201, "a\tb", "\xe9", "a\x7f"])
def test_an_idempotency_key_is_printable_ascii(cafe, opened, service, key):
    calls = service(None)
    answer_ = send(signed_in(member(cafe)), cafe, idempotency=key)
    assert (told(answer_), calls) == ((400, "invalid"), [])
    assert list(answer_.json()["fields"]) == ["Idempotency-Key"]


@pytest.mark.parametrize(
    ("path", "target"), [(POST, None), (REPLY, "1900000000000000001")], ids=["post", "reply"]
)
def test_the_service_gets_what_was_sent(cafe, opened, service, path, target):
    calls = service(QueueItemFactory(workspace=cafe, state=State.PUBLISHED, x_post_id="7"))
    owner = member(cafe)
    key = "~ a key" + "x" * 193
    assert send(signed_in(owner), cafe, path, text=" Hello ", idempotency=key).status_code == 201
    (call,) = calls
    assert (call["workspace"], call["text"], call["in_reply_to"]) == (cafe, " Hello ", target)
    assert (call["idempotency_key"], str(call["actor"])) == (key, f"user:{owner.pk}")
    assert (call["actor"].door, call["clock"]) == ("api", timezone.now)


def test_without_an_idempotency_key_there_is_none(cafe, opened, service):
    calls = service(QueueItemFactory(workspace=cafe, state=State.PUBLISHED, x_post_id="7"))
    send(signed_in(member(cafe)), cafe)
    assert calls[0]["idempotency_key"] == ""


# --- What is answered ---------------------------------------------------------------------------


def row(state, **more):
    """A row of the queue in that state, as the database has it."""
    return QueueItem.objects.get(pk=QueueItemFactory(number=7, state=state, **more).pk)


def test_published_is_201_with_the_post():
    answer_ = answer(row(State.PUBLISHED, x_post_id="1900000000000000009"))
    assert answer_.status_code == 201
    assert answer_.data == {
        "number": 7,
        "state": "published",
        "x_post_id": "1900000000000000009",
        "code": None,
        "words": None,
    }


def test_unconfirmed_is_202_with_what_went_wrong():
    answer_ = answer(row(State.UNCONFIRMED, last_error="timeout"))
    assert (answer_.status_code, answer_.data["state"]) == (202, "unconfirmed")
    assert (answer_.data["code"], answer_.data["x_post_id"]) == ("timeout", None)


def test_failed_is_502_with_xs_own_words():
    answer_ = answer(row(State.FAILED, last_error="forbidden", last_words="The moon is wrong."))
    assert (answer_.status_code, answer_.data["code"]) == (502, "forbidden")
    assert (answer_.data["words"], answer_.data["number"]) == ("The moon is wrong.", 7)
    assert answer_.data["detail"]


def test_in_progress_is_409():
    answer_ = answer(row(State.PUBLISHING))
    assert (answer_.status_code, answer_.data["code"]) == (409, "in_progress")
    assert answer_.data["detail"]


@pytest.mark.parametrize("state", sorted(set(State) - {State.PUBLISHED}))
def test_nothing_but_published_is_a_success(state):
    assert answer(row(state)).status_code != 201


@pytest.mark.parametrize("state", [State.PENDING, State.APPROVED, State.HANDED_OFF])
def test_what_a_person_took_up_again_is_not_said_to_have_failed(state):
    """The caller would send it once more, under another key."""
    answer_ = answer(row(state))
    assert (answer_.status_code, answer_.data["state"]) == (202, state)
    assert answer_.data["detail"]


UNTIL = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Blocked("thread_cooldown", not_before=UNTIL), 409, "thread_cooldown"),
        (Blocked("kill_switch"), 409, "kill_switch"),
        (KeyReused(), 422, "idempotency_key_reused"),
        (BadContent("It is too long."), 422, "bad_content"),
        (NotAllowed(), 403, "role"),
    ],
)
def test_each_error_of_the_service_has_its_number(cafe, opened, service, error, status, code):
    service(error)
    answer_ = send(signed_in(member(cafe)), cafe)
    assert told(answer_) == (status, code)
    assert answer_.json()["detail"]


def test_a_block_says_until_when(cafe, opened, service):
    service(Blocked("thread_cooldown", not_before=UNTIL))
    answer_ = send(signed_in(member(cafe)), cafe)
    assert answer_.headers["Retry-After"] == "Wed, 25 Nov 2026 12:00:00 GMT"
    assert "2026-11-25 12:00:00 UTC" in answer_.json()["detail"]


# --- Never in production ------------------------------------------------------------------------


@pytest.mark.parametrize("path", [POST, REPLY])
def test_in_production_it_is_shut_whatever_the_flag_says(cafe, opened, settings, path):
    settings.ENVIRONMENT = "production"
    owner = member(cafe)
    assert told(send(signed_in(owner), cafe, path)) == (403, "direct_publishing_disabled")
    with pytest.raises(DirectPublishingDisabled):
        services.publish_directly(
            cafe,
            text="Hello",
            in_reply_to=None,
            actor=Actor.operator(owner, door="api"),
            x=XClient(),
            clock=timezone.now,
        )


def test_the_system_check_says_so_too(settings):
    settings.ENVIRONMENT, settings.PUBLISHING_DIRECT_API_ENABLED = "production", True
    found = [each for each in run_checks(tags=["publishing"]) if each.id == "publishing.E001"]
    assert [each.hint for each in found] == ["Set PUBLISHING_DIRECT_API_ENABLED=false."]


@pytest.mark.parametrize(
    ("environment", "flag"), [("production", False), ("staging", True), ("development", True)]
)
def test_the_system_check_is_content_otherwise(settings, environment, flag):
    settings.ENVIRONMENT, settings.PUBLISHING_DIRECT_API_ENABLED = environment, flag
    assert run_checks(tags=["publishing"]) == []


@pytest.mark.parametrize(
    "command",
    [
        ["-m", "gunicorn", "-c", "deploy/gunicorn.conf.py", "revfirst.wsgi:application"],
        ["manage.py", "qcluster"],
        ["manage.py", "check"],
        ["manage.py", "runserver", "--noreload"],
    ],
    ids=["web", "worker", "check", "runserver"],
)
def test_in_production_nothing_starts_while_it_is_open(tmp_path, free_port, command):
    env = bare(tmp_path, **PRODUCTION, WEB_BIND=f"127.0.0.1:{free_port}")
    env["PUBLISHING_DIRECT_API_ENABLED"] = "true"
    status, said = _run(command, env)
    assert status not in {0, None}
    assert "PUBLISHING_DIRECT_API_ENABLED must be false in production." in said
    assert "Traceback" not in said


def _run(command, env):
    """How a process of its own ended (None: it had to be ended), and what it said."""
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return None, process.communicate()[0]
    return process.returncode, said
