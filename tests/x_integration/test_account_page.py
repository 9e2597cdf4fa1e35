"""The account's page and list in the admin: how the connection is, and the buttons that change it."""

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests.factories import MembershipFactory, UserFactory, WorkspaceFactory, XAccountFactory
from tests.x_integration.conftest import HOUR, opened
from tests.x_integration.test_oauth_connect import come_back, consent, log_in
from workspaces.actors import Actor
from workspaces.errors import ChangedMeanwhile
from workspaces.models import Alarm, AuditEvent, Membership
from workspaces.services import raise_alarm
from x_integration.account_page import meaning_of
from x_integration.models import OAuthState, XAccount
from x_integration.services import lift_account_hold

pytestmark = pytest.mark.django_db
ACTS = ["renew", "lift_hold", "disconnect"]
REASONS = [
    "not_connected",
    "revoked",
    "access_token_valid",
    "expired_but_auto_refresh_available",
    "auto_refresh_available",
    "reauthorization_required",
    "access_token_unavailable",
    "access_token_expired",
]


def address(name, *args):
    """One of the pages and buttons of accounts."""
    return reverse(f"admin:x_integration_xaccount_{name}", args=args)


def listed(client):
    return client.get(address("changelist")).content.decode()


def shown(client, account):
    answer = client.get(address("change", account.pk))
    assert answer.status_code == 200
    return answer.content.decode()


def press(client, name, *args, **body):
    """Press a button; what the next page says, or would say."""
    answer = client.post(address(name, *args), body)
    assert answer.status_code == 302
    return " ".join(map(str, get_messages(answer.wsgi_request)))


@pytest.fixture
def team():
    """A workspace without an account."""
    return WorkspaceFactory()


@pytest.fixture
def account():
    """A connected account, which X need not know."""
    return XAccountFactory(access="canary-access", refresh="canary-refresh")


@pytest.fixture
def owner(client, account):
    """A browser in which the account's owner is logged in."""
    log_in(client, account.workspace)
    return client


@pytest.fixture
def page(owner, account):
    """The account's page for the owner, after a change to the row."""

    def read(**changes):
        XAccount.objects.update(**changes)
        return shown(owner, account)

    return read


# --- the list -------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", Membership.OPERATORS)
def test_an_operator_is_offered_to_connect_a_workspace_without_an_account(client, team, role):
    log_in(client, team, role)
    assert address("connect", team.pk) in listed(client)


def test_a_member_is_told_who_may_connect(client, team):
    log_in(client, team, "member")
    page = listed(client)
    assert address("connect", team.pk) not in page
    assert f"An owner or admin of {team.slug} has to connect it." in page


def test_a_connected_workspace_is_not_offered(owner, account):
    assert "Connect X" not in listed(owner)


def test_a_revoked_account_is_offered_again(owner, account):
    XAccount.objects.update(revoked_at=timezone.now())
    assert address("connect", account.workspace_id) in listed(owner)


def test_another_workspace_is_not_on_the_list(owner, team):
    assert team.slug not in listed(owner)


def test_the_role_counts_workspace_by_workspace(client, team):
    user, other = log_in(client, team), WorkspaceFactory()
    MembershipFactory(workspace=other, user=user, role="member")
    page = listed(client)
    assert address("connect", team.pk) in page
    assert address("connect", other.pk) not in page


# --- connecting -----------------------------------------------------------------------------------


def test_connect_leads_to_x_and_keeps_the_state(client, x, team, settings):
    log_in(client, team)
    answer = client.post(address("connect", team.pk))
    url = urlsplit(answer.headers["Location"])
    assert answer.status_code == 302
    assert url._replace(query="").geturl() == settings.X_AUTHORIZE_URL
    assert "state" in parse_qs(url.query)
    assert OAuthState.objects.get().workspace == team


def test_the_whole_round_ends_on_the_accounts_page(client, x, team):
    x.simulator.make_user("cafe")
    log_in(client, team)
    query = consent(client.post(address("connect", team.pk)).headers["Location"])
    answer = client.get(reverse("x-callback"), query, headers={"accept": "text/html"}, follow=True)
    assert answer.redirect_chain == [(address("change", XAccount.objects.get().pk), 302)]
    assert "@cafe is connected." in answer.content.decode()


def test_connecting_again_heals_what_x_refused(client, x, cafe):
    XAccount.objects.update(reauthorization_required_at=timezone.now())
    client.force_login(cafe.memberships.get().user)
    query = consent(client.post(address("connect", cafe.pk)).headers["Location"])
    assert come_back(client, query).status_code == 200
    assert XAccount.objects.get().publish_ready(timezone.now())


def test_a_member_may_not_connect(client, team):
    log_in(client, team, "member")
    assert "Only an owner or admin" in press(client, "connect", team.pk)
    assert not OAuthState.objects.exists()


