"""Coming back from X in a browser: led to the account's page, or told what went wrong."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from tests.factories import UserFactory, WorkspaceFactory
from tests.x_integration.test_oauth_connect import consent, log_in, start
from workspaces.models import Membership
from x_integration.models import OAuthState, XAccount

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
NO_RIGHT_TO_POST = "tweet.read users.read offline.access"


def come_back(client, query, accept=BROWSER):
    return client.get(reverse("x-callback"), query, headers={"accept": accept})


def failed(answer, status):
    """The sentence of a page that says what went wrong."""
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    text = answer.content.decode()
    assert reverse("admin:x_integration_xaccount_changelist") in text
    return text


@pytest.fixture
def team(x):
    """A workspace without an account, and a person @cafe at X."""
    x.simulator.make_user("cafe")
    return WorkspaceFactory()


@pytest.fixture
def sent_back(client, team):
    """The query with which X sends the owner back, or whatever a test makes of it."""

    def agree(workspace=team, user="cafe", **changes):
        log_in(client, workspace)
        return consent(start(client, workspace.pk).json()["authorize_url"], user, **changes)

    return agree


def page_of(account):
    return reverse("admin:x_integration_xaccount_change", args=[account.pk])


# --- success --------------------------------------------------------------------------------------


def test_a_browser_is_led_to_the_accounts_page(client, sent_back):
    answer = come_back(client, sent_back())
    assert (answer.status_code, answer.headers["Location"]) == (
        302,
        page_of(XAccount.objects.get()),
    )
    assert "@cafe is connected." in client.get(answer.headers["Location"]).content.decode()


def test_a_browser_that_is_not_signed_in_is_led_to_the_login(client, sent_back):
    query = sent_back()
    client.logout()
    answer = come_back(client, query)
    account = XAccount.objects.get()
    assert answer.headers["Location"] == f"/admin/login/?next={page_of(account)}"
    assert "@cafe is connected." in client.get(answer.headers["Location"]).content.decode()


@pytest.mark.parametrize(
    "accept",
    [
        "*/*",
        "application/json",
        "application/json, text/plain, */*",
        "text/html, application/json",
    ],
)
def test_a_program_gets_json_as_ever(client, sent_back, accept):
    answer = come_back(client, sent_back(), accept)
    assert answer.json() == {"connected": True, "account_username": "cafe"}
    assert answer.headers["Content-Type"] == "application/json"


def test_whoever_does_not_say_what_they_want_gets_json(client, sent_back):
    assert client.get(reverse("x-callback"), sent_back()).json()["connected"] is True


def test_a_program_gets_its_errors_in_json_as_ever(client, sent_back):
    answer = come_back(client, sent_back(decision="cancel"), "*/*")
    assert (answer.status_code, answer.json()["code"]) == (409, "consent_denied")


# --- failure --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"decision": "cancel"}, "consent was not given at X"),
        ({"scope": NO_RIGHT_TO_POST}, "X did not grant tweet.write"),
    ],
)
def test_what_was_not_granted_is_said(client, sent_back, changes, sentence):
    assert sentence in failed(come_back(client, sent_back(**changes)), 409)


def test_another_account_is_said(client, x, sent_back):
    come_back(client, sent_back())
    x.simulator.make_user("bar")
    assert "belongs to @cafe" in failed(come_back(client, sent_back(user="bar")), 409)


def test_an_account_that_lives_elsewhere_is_said(client, sent_back):
    come_back(client, sent_back())
    query = sent_back(workspace=WorkspaceFactory())
    assert "connected in another workspace" in failed(come_back(client, query), 409)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"used_at": timezone.now()}, "used already"),
        ({"expires_at": timezone.now() - timedelta(minutes=1)}, "older than ten minutes"),
        ({"state_hash": "another"}, "this attempt is unknown"),
    ],
)
def test_a_state_that_is_no_good_is_said(client, sent_back, changes, sentence):
    query = sent_back()
    OAuthState.objects.update(**changes)
    assert sentence in failed(come_back(client, query), 409)


def test_another_persons_attempt_is_said(client, sent_back):
    query = sent_back()
    client.force_login(UserFactory())
    assert "somebody else began" in failed(come_back(client, query), 409)


def test_a_lost_role_is_said(client, sent_back):
    query = sent_back()
    Membership.objects.update(role="member")
    assert "Only an owner or admin" in failed(come_back(client, query), 403)


def test_a_code_that_x_does_not_take_is_said(client, sent_back):
    query = sent_back() | {"code": "wrong"}
    assert "X did not accept the code" in failed(come_back(client, query), 409)


def test_an_x_that_does_not_answer_is_said(client, x, sent_back):
    query = sent_back()
    x.fault("html", method="*", path="/2/users/me")
    assert "X answered 503." in failed(come_back(client, query), 503)


@pytest.mark.parametrize("query", [{}, {"code": "c"}, {"state": "s" * 501}])
def test_an_address_that_cannot_be_read_is_said(client, x, query):
    assert "begin again" in failed(come_back(client, query), 400)


def test_a_browser_that_takes_nothing_but_pages_gets_one(client, x):
    assert "is unknown" in failed(come_back(client, {"state": "s", "code": "c"}, "text/html"), 409)


def test_the_page_needs_no_session(client, x):
    answer = come_back(client, {"state": "s", "code": "c"})
    failed(answer, 409)
    assert "logout" not in answer.content.decode()
    assert "sessionid" not in answer.cookies


def test_the_page_shows_neither_code_nor_state(client, x, sent_back):
    query = sent_back() | {"code": "canary-code"}
    text = failed(come_back(client, query), 409)
    assert [secret for secret in query.values() if secret in text] == []


def test_the_page_keeps_the_headers_that_guard_it(client, x):
    headers = come_back(client, {"state": "s"}).headers
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["X-Frame-Options"] == "DENY"
    assert "form-action 'self'" in headers["Content-Security-Policy"].split("; ")
    assert "Accept" in headers["Vary"]
