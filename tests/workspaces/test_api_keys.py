"""API keys: made by a person, shown once, narrowed to scopes, and dead as soon as they should be."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from revfirst.logs import redact
from tests.api import make_key, member, program, signed_in, with_key
from tests.factories import QueueItemFactory, UserFactory, WorkspaceFactory
from workspaces.actors import Actor
from workspaces.errors import ApiKeyNotFound, BadApiKey, NotAllowed, WorkspaceNotFound
from workspaces.models import ApiKey, AuditEvent, Membership
from workspaces.services import create_api_key, live_api_key, revoke_api_key

pytestmark = pytest.mark.django_db(transaction=True)

FOR_MEMBERS = ["audit:read", "queue:propose", "queue:read", "status:read"]
FOR_OPERATORS = ["publish:direct", "queue:edit"]
NEW = reverse("admin:workspaces_apikey_add")
LIST = reverse("admin:workspaces_apikey_changelist")


@pytest.fixture
def cafe():
    """A workspace."""
    return WorkspaceFactory(slug="cafe")


def make(workspace, actor, *scopes, name="a program"):
    """Ask for a key."""
    return create_api_key(workspace, name=name, scopes=scopes, actor=actor, now=timezone.now())


def by(user, door="admin"):
    """The person as an actor."""
    return Actor.operator(user, door=door)


def queue(workspace):
    """A path that takes a key with queue:read."""
    return f"/publishing/queue/{workspace.pk}"


# --- Making -------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["owner", "admin", "member"])
@pytest.mark.parametrize("scope", FOR_MEMBERS)
def test_every_member_may_make_a_key_that_reads_or_proposes(cafe, role, scope):
    key, secret = make(cafe, by(member(cafe, role)), scope)
    assert (key.scopes, live_api_key(secret, now=timezone.now())) == ([scope], key)


@pytest.mark.parametrize("scope", FOR_OPERATORS)
def test_what_an_operator_does_needs_an_operator(cafe, scope):
    make(cafe, by(member(cafe, "admin")), scope)
    with pytest.raises(NotAllowed):
        make(cafe, by(member(cafe, "member")), "queue:read", scope)
    assert ApiKey.objects.count() == 1


def test_these_are_all_the_scopes():
    assert sorted(FOR_MEMBERS + FOR_OPERATORS) == sorted(ApiKey.Scope.values)


@pytest.mark.parametrize("scopes", [(), ("queue:approve",), ("queue:read", "admin")])
def test_a_scope_that_does_not_exist_is_refused(cafe, scopes):
    with pytest.raises(BadApiKey):
        make(cafe, by(member(cafe)), *scopes)


@pytest.mark.parametrize("name", ["", "  ", "x" * 61, "a\nb", "a\x00b"])
def test_a_name_that_cannot_be_shown_is_refused(cafe, name):
    with pytest.raises(BadApiKey):
        make(cafe, by(member(cafe)), "queue:read", name=name)


def test_nobody_but_a_person_makes_one(cafe):
    for actor in (Actor.worker(), Actor.command()):
        with pytest.raises(NotAllowed):
            make(cafe, actor, "queue:read")


def test_a_stranger_makes_none(cafe):
    with pytest.raises(WorkspaceNotFound):
        make(cafe, by(UserFactory(is_superuser=True)), "queue:read")


def test_the_key_itself_is_stored_nowhere(cafe):
    key, secret = make(cafe, by(member(cafe)), "queue:read")
    stored = str(ApiKey.objects.values().get()) + str(list(AuditEvent.objects.values()))
    assert secret.startswith(key.prefix)
    assert secret.removeprefix(key.prefix) not in stored
    assert len(secret) > 50


def test_making_and_ending_are_audited_with_prefix_and_scopes(cafe):
    owner = member(cafe)
    key, _ = make(cafe, by(owner), "queue:read", "audit:read")
    revoke_api_key(key.pk, actor=by(owner), now=timezone.now())
    events = AuditEvent.objects.filter(subject=f"key:{key.pk}").order_by("seq")
    told = {"prefix": key.prefix, "scopes": ["audit:read", "queue:read"]}
    assert [(event.type, event.data) for event in events] == [
        ("key.create", told),
        ("key.revoke", told),
    ]


def test_a_key_in_a_log_line_is_hidden(cafe):
    _, secret = make(cafe, by(member(cafe)), "queue:read")
    assert secret[12:] not in redact(f"the key {secret} was sent")


# --- Ending -------------------------------------------------------------------------------------


def test_its_maker_ends_it_once(cafe):
    maker = member(cafe, "member")
    key, secret = make(cafe, by(maker), "queue:read")
    ended = [revoke_api_key(key.pk, actor=by(maker), now=timezone.now()) for _ in range(2)]
    assert (ended, live_api_key(secret, now=timezone.now())) == ([True, False], None)


def test_an_operator_ends_somebody_elses(cafe):
    key, _ = make(cafe, by(member(cafe, "member")), "queue:read")
    assert revoke_api_key(key.pk, actor=by(member(cafe, "admin")), now=timezone.now())


def test_another_member_does_not(cafe):
    key, _ = make(cafe, by(member(cafe)), "queue:read")
    with pytest.raises(NotAllowed):
        revoke_api_key(key.pk, actor=by(member(cafe, "member")), now=timezone.now())


def test_to_a_stranger_it_is_missing(cafe):
    key, _ = make(cafe, by(member(cafe)), "queue:read")
    stranger = member(WorkspaceFactory())
    for pk in (key.pk, 999_999):
        with pytest.raises(ApiKeyNotFound):
            revoke_api_key(pk, actor=by(stranger), now=timezone.now())


# --- At the door --------------------------------------------------------------------------------


def test_a_key_gets_in_where_its_scope_says(cafe):
    assert program(cafe, member(cafe, "member"), "queue:read").get(queue(cafe)).status_code == 200


def test_a_key_without_the_scope_does_not(cafe):
    answer = program(cafe, member(cafe), "queue:propose", "audit:read").get(queue(cafe))
    assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope")


@pytest.mark.parametrize(
    "given",
    ["Bearer", "Bearer ", "Bearer rf_", "Bearer rf_12345678_nothing", "bearer x y", "Bearer \xff"],
)
def test_what_is_no_key_is_401_and_says_what_is_wanted(cafe, given):
    client = signed_in(member(cafe))  # a bearer is never made up for by a session
    answer = client.get(queue(cafe), headers={"Authorization": given})
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_api_key")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_nobody_at_all_is_401(cafe):
    answer = with_key("").get(queue(cafe))
    assert answer.status_code == 401


def _revoke(key):
    ApiKey.objects.filter(pk=key.pk).update(revoked_at=timezone.now())


def _inactive(key):
    type(key.user).objects.filter(pk=key.user_id).update(is_active=False)


def _left(key):
    Membership.objects.filter(user=key.user).delete()


@pytest.mark.parametrize("end", [_revoke, _inactive, _left])
def test_a_key_ends_at_once_and_the_answers_are_alike(cafe, end):
    key, secret = make_key(cafe, member(cafe), "queue:read")
    client = with_key(secret)
    assert client.get(queue(cafe)).status_code == 200
    end(key)
    answer = client.get(queue(cafe))
    assert answer.status_code == 401
    assert answer.json() == with_key("rf_00000000_x").get(queue(cafe)).json()


def test_a_makers_lost_role_is_the_keys(cafe):
    owner = member(cafe)
    client = program(cafe, owner, "queue:edit")
    Membership.objects.filter(user=owner).update(role="member")
    path = f"{queue(cafe)}/{QueueItemFactory(workspace=cafe).number}"
    answer = client.patch(path, {"version": 1, "text": "x"}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (403, "role")


def test_a_key_acts_in_its_own_workspace_only(cafe):
    owner, bar = member(cafe), WorkspaceFactory()
    Membership.objects.create(workspace=bar, user=owner, role="owner")
    client = program(cafe, owner, "queue:read", "status:read")
    for path in (queue(bar), f"/integrations/x/oauth/status/{bar.pk}"):
        answer = client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "workspace_not_found")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("post", "/integrations/x/oauth/authorize"),
        ("post", "/integrations/x/oauth/revoke/{}"),
        ("get", "/api/schema"),
        ("get", "/api/docs"),
    ],
)
def test_where_a_view_names_no_scope_no_key_gets_in(cafe, method, path):
    client = program(cafe, member(cafe), *ApiKey.Scope.values)
    answer = getattr(client, method)(path.format(cafe.pk))
    assert (answer.status_code, answer.json()["code"]) == (403, "session_only")


def test_a_key_is_no_way_into_the_admin(cafe):
    answer = program(cafe, member(cafe), *ApiKey.Scope.values).get(LIST)
    assert answer.status_code == 302


def test_its_use_is_noted_once_a_minute(cafe):
    key, secret = make_key(cafe, member(cafe), "queue:read")
    begun = timezone.now()
    for seconds, noted in ((0, 0), (59, 0), (60, 60), (100, 60)):
        live_api_key(secret, now=begun + timedelta(seconds=seconds))
        key.refresh_from_db()
        assert key.last_used_at == begun + timedelta(seconds=noted)


# --- In the admin -------------------------------------------------------------------------------


def test_the_admin_shows_a_new_key_once(cafe):
    client = signed_in(member(cafe, "member"))
    form = {"workspace": str(cafe.pk), "name": "reports", "scopes": ["queue:read"]}
    answer = client.post(NEW, form, format="multipart")
    secret = answer.context["secret"]
    assert secret in answer.content.decode()
    assert "no-store" in answer.headers["Cache-Control"]
    key = ApiKey.objects.get()
    pages = [LIST, NEW, reverse("admin:workspaces_apikey_change", args=[key.pk])]
    assert [page for page in pages if secret in client.get(page).content.decode()] == []


def test_the_admin_refuses_what_the_service_refuses(cafe):
    client = signed_in(member(cafe, "member"))
    form = {"workspace": str(cafe.pk), "name": "reports", "scopes": ["queue:edit"]}
    answer = client.post(NEW, form, format="multipart")
    assert "Only an owner or admin" in answer.content.decode()
    assert not ApiKey.objects.exists()


def test_the_admin_offers_the_own_workspaces_only(cafe):
    bar = WorkspaceFactory()
    client = signed_in(member(cafe))
    form = {"workspace": str(bar.pk), "name": "reports", "scopes": ["queue:read"]}
    assert "secret" not in client.post(NEW, form, format="multipart").context
    assert bar.slug not in client.get(NEW).content.decode()


def test_somebody_without_a_workspace_makes_none(cafe):
    client = signed_in(UserFactory(is_superuser=True))
    assert (client.get(NEW).status_code, client.post(NEW).status_code) == (403, 403)


def test_the_admin_ends_keys_by_an_action(cafe):
    mine, others = member(cafe, "member"), member(cafe, "owner")
    keys = [make_key(cafe, user, "queue:read")[0].pk for user in (mine, others)]
    form = {"action": "revoke", "_selected_action": [str(pk) for pk in keys]}
    answer = signed_in(mine).post(LIST, form, format="multipart", follow=True)
    assert len(answer.context["messages"]) == 2
    live = ApiKey.objects.filter(revoked_at=None)
    assert list(live.values_list("pk", flat=True)) == [keys[1]]