@pytest.mark.parametrize("name", ["changelist", "change"])
def test_the_pages_policy_lets_the_button_lead_to_x(owner, account, settings, name):
    settings.X_AUTHORIZE_URL = "https://x.example/i/oauth2/authorize"
    answer = owner.get(address(name, *([account.pk] if name == "change" else [])))
    policy = answer.headers["Content-Security-Policy"].split("; ")
    assert "form-action 'self' https://x.example" in policy


def test_other_pages_policy_lets_no_form_lead_to_x(owner, account):
    policy = owner.get(address("disconnect", account.pk)).headers["Content-Security-Policy"]
    assert "form-action 'self'" in policy.split("; ")


# --- who may press --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ACTS)
def test_a_member_is_refused_by_every_button(client, account, name):
    XAccount.objects.update(held_at=timezone.now(), held_reason="x_account")
    log_in(client, account.workspace, "member")
    assert "Only an owner or admin" in press(client, name, account.pk)
    after = XAccount.objects.get()
    assert (after.token_version, after.revoked_at) == (1, None)
    assert after.held_reason == "x_account"
    assert not AuditEvent.objects.exists()


def test_a_member_sees_no_button_and_reads_why(client, account):
    XAccount.objects.update(held_at=timezone.now(), held_reason="x_account")
    log_in(client, account.workspace, "member")
    page = shown(client, account)
    assert [name for name in ACTS if address(name, account.pk) in page] == []
    assert address("connect", account.workspace_id) not in page
    assert "Only an owner or admin" in page


def test_a_member_is_not_asked_about_disconnecting(client, account):
    log_in(client, account.workspace, "member")
    assert client.get(address("disconnect", account.pk)).status_code == 403


@pytest.mark.parametrize("user", [{}, {"is_superuser": True}], ids=["plain", "superuser"])
@pytest.mark.parametrize("name", ACTS)
def test_another_workspaces_account_is_missing_for_every_button(client, team, account, name, user):
    client.force_login(UserFactory(**user))
    MembershipFactory(workspace=team, user_id=client.session["_auth_user_id"], role="owner")
    assert client.post(address(name, account.pk)).status_code == 404
    assert client.get(address("disconnect", account.pk)).status_code == 404


def test_another_workspace_is_missing_for_connect(owner, team):
    assert owner.post(address("connect", team.pk)).status_code == 404


@pytest.mark.parametrize("name", ["renew", "lift_hold"])
def test_an_address_that_acts_cannot_be_opened(owner, account, name):
    assert owner.get(address(name, account.pk)).status_code == 405


def test_the_address_that_connects_cannot_be_opened(owner, account):
    assert owner.get(address("connect", account.workspace_id)).status_code == 405


@pytest.mark.parametrize("name", ACTS)
def test_a_form_from_elsewhere_is_refused(account, name):
    client = Client(enforce_csrf_checks=True)
    log_in(client, account.workspace)
    assert client.post(address(name, account.pk)).status_code == 403


def test_whoever_has_to_log_in_first_comes_to_the_list(client, account):
    answer = client.post(address("renew", account.pk))
    assert answer.headers["Location"] == f"/admin/login/?next={address('changelist')}"


# --- renewing -------------------------------------------------------------------------------------


@pytest.fixture
def known(client, x, cafe):
    """An account that X knows; the owner is logged in."""
    client.force_login(cafe.memberships.get().user)
    return cafe.x_account


def test_renew_now_renews(client, known):
    assert "is renewed" in press(client, "renew", known.pk)
    after = XAccount.objects.get()
    assert after.token_version == known.token_version + 1
    assert opened(after.access_token) != opened(known.access_token)


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ({"kind": "rate_limited"}, "X did not renew the token this time"),
        ({"kind": "drop"}, "X gave no clear answer"),
        (
            {"kind": "status", "status": 400, "body": {"error": "invalid_grant"}},
            "X does not renew this connection any more",
        ),
    ],
)
def test_a_renewal_that_brings_nothing_says_what_that_means(client, x, known, fault, sentence):
    x.fault(path="/2/oauth2/token", **fault)
    assert sentence in press(client, "renew", known.pk)


def test_a_renewal_right_after_another_says_so(client, known):
    press(client, "renew", known.pk)
    assert "less than a minute ago" in press(client, "renew", known.pk)


def test_without_a_refresh_token_there_is_nothing_to_renew_with(owner, account):
    XAccount.objects.update(refresh_token=None, refresh_token_hash="")
    assert "nothing to renew the token with" in press(owner, "renew", account.pk)
    assert address("renew", account.pk) not in shown(owner, account)


def test_renewal_that_is_switched_off_says_so(owner, account, settings):
    settings.X_AUTO_REFRESH_ENABLED = False
    assert "switched off" in press(owner, "renew", account.pk)
    page = shown(owner, account)
    assert "X_AUTO_REFRESH_ENABLED" in page
    assert address("renew", account.pk) not in page


