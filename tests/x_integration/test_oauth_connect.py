"""Connecting an account: the whole flow over the API and X's consent page."""

import logging
from datetime import timedelta
from decimal import Decimal
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests
from django.db import DatabaseError
from django.utils import timezone

from revfirst.logs import JsonFormatter
from tests.books import bill_equals_ledger
from tests.factories import MembershipFactory, UserFactory, WorkspaceFactory
from tests.x_integration.conftest import opened
from workspaces.counters import compare
from workspaces.models import Alarm, AuditChain, AuditEvent, Membership
from workspaces.services import raise_alarm
from x_integration.client import XClient
from x_integration.crypto import Secret
from x_integration.models import OAuthState, PricedCall, XAccount
from x_integration.services import forget_old_states

AUTHORIZE, CALLBACK = "/integrations/x/oauth/authorize", "/integrations/x/oauth/callback"


@pytest.fixture
def team(x):
    """A workspace without an account, and a person @cafe at X."""
    x.simulator.make_user("cafe")
    return WorkspaceFactory()


def log_in(client, workspace, role="owner"):
    """Enter with a role; None is a stranger."""
    user = UserFactory()
    if role:
        MembershipFactory(workspace=workspace, user=user, role=role)
    client.force_login(user)
    return user


def start(client, workspace_id):
    body = {"workspace_id": str(workspace_id)}
    return client.post(AUTHORIZE, body, content_type="application/json")


def consent(url, user="cafe", decision="allow", **changes):
    """Press a button at X; the query with which X sends the person back."""
    page, _, query = url.partition("?")
    asked = {name: values[0] for name, values in parse_qs(query).items()}
    form = asked | {"user": user, "decision": decision} | changes
    answer = requests.post(page, data=form, allow_redirects=False, timeout=10)
    sent_back = parse_qs(urlsplit(answer.headers["Location"]).query)
    return {name: values[0] for name, values in sent_back.items()}


def come_back(client, query):
    return client.get(f"{CALLBACK}?{urlencode(query)}")


@pytest.fixture
def connect(client, team):
    """Connect the team's account by the owner, or whatever a test makes of it."""

    def run(workspace=team, user="cafe", **changes):
        log_in(client, workspace)
        return come_back(
            client, consent(start(client, workspace.pk).json()["authorize_url"], user, **changes)
        )

    return run


# --- beginning ------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", Membership.OPERATORS)
def test_an_operator_may_begin(client, team, role):
    log_in(client, team, role)
    answer = start(client, team.pk)
    assert answer.status_code == 200
    assert answer.json().keys() == {"authorize_url", "state", "expires_in", "scope"}


@pytest.mark.parametrize(
    ("role", "status", "code"), [("member", 403, "role"), (None, 404, "workspace_not_found")]
)
def test_nobody_else_may_begin(client, team, role, status, code):
    log_in(client, team, role)
    answer = start(client, team.pk)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert not OAuthState.objects.exists()


def test_somebody_who_has_not_logged_in_may_not_begin(client, team):
    answer = start(client, team.pk)
    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")


def test_a_workspace_that_is_not_there_is_missing(client, team):
    log_in(client, team)
    assert start(client, "6e3ef5b8-9f7e-4d51-bb45-0f0c9b1f2f6e").status_code == 404


