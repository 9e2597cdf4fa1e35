"""The admin: people see their own workspaces, and change nothing but through a service."""

from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_q.models import Failure, Schedule, Success

from control.models import Heartbeat
from publishing.models import Approval, Candidate, OptOut, OwnPost, QueueItem
from publishing.services import approve_item, opt_out_author
from revfirst.admin import ReadOnlyAdmin
from tests.factories import (
    MembershipFactory,
    QueueItemFactory,
    SourcePostFactory,
    UserFactory,
    WorkspaceFactory,
    XAccountFactory,
)
from workspaces import audit
from workspaces.actors import Actor
from workspaces.counters import Count
from workspaces.members_admin import MembersAdmin
from workspaces.models import (
    Alarm,
    ApiKey,
    AuditEvent,
    Counter,
    SystemHold,
    SystemSwitch,
    Workspace,
)
from workspaces.services import (
    create_api_key,
    place_hold,
    raise_alarm,
    set_kill_switch,
    switches,
)
from x_integration.models import Feed, SourcePost, Spend, XAccount
from x_integration.services import mentions_feed

pytestmark = pytest.mark.django_db(transaction=True)

# Models whose rows belong to a workspace, and those that belong to nobody.
SCOPED = [Workspace, Alarm, ApiKey, AuditEvent, XAccount, Feed, SourcePost]
SCOPED += [Spend, QueueItem, Approval, Candidate, OptOut]
ADDED = {ApiKey, Feed}  # by a service
SYSTEM = [Counter, SystemHold, SystemSwitch, Heartbeat, Schedule, Success, Failure]


def page(model, name: str, *args: object) -> str:
    """The address of one of the model's pages."""
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}", args=args)


def furnished(slug: str) -> Workspace:
    """A workspace with a row of every kind, made as they are made."""
    owner = UserFactory(username=f"owner-of-{slug}")
    workspace = WorkspaceFactory(slug=slug, owner=owner)
    XAccountFactory(workspace=workspace, username=f"account-of-{slug}")
    mentions_feed(workspace, now=timezone.now())
    raise_alarm("account_held", detail=f"held in {slug}", workspace=workspace, now=timezone.now())
    item = QueueItemFactory(workspace=workspace, text=f"Thank you from {slug}")
    actor = Actor.operator(owner, door="admin")
    approve_item(item.pk, version=1, actor=actor, now=timezone.now())
    create_api_key(workspace, name=slug, scopes=["queue:read"], actor=actor, now=timezone.now())
    opt_out_author(item.source_post, actor=Actor.worker(), now=timezone.now())
    now, post = timezone.now(), SourcePostFactory(workspace=workspace, text=f"Said in {slug}")
    Candidate.objects.create(
        source_post=post, workspace=workspace, intent="thanks", score=1, parts={}, found_at=now
    )
    Spend.objects.create(workspace=workspace, day=now.date(), kind="post_read", calls=1, usd=1)
    return workspace


def rows(model, workspace: Workspace):
    """The workspace's rows of a scoped model."""
    own: dict[Any, dict[str, Any]] = {
        Workspace: {"pk": workspace.pk},
        AuditEvent: {"chain": str(workspace.pk)},
        Approval: {"item__workspace": workspace},
    }
    return model.objects.filter(**own.get(model, {"workspace": workspace}))


def system_rows() -> None:
    """A row of every kind that belongs to no workspace."""
    now = timezone.now()
    for on in (True, False):
        set_kill_switch(on, reason="a drill", actor=Actor.command(), now=now, wait=False)
    place_hold("no_credits", reason="402", actor=Actor.worker(), now=now)
    with transaction.atomic():
        audit.record(
            "x", subject="system", actor=Actor.worker(), now=now, counts=[Count("applause_total")]
        )
    Heartbeat.objects.create(name="worker", at=now)
    Schedule.objects.create(name="beat", func="control.tasks.beat")
    for number, success in enumerate((True, False)):
        Success.objects.create(
            id=f"t{number}", name="beat", func="f", started=now, stopped=now, success=success
        )


@pytest.fixture
def cafe() -> Workspace:
    """Our workspace."""
    return furnished("cafe")