def test_what_may_have_been_renewed_is_not_offered_for_another_try(client, x, known):
    x.fault("drop", path="/2/oauth2/token")
    press(client, "renew", known.pk)
    page = shown(client, known)
    assert address("renew", known.pk) not in page
    assert "may have renewed all the same" in page


# --- disconnecting --------------------------------------------------------------------------------


def test_disconnecting_is_asked_about_first(owner, account):
    page = owner.get(address("disconnect", account.pk)).content.decode()
    assert f"Disconnect @{account.username}?" in page
    assert XAccount.objects.get().revoked_at is None


def test_disconnecting_forgets_the_tokens_and_x_confirms(client, known):
    assert "X has confirmed it" in press(client, "disconnect", known.pk)
    after = XAccount.objects.get()
    assert (after.access_token, after.refresh_token) == (None, None)
    assert AuditEvent.objects.get(type="account.revoke").door == "admin"


def test_an_x_that_does_not_confirm_leaves_something_to_do(client, x, known):
    x.fault("html", path="/2/oauth2/revoke")
    said = press(client, "disconnect", known.pk)
    assert "X did not confirm it" in said
    assert "remove the app" in said
    assert XAccount.objects.get().revoked_at


def test_disconnecting_twice_says_that_it_was_done(owner, account):
    XAccount.objects.update(revoked_at=timezone.now())
    assert "was disconnected before" in press(owner, "disconnect", account.pk)


# --- holds ----------------------------------------------------------------------------------------


def answered():
    """Yes, to the question about the hold that stands now."""
    held_at = XAccount.objects.get().held_at
    assert held_at
    return {"confirmed": "yes", "seen": held_at.isoformat()}


def test_an_operator_lifts_a_hold(owner, account):
    XAccount.objects.update(held_at=timezone.now(), held_reason="x_account")
    now = timezone.now()
    raise_alarm("account_held", detail="held", workspace=account.workspace, now=now)
    said = press(owner, "lift_hold", account.pk, reason="X lets us again", **answered())
    assert "the hold is lifted" in said
    assert XAccount.objects.get().held_at is None
    assert not Alarm.objects.filter(over_at=None).exists()
    row = AuditEvent.objects.get(type="account.lift_hold")
    assert (row.actor, row.door) == (f"user:{account.workspace.memberships.get().user_id}", "admin")


@pytest.mark.parametrize("reason", [None, "", "   ", "x" * 201])
def test_a_hold_is_lifted_for_a_reason_only(owner, account, reason):
    XAccount.objects.update(held_at=timezone.now(), held_reason="x_account")
    given = {} if reason is None else {"reason": reason}
    assert "Say why" in press(owner, "lift_hold", account.pk, confirmed="yes", **given)
    assert XAccount.objects.get().held_at is not None
    assert not AuditEvent.objects.filter(type="account.lift_hold").exists()


def test_lifting_a_hold_is_asked_once_more_where_no_enter_answers(owner, account):
    XAccount.objects.update(held_at=timezone.now(), held_reason="x_account")
    asked = owner.post(address("lift_hold", account.pk), {"reason": "All is well"})
    page = asked.content.decode()
    assert "All is well" in page
    form = page.split('<form method="post">')[1].split("</form>")[0]
    assert {part.split('"')[1] for part in form.split(" type=")[1:]} == {"hidden", "submit"}
    assert XAccount.objects.get().held_at is not None


def test_a_hold_that_came_after_the_question_is_asked_about_again(owner, account):
    XAccount.objects.update(held_at=timezone.now(), held_reason="x_account")
    earlier = answered()
    XAccount.objects.update(held_at=timezone.now(), held_reason="missing_scope")
    asked = owner.post(address("lift_hold", account.pk), {"reason": "Mended", **earlier})
    assert "missing scope" in asked.content.decode()
    with pytest.raises(ChangedMeanwhile):
        lift_account_hold(
            account.workspace,
            reason="Mended",
            seen=earlier["seen"],
            actor=Actor.command(),
            now=timezone.now(),
        )
    assert XAccount.objects.get().held_at is not None


def test_the_reason_is_in_the_process_s_log_and_not_in_the_audit_log(owner, account, caplog):
    caplog.set_level("INFO")
    XAccount.objects.update(held_at=timezone.now(), held_reason="x_account")
    press(owner, "lift_hold", account.pk, reason="A private matter", **answered())
    (line,) = [row for row in caplog.records if row.message == "account_hold_lifted"]
    assert line.reason == "A private matter"
    assert "private" not in str(AuditEvent.objects.get(type="account.lift_hold").data)


def test_lifting_a_hold_that_is_gone_says_so(owner, account):
    assert "there was no hold" in press(owner, "lift_hold", account.pk, reason="Why not")