@pytest.mark.parametrize("body", ["{}", '{"workspace_id": "x"}', '{"workspace_id": null}', "[]"])
def test_a_body_without_a_workspace_is_told_which_field(client, team, body):
    log_in(client, team)
    answer = client.post(AUTHORIZE, body, content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert answer.json()["fields"]


def test_a_body_that_is_no_json_is_an_error_and_no_crash(client, team):
    log_in(client, team)
    answer = client.post(AUTHORIZE, "{", content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (400, "parse_error")


def test_the_address_asks_x_for_a_code_with_a_challenge(client, team, settings):
    log_in(client, team)
    answer = start(client, team.pk).json()
    url, _, query = answer["authorize_url"].partition("?")
    asked = {name: values[0] for name, values in parse_qs(query).items()}
    assert url == settings.X_AUTHORIZE_URL
    assert len(asked.pop("code_challenge")) == 43
    assert asked == {
        "response_type": "code",
        "client_id": settings.X_CLIENT_ID,
        "redirect_uri": settings.X_REDIRECT_URI,
        "scope": "tweet.read tweet.write users.read offline.access",
        "state": answer["state"],
        "code_challenge_method": "S256",
    }


def test_the_state_is_stored_as_a_hash_and_the_verifier_sealed(client, team):
    log_in(client, team)
    answer = start(client, team.pk).json()
    columns = OAuthState.objects.values().get()
    assert answer["state"] not in str(columns)
    assert isinstance(columns["code_verifier"], Secret)
    assert columns["code_verifier"].open() not in str(answer) + columns["code_verifier"].ciphertext


# --- the whole flow -------------------------------------------------------------------------------


def test_consent_connects_the_account(connect, team):
    answer = connect()
    assert (answer.status_code, answer.json()) == (
        200,
        {"connected": True, "account_username": "cafe"},
    )
    account = XAccount.objects.get(workspace=team)
    assert account.publish_ready(timezone.now())
    assert XClient().me(opened(account.access_token)) == (account.x_user_id, "cafe")


def test_the_way_back_needs_no_session(client, team):
    log_in(client, team)
    query = consent(start(client, team.pk).json()["authorize_url"])
    client.logout()
    assert come_back(client, query).status_code == 200


def test_connecting_is_audited_under_the_person_who_began(client, connect, team):
    connect()
    event = AuditEvent.objects.get(type="account.connect")
    person = Membership.objects.get(workspace=team).user
    assert (event.chain, event.actor, event.door) == (str(team.pk), f"user:{person.pk}", "api")
    assert event.data == {
        "token_version": 1,
        "scope": "tweet.read tweet.write users.read offline.access",
        "hold_lifted": False,
        "spend": "user_read",
        "usd": "0.010",
    }


def test_connecting_again_replaces_the_pair(connect, team):
    connect()
    before = XAccount.objects.get()
    connect()
    after = XAccount.objects.get()
    assert opened(after.access_token) != opened(before.access_token)
    assert after.token_version == before.token_version + 1


def test_connecting_again_heals_a_dead_grant(connect, team):
    connect()
    now = timezone.now()
    XAccount.objects.update(
        reauthorization_required_at=now, last_refresh_error="refused", refresh_leased_until=now
    )
    connect()
    account = XAccount.objects.get()
    assert account.connected_reason(timezone.now()) == "access_token_valid"
    assert (account.last_refresh_error, account.refresh_leased_until) == ("", None)


def test_connecting_again_after_a_revocation_works(connect, team):
    connect()
    XAccount.objects.update(revoked_at=timezone.now(), access_token=None, refresh_token=None)
    assert connect().status_code == 200
    assert XAccount.objects.get().publish_ready(timezone.now())


def test_connecting_again_does_not_lift_a_hold(connect, team):
    connect()
    XAccount.objects.update(held_at=timezone.now(), held_reason="x_account")
    connect()
    assert not XAccount.objects.get().publish_ready(timezone.now())


# --- the state ------------------------------------------------------------------------------------


@pytest.fixture
def sent_back(client, team):
    """The query with which X sent the owner back, not used yet."""
    log_in(client, team)
    return consent(start(client, team.pk).json()["authorize_url"])


def refused(answer, code):
    assert (answer.status_code, answer.json()["code"]) == (409, code)
    return answer.json()["detail"]


def test_a_state_works_once(client, x, sent_back):
    come_back(client, sent_back)
    calls = len(x.simulator.requests())
    assert "used" in refused(come_back(client, sent_back), "used_state")
    assert len(x.simulator.requests()) == calls


def test_a_state_is_used_up_even_if_the_exchange_fails(client, x, sent_back):
    x.fault("html", path="/2/oauth2/token")
    come_back(client, sent_back)
    assert "used" in refused(come_back(client, sent_back), "used_state")


def test_a_state_runs_out(client, x, sent_back):
    OAuthState.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert "ten minutes" in refused(come_back(client, sent_back), "expired_state")
    assert x.calls("POST", "/2/oauth2/token") == []


def test_a_state_that_we_did_not_give_is_unknown(client, x, sent_back):
    refused(come_back(client, sent_back | {"state": "somebody-elses"}), "unknown_state")
    assert x.calls("POST", "/2/oauth2/token") == []


@pytest.mark.parametrize("query", [{}, {"code": "c"}, {"state": ""}, {"state": "s" * 501}])
def test_a_way_back_without_a_readable_state_is_a_bad_request(client, x, query):
    assert come_back(client, query).status_code == 400


def test_a_person_who_is_no_operator_any_more_connects_nothing(client, x, team, sent_back):
    Membership.objects.update(role="member")
    assert come_back(client, sent_back).status_code == 403
    assert x.calls("POST", "/2/oauth2/token") == []


# --- what connects nothing ------------------------------------------------------------------------


def test_denied_consent_connects_nothing(connect, x):
    assert "consent was not given" in refused(connect(decision="cancel"), "consent_denied")
    assert x.calls("POST", "/2/oauth2/token") == []
    assert not XAccount.objects.exists()


def test_a_wrong_verifier_connects_nothing(client, sent_back):
    OAuthState.objects.update(code_verifier=Secret.seal("w" * 64))
    assert "did not accept the code" in refused(come_back(client, sent_back), "connect_failed")
    assert not XAccount.objects.exists()


def test_a_code_that_x_does_not_know_connects_nothing(client, sent_back):
    refused(come_back(client, sent_back | {"code": "unknown"}), "connect_failed")
    assert not XAccount.objects.exists()


def test_a_code_that_ran_out_connects_nothing(client, x, team):
    x.simulator.settings(code_ttl_seconds=0.001)
    log_in(client, team)
    query = consent(start(client, team.pk).json()["authorize_url"])
    refused(come_back(client, query), "connect_failed")


def test_a_grant_without_the_right_to_post_connects_nothing(connect):
    detail = refused(connect(scope="tweet.read users.read offline.access"), "missing_scope")
    assert "tweet.write" in detail
    assert not XAccount.objects.exists()


def test_another_account_does_not_take_the_place_of_the_first(connect, x, team):
    connect()
    x.simulator.make_user("bar")
    before = XAccount.objects.values().get()
    assert "@cafe" in refused(connect(user="bar"), "another_account")
    after = XAccount.objects.values().get()
    assert (after["x_user_id"], after["token_version"]) == (before["x_user_id"], 1)
    assert x.simulator.overview()["grants_live"] == 1  # the other's was given back


def test_a_grant_that_another_workspace_lives_on_is_not_given_back(connect, x, team):
    connect()
    x.simulator.make_user("bar")
    connect(user="bar", workspace=WorkspaceFactory())
    connect(user="bar")
    assert x.calls("POST", "/2/oauth2/revoke") == []


def test_an_account_that_lives_in_another_workspace_connects_nothing(connect, team):
    connect()
    other = WorkspaceFactory()
    assert "another workspace" in refused(connect(workspace=other), "live_elsewhere")
    assert not XAccount.objects.filter(workspace=other).exists()


def test_an_account_that_was_revoked_in_another_workspace_connects(connect, team):
    connect()
    XAccount.objects.update(revoked_at=timezone.now())
    assert connect(workspace=WorkspaceFactory()).status_code == 200


@pytest.mark.parametrize("path", ["/2/oauth2/token", "/2/users/me"])
def test_an_x_that_does_not_answer_connects_nothing(client, x, sent_back, path):
    x.fault("html", method="*", path=path)
    assert come_back(client, sent_back).status_code in (409, 503)
    assert not XAccount.objects.exists()


def test_asking_whose_token_it_is_costs_once_a_day_also_where_nothing_is_connected(
    connect, x, team
):
    """X charges for each account that it shows us, and not whether we keep it."""
    connect()
    x.simulator.make_user("bar")
    refused(connect(user="bar"), "another_account")
    refused(connect(workspace=WorkspaceFactory()), "live_elsewhere")
    charges = PricedCall.objects.values_list("workspace", "kind", "units", "usd")
    assert list(charges) == [(team.pk, "user_read", 1, Decimal("0.010"))] * 2
    assert compare() == []
    bill_equals_ledger(x)


# --- every failure is audited ---------------------------------------------------------------------


def reasons(chain):
    events = AuditEvent.objects.filter(type="account.connect_refused", chain=chain)
    return [event.data["reason"] for event in events.order_by("seq")]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"decision": "cancel"}, "consent_denied"),
        ({"scope": "tweet.read users.read offline.access"}, "missing_scope"),
    ],
)
def test_a_refusal_is_audited_with_its_reason(connect, team, changes, reason):
    connect(**changes)
    event = AuditEvent.objects.get(type="account.connect_refused")
    assert (event.chain, event.subject) == (str(team.pk), "account")
    assert event.data == {"reason": reason}