@pytest.fixture
def bar() -> Workspace:
    """Somebody else's."""
    return furnished("bar")


@pytest.fixture
def enter(client):
    """A browser in which somebody with that role in that workspace is logged in."""

    def log_in(workspace: Workspace | None = None, role: str = "owner", **user: object):
        person = UserFactory(**user)
        if workspace:
            MembershipFactory(workspace=workspace, user=person, role=role)
        client.force_login(person)
        return client

    return log_in


# --- Who sees what ------------------------------------------------------------------------------


def test_these_are_all_the_pages_that_belong_to_workspaces():
    registered = {m for m, a in admin.site._registry.items() if isinstance(a, MembersAdmin)}
    assert registered == {*SCOPED, OwnPost}  # whose list is a calendar: tests/publishing


def test_every_page_of_ours_but_the_people_is_for_reading():
    stock = {m for m, a in admin.site._registry.items() if not isinstance(a, ReadOnlyAdmin)}
    assert {model.__name__ for model in stock} <= {"User", "Group"}


@pytest.mark.parametrize("model", SCOPED)
@pytest.mark.parametrize("role", ["owner", "admin", "member"])
def test_a_member_sees_the_own_workspaces_rows_and_no_others(enter, cafe, bar, model, role):
    answer = enter(cafe, role).get(page(model, "changelist"))
    assert answer.status_code == 200
    shown = set(answer.context["cl"].queryset)
    assert shown == set(rows(model, cafe)) != set()


@pytest.mark.parametrize("model", SCOPED)
def test_a_member_opens_the_own_workspaces_row(enter, cafe, model):
    row = rows(model, cafe).first()
    assert enter(cafe, "member").get(page(model, "change", row.pk)).status_code == 200


@pytest.mark.parametrize("model", SCOPED)
@pytest.mark.parametrize("name", ["change", "delete", "history"])
@pytest.mark.parametrize("user", [{}, {"is_superuser": True}], ids=["plain", "superuser"])
def test_another_workspaces_row_is_missing_on_each_of_its_pages(
    enter, cafe, bar, model, name, user
):
    row = rows(model, bar).first()
    answer = enter(cafe, **user).get(page(model, name, row.pk))
    assert answer.status_code == 404


@pytest.mark.parametrize("model", SCOPED)
def test_another_workspaces_row_is_missing_just_like_one_that_never_was(enter, cafe, bar, model):
    client, row = enter(cafe), rows(model, bar).first()
    never = uuid4() if model is Workspace else 999_999_999
    answers = [client.get(page(model, "change", pk)) for pk in (row.pk, never)]
    assert answers[0].content == answers[1].content


@pytest.mark.parametrize("model", SCOPED)
def test_a_superuser_who_is_no_member_sees_no_workspaces_rows(enter, bar, model):
    client = enter(is_superuser=True)
    answer = client.get(page(model, "changelist"))
    if model is Alarm:  # a system operator sees those of the system
        assert list(answer.context["cl"].queryset) == []
    else:
        assert answer.status_code == 403
    assert client.get(page(model, "change", rows(model, bar).first().pk)).status_code in {403, 404}


@pytest.mark.parametrize("model", SCOPED)
def test_a_superuser_of_one_workspace_sees_that_one_only(enter, cafe, bar, model):
    shown = enter(cafe, is_superuser=True).get(page(model, "changelist")).context["cl"].queryset
    assert not set(shown) & set(rows(model, bar))


def test_a_search_finds_nothing_in_another_workspace(enter, cafe, bar):
    answer = enter(cafe).get(page(QueueItem, "changelist"), {"q": "from bar"})
    assert list(answer.context["cl"].queryset) == []


def test_the_systems_own_chain_is_for_system_operators(enter, cafe):
    system_rows()
    client = enter(cafe)
    seen = client.get(page(AuditEvent, "changelist")).context["cl"].queryset
    assert not seen.filter(chain="system").exists()
    permission = Permission.objects.get(codename="system_operator")
    cafe.memberships.last().user.user_permissions.add(permission)
    seen = client.get(page(AuditEvent, "changelist")).context["cl"].queryset
    assert seen.filter(chain="system").exists()