def test_lifting_is_offered_while_there_is_a_hold(page, account):
    assert address("lift_hold", account.pk) not in page()
    held = page(held_at=timezone.now(), held_reason="x_account")
    assert address("lift_hold", account.pk) in held


@pytest.mark.parametrize(
    ("reason", "sentence"),
    [
        ("x_unauthorized", "connect the account again"),
        ("x_account", "suspended, locked or lacks a permission"),
        ("something_new", "Look at the account on X"),
    ],
)
def test_a_hold_says_what_to_do(page, reason, sentence):
    told = page(held_at=timezone.now(), held_reason=reason)
    assert sentence in told
    assert reason.replace("_", " ") in told


# --- what the page says ---------------------------------------------------------------------------


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_has_a_sentence(reason):
    meaning = meaning_of(reason)
    assert meaning.word == reason.replace("_", " ")
    assert len(meaning.sentence) > 30
    assert meaning.sentence.endswith(".")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, "access_token_valid"),
        ({"revoked_at": timezone.now()}, "revoked"),
        ({"expires_at": timezone.now() - HOUR}, "expired_but_auto_refresh_available"),
        ({"access_token_rejected_at": timezone.now()}, "auto_refresh_available"),
        (
            {
                "expires_at": timezone.now() - HOUR,
                "reauthorization_required_at": timezone.now(),
            },
            "reauthorization_required",
        ),
        ({"access_token": None, "refresh_token": None}, "access_token_unavailable"),
        ({"expires_at": timezone.now() - HOUR, "refresh_token": None}, "access_token_expired"),
    ],
)
def test_the_page_says_the_reason_and_what_it_means(page, changes, reason):
    told = page(**changes)
    assert reason.replace("_", " ") in told
    if reason != "access_token_valid":  # which has a rest of its own when something else is wrong
        assert meaning_of(reason).sentence in told


def test_a_connection_without_trouble_says_that_there_is_nothing_to_do(page):
    assert meaning_of("access_token_valid").sentence in page()


def test_the_page_says_when_the_token_ends_and_is_renewed(page):
    ends = timezone.now() + timedelta(minutes=72, seconds=30)
    told = page(expires_at=ends)
    assert f"{ends:%Y-%m-%d %H:%M} UTC, in 1 h 12 min" in told
    assert "<dt>Renewed by itself</dt><dd>from " in told


def test_a_renewal_that_has_to_wait_says_until_when(page):
    later = timezone.now() + 3 * HOUR
    assert f"from {later:%Y-%m-%d %H:%M} UTC" in page(refresh_not_before=later)


def test_a_missing_right_to_post_is_marked(page):
    told = page(scope="tweet.read users.read offline.access")
    assert "tweet.write: missing" in told
    assert "connect again and allow it there" in told


def test_a_missing_refresh_token_says_what_follows(page):
    told = page(scope="tweet.read tweet.write users.read", refresh_token=None)
    assert "offline.access: missing" in told
    assert "connected again every two hours" in told


@pytest.mark.parametrize(
    ("code", "sentence"),
    [("x_token_503", "x token 503"), ("x_client_refused", "X_CLIENT_SECRET")],
)
def test_the_last_error_is_told(page, code, sentence):
    assert sentence in page(last_refresh_error=code)


def test_the_page_tells_what_happened_lately(client, x, known):
    for _ in range(11):
        press(client, "renew", known.pk)
    told = shown(client, known)
    assert told.count("<td>renewal</td>") == 10
    assert "<td>skipped locked</td>" in told


def test_what_happened_elsewhere_is_not_told(owner, account, x, cafe):
    client = Client()
    client.force_login(cafe.memberships.get().user)
    press(client, "renew", cafe.x_account.pk)
    assert "<td>renewal</td>" not in shown(owner, account)


def test_no_page_or_message_holds_a_token_a_ciphertext_or_a_hash(owner, account):
    names = ("access_token", "refresh_token")
    secrets = ["canary-access", "canary-refresh", "Secret(hidden)"]
    secrets += [getattr(account, f"{name}_hash") for name in names]
    secrets += [getattr(account, name).ciphertext for name in names]
    told = listed(owner) + shown(owner, account)
    told += owner.get(address("disconnect", account.pk)).content.decode()
    told += press(owner, "lift_hold", account.pk) + press(owner, "disconnect", account.pk)
    told += listed(owner) + shown(owner, account)
    assert [secret for secret in secrets if secret in told] == []


def test_no_page_brings_a_script_or_style_of_its_own(owner, account):
    XAccount.objects.update(held_at=timezone.now(), held_reason="x_account")
    told = shown(owner, account) + owner.get(address("disconnect", account.pk)).content.decode()
    assert [word for word in ("style=", "onclick=", "<style") if word in told] == []