def test_another_account_and_one_that_lives_elsewhere_are_audited(connect, x, team):
    connect()
    x.simulator.make_user("bar")
    connect(user="bar")
    other = WorkspaceFactory()
    connect(workspace=other)
    assert reasons(team.pk) == ["another_account"]
    assert reasons(other.pk) == ["live_elsewhere"]


def test_a_state_that_was_used_or_ran_out_is_audited_where_it_belongs(client, team, sent_back):
    come_back(client, sent_back)
    come_back(client, sent_back)
    OAuthState.objects.update(used_at=None, expires_at=timezone.now())
    come_back(client, sent_back)
    assert reasons(team.pk) == ["used_state", "expired_state"]


def test_a_state_that_nobody_made_is_in_the_systems_log(client, x, team):
    come_back(client, {"state": "somebody-elses", "code": "c"})
    event = AuditEvent.objects.get(type="account.connect_refused")
    assert (event.chain, event.actor, event.data) == (
        AuditChain.SYSTEM,
        "stranger",
        {"reason": "unknown_state"},
    )


def test_a_stranger_cannot_fill_the_log(client, x, team, monkeypatch):
    monkeypatch.setattr("x_integration.services.connect.REFUSALS_PER_MINUTE", 2)
    answers = [come_back(client, {"state": f"guess-{n}", "code": "c"}) for n in range(5)]
    assert {answer.status_code for answer in answers} == {409}
    assert reasons(AuditChain.SYSTEM) == ["unknown_state"] * 2