@pytest.mark.parametrize("model", SYSTEM)
def test_what_belongs_to_no_workspace_is_not_shown_to_a_member(enter, cafe, model):
    assert enter(cafe).get(page(model, "changelist")).status_code == 403


@pytest.mark.parametrize("model", SYSTEM)
def test_a_superuser_reads_what_belongs_to_no_workspace(enter, model):
    system_rows()
    client = enter(is_superuser=True)
    assert client.get(page(model, "changelist")).status_code == 200
    assert client.get(page(model, "change", model.objects.first().pk)).status_code == 200


@pytest.mark.parametrize(
    "user", [{"is_active": False}, {"is_staff": False}], ids=["inactive", "no staff"]
)
def test_inactive_people_and_people_without_the_right_stay_outside(enter, cafe, user):
    answer = enter(cafe, **user).get(page(Workspace, "changelist"))
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/admin/login/")


def test_whoever_is_made_inactive_is_out_at_the_next_click(enter, cafe):
    client = enter(cafe)
    assert client.get(page(Workspace, "changelist")).status_code == 200
    person = cafe.memberships.last().user
    person.is_active = False
    person.save(update_fields=["is_active"])
    assert client.get(page(Workspace, "changelist")).status_code == 302


# --- Nobody changes a row by hand ---------------------------------------------------------------


@pytest.mark.parametrize("model", [*SYSTEM, *(model for model in SCOPED if model not in ADDED)])
def test_nobody_adds_a_row_by_hand(enter, cafe, model):
    client = enter(cafe, is_superuser=True)
    assert client.get(page(model, "add")).status_code == 403
    assert client.post(page(model, "add"), {}).status_code == 403


@pytest.mark.parametrize("model", [*SYSTEM, *(model for model in SCOPED if model is not QueueItem)])
def test_nobody_changes_a_row_by_hand(enter, cafe, model):
    system_rows()
    row = (rows(model, cafe) if model in SCOPED else model.objects.all()).first()
    before = str(model.objects.filter(pk=row.pk).values().get())
    answer = enter(cafe, is_superuser=True).post(page(model, "change", row.pk), {"slug": "mine"})
    assert answer.status_code == 403
    assert str(model.objects.filter(pk=row.pk).values().get()) == before


@pytest.mark.parametrize("model", SYSTEM + SCOPED)
def test_nobody_deletes_a_row_by_hand(enter, cafe, model):
    system_rows()
    row = (rows(model, cafe) if model in SCOPED else model.objects.all()).first()
    client = enter(cafe, is_superuser=True)
    assert client.post(page(model, "delete", row.pk), {"post": "yes"}).status_code == 403
    chosen = {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
    client.post(page(model, "changelist"), chosen)
    assert model.objects.filter(pk=row.pk).exists()


# --- Actions on workspaces ----------------------------------------------------------------------


@pytest.fixture
def act(enter, monkeypatch):
    """Choose workspaces, an action and a reason; what the page says afterwards."""
    monkeypatch.setattr(switches, "wait_out", lambda seconds: None)

    def run(client, action: str, *chosen: Workspace, reason: str = "") -> list[str]:
        body = {
            "action": action,
            "_selected_action": [str(workspace.pk) for workspace in chosen],
            "reason": reason,
        }
        answer = client.post(page(Workspace, "changelist"), body, follow=True)
        assert answer.status_code == 200
        return [str(message) for message in answer.context["messages"]]

    return run


def types(workspace: Workspace) -> list[str]:
    """What was recorded of the workspace itself."""
    events = rows(AuditEvent, workspace).filter(subject="workspace").order_by("seq")
    return list(events.values_list("type", flat=True))


def test_an_operator_pauses_and_resumes_the_workspace(enter, act, cafe):
    client = enter(cafe, "admin")
    assert act(client, "pause", cafe, reason="a holiday") == ["1 paused."]
    cafe.refresh_from_db()
    assert (cafe.paused_reason, types(cafe)) == ("a holiday", ["workspace.pause"])
    assert act(client, "resume", cafe) == ["1 resumed."]
    assert types(cafe) == ["workspace.pause", "workspace.resume"]


def test_an_operator_lifts_containment(enter, act, cafe):
    now = timezone.now()
    switches.contain_workspace(cafe, reason="failures", actor=Actor.worker(), now=now)
    assert act(enter(cafe), "lift_containment", cafe, reason="mended") == ["1 lifted."]
    cafe.refresh_from_db()
    assert cafe.contained_at is None


def test_a_pause_without_a_reason_says_so_and_changes_nothing(enter, act, cafe):
    assert act(enter(cafe), "pause", cafe) == ["cafe: Say why, in at most 200 characters."]
    assert types(cafe) == []


@pytest.mark.parametrize("action", ["pause", "resume", "lift_containment"])
def test_a_member_is_not_offered_the_action_and_cannot_send_it(enter, act, cafe, action):
    act(enter(cafe, "member"), action, cafe, reason="mine now")
    assert types(cafe) == []


def test_an_operator_elsewhere_who_is_a_member_here_is_refused_by_the_service(
    enter, act, cafe, bar
):
    client = enter(cafe, "owner")
    MembershipFactory(workspace=bar, user=cafe.memberships.last().user, role="member")
    said = act(client, "pause", cafe, bar, reason="a holiday")
    assert said == ["1 paused.", "bar: Only an owner or admin of the workspace may do that."]
    assert (types(cafe), types(bar)) == (["workspace.pause"], [])


def test_another_workspace_cannot_be_chosen(enter, act, cafe, bar):
    act(enter(cafe), "pause", bar, reason="mine now")
    assert types(bar) == []


def test_the_kill_switch_has_no_action_here(enter, cafe):
    system_rows()
    client = enter(cafe, is_superuser=True)
    post = partial(client.post, page(SystemSwitch, "changelist"))
    post({"action": "turn", "_selected_action": ["kill_switch"]})
    assert not SystemSwitch.objects.get().on


@pytest.mark.parametrize("page", ["changelist", "add", "change", "delete"])
def test_no_permission_that_can_be_given_away_opens_the_people(page):
    """Whoever may change people may make themselves a superuser, or somebody else's password."""
    staff = UserFactory(is_staff=True)
    staff.user_permissions.set(Permission.objects.filter(content_type__model="user"))
    args = [staff.pk] if page in ("change", "delete") else []
    client = Client()
    client.force_login(staff)
    assert client.get(reverse(f"admin:workspaces_user_{page}", args=args)).status_code == 403
    assert (
        client.get(reverse("admin:auth_user_password_change", args=[staff.pk])).status_code == 403
    )


@pytest.mark.parametrize("page", ["changelist", "add", "change", "delete"])
def test_no_permission_that_can_be_given_away_opens_the_groups(page):
    """Whoever may change a group that they are in may give it, and themselves, the kill switch."""
    staff, group = UserFactory(is_staff=True), Group.objects.create(name="clerks")
    staff.groups.add(group)
    group.permissions.set(Permission.objects.filter(content_type__model="group"))
    args = [group.pk] if page in ("change", "delete") else []
    client = Client()
    client.force_login(staff)
    assert client.get(reverse(f"admin:auth_group_{page}", args=args)).status_code == 403


@pytest.mark.parametrize("model", ["workspaces_user", "auth_group"])
def test_a_superuser_keeps_people_and_groups(model):
    client = Client()
    client.force_login(UserFactory(is_staff=True, is_superuser=True))
    assert client.get(reverse(f"admin:{model}_changelist")).status_code == 200


def test_many_workspaces_are_paused_in_one_wait(monkeypatch):
    """The last one must not go on publishing while the first ones are waited for."""
    user = UserFactory(is_staff=True)
    for _ in range(3):
        MembershipFactory(user=user, role="owner")
    waits = []
    monkeypatch.setattr(switches, "wait_out", lambda seconds: waits.append(_paused()))
    client = Client()
    client.force_login(user)
    chosen = [str(pk) for pk in Workspace.objects.values_list("pk", flat=True)]
    form = {"action": "pause", "reason": "a fire", "_selected_action": chosen}
    client.post(reverse("admin:workspaces_workspace_changelist"), form)
    assert waits == [3]


def _paused() -> int:
    return Workspace.objects.exclude(paused_at=None).count()