@pytest.mark.parametrize(
    ("path", "reason"), [("/2/oauth2/token", "connect_failed"), ("/2/users/me", "x_read_503")]
)
def test_an_x_that_does_not_answer_is_audited(client, x, team, sent_back, path, reason):
    x.fault("html", method="*", path=path)
    come_back(client, sent_back)
    assert reasons(team.pk) == [reason]


def test_whatever_else_goes_wrong_is_audited_too(client, x, team, sent_back, monkeypatch):
    def broken(*args, **kwargs):
        raise DatabaseError("gone")

    monkeypatch.setattr("x_integration.services.connect._store", broken)
    client.raise_request_exception = False
    assert come_back(client, sent_back).status_code == 500
    assert reasons(team.pk) == ["error"]


def test_a_state_that_was_used_fills_no_log_either(client, team, sent_back, monkeypatch):
    monkeypatch.setattr("x_integration.services.connect.REFUSALS_PER_MINUTE", 2)
    for _ in range(5):
        come_back(client, sent_back)
    assert reasons(team.pk) == ["used_state"] * 2


def test_a_person_who_lost_the_role_is_audited(client, team, sent_back):
    Membership.objects.update(role="member")
    come_back(client, sent_back)
    assert reasons(team.pk) == ["role"]


# --- what a new consent changes -------------------------------------------------------------------


def test_connecting_again_lifts_the_hold_of_a_token_that_x_did_not_take(connect, team):
    connect()
    XAccount.objects.update(held_at=timezone.now(), held_reason="x_unauthorized")
    raise_alarm("account_held", detail="held", workspace=team, now=timezone.now())
    connect()
    assert XAccount.objects.get().publish_ready(timezone.now())
    assert not Alarm.objects.filter(over_at=None).exists()


def test_connecting_again_ends_the_alarm_of_a_refused_token(connect, team):
    connect()
    raise_alarm("token_refused", detail="refused", workspace=team, now=timezone.now())
    connect()
    assert not Alarm.objects.filter(over_at=None).exists()


def test_a_new_consent_without_a_refresh_token_forgets_the_one_before(connect, x, team):
    connect()
    connect(scope="tweet.read tweet.write users.read")
    account = XAccount.objects.get()
    assert (account.refresh_token, account.refresh_token_hash) == (None, "")
    assert account.connected(timezone.now())


def test_a_scope_that_x_does_not_repeat_is_the_one_that_was_asked_for(client, x, team, sent_back):
    x.fault("edit_answer", path="/2/oauth2/token", without=["scope"])
    come_back(client, sent_back)
    assert XAccount.objects.get().has_publish_scope


def test_attempts_that_ended_a_day_ago_are_forgotten(client, team, sent_back):
    now = timezone.now()
    assert forget_old_states(now=now + timedelta(hours=23)) == 0
    assert forget_old_states(now=now + timedelta(hours=25)) == 1


# --- secrets --------------------------------------------------------------------------------------


@pytest.mark.parametrize("again", [False, True], ids=["success", "refusal"])
def test_no_secret_of_the_flow_is_in_audit_answer_or_log(client, x, team, sent_back, caplog, again):
    for name in (None, "urllib3", "django", "django.request", "x_integration"):
        caplog.set_level(logging.DEBUG, logger=name)
    verifier = opened(OAuthState.objects.get().code_verifier)
    answers = [come_back(client, sent_back)]
    account = XAccount.objects.get()
    secrets = {
        "code": sent_back["code"],
        "state": sent_back["state"],
        "verifier": verifier,
        "access": opened(account.access_token),
        "refresh": opened(account.refresh_token),
    }
    if again:
        answers = [come_back(client, sent_back)]
    shown = (
        "".join(str(vars(event)) for event in AuditEvent.objects.all())
        + "".join(answer.content.decode() + str(answer.headers) for answer in answers)
        + "".join(JsonFormatter().format(record) for record in caplog.records)
    )
    assert {name for name, secret in secrets.items() if secret in shown} == set()
