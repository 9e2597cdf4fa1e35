"""Doors of the admin that can lead to a post, each used as the one who may.

Each control brings everything to where only the door is missing, yields, and uses the door.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from unittest.mock import patch
from urllib.parse import parse_qs, urlsplit

import requests
from django.urls import reverse
from django.utils import timezone

from publishing.services import opt_out_author, propose_replies
from tests.doors.stage import Control, Stage
from tests.worlds import WORKER
from workspaces.actors import Actor
from workspaces.models import SystemHold, SystemSwitch, User, Workspace
from workspaces.services import place_hold, set_kill_switch
from x_integration.models import XAccount
from x_integration.services import revoke_workspace_x_tokens

QUEUE, PAGE = "url admin/publishing/queueitem/", "<path:object_id>/change/"
CONTROLS: dict[str, Control] = {}


def proves(*doors: str):
    """Enter a control under the names of the doors that it uses."""

    def enter(control: Control) -> Control:
        CONTROLS.update(dict.fromkeys(doors, control))
        return control

    return enter


def page(model: str, name: str, *args: object) -> str:
    """An address of the admin."""
    return reverse(f"admin:{model}_{name}", args=args)


# --- the queue --------------------------------------------------------------------------------------


@proves(QUEUE, "action publishing.QueueItem.approve")
def approve_on_the_list(stage: Stage) -> Iterator[None]:
    """The action, on the item as the list showed it."""
    item = stage.pending()
    yield
    form = {"action": "approve", "_selected_action": item.pk, f"version-{item.pk}": item.version}
    stage.press(page("publishing_queueitem", "changelist"), form)


@proves(f"{QUEUE}{PAGE}", "decision approve")
def approve_on_the_page(stage: Stage) -> Iterator[None]:
    """The button."""
    item = stage.pending()
    yield
    stage.decide(item, "approve", text=item.text)


@proves("decision edit")
def edit_and_approve(stage: Stage) -> Iterator[None]:
    """An approved item whose text is changed waits for the other's yes, and goes out with it."""
    item = stage.approved()
    stage.decide(item, "edit", text="Words that a person has changed.")
    yield
    stage.approve(item, by=stage.owner)


@proves("url admin/publishing/ownpost/add/", "decision reschedule")
def plan_move_and_approve(stage: Stage) -> Iterator[None]:
    """A post of our own, planned for tomorrow and moved to a minute ago, three minutes ago, with the other's yes."""
    now = timezone.now()
    tomorrow, soon = now + timedelta(days=1), now - timedelta(minutes=1)
    form = {"workspace": str(stage.workspace.pk), "text": "We open at nine.", **_when(tomorrow)}
    with patch("django.utils.timezone.now", lambda: now - timedelta(minutes=3)):
        stage.press(page("publishing_ownpost", "add"), form)
        item = stage.newest()
        stage.decide(item, "reschedule", **_when(soon))
    yield
    stage.approve(item, by=stage.owner)


def _when(instant: datetime) -> dict[str, str]:
    return {"day": f"{instant:%Y-%m-%d}", "time": f"{instant:%H:%M}"}


@proves("decision resend")
def resend(stage: Stage) -> Iterator[None]:
    """A doubt, after the last look."""
    item = stage.doubt()
    yield
    stage.decide(item, "resend", reason="it is not there")


@proves("decision give_up")
def give_up_retry_approve(stage: Stage) -> Iterator[None]:
    """What was given up, put back and approved."""
    item = stage.doubt()
    stage.decide(item, "give_up", reason="it is not there")
    stage.decide(item, "retry")
    yield
    stage.approve(item)


@proves("decision retry")
def retry_and_approve(stage: Stage) -> Iterator[None]:
    """What X refused, put back and approved."""
    item = stage.failed()
    stage.decide(item, "retry")
    yield
    stage.approve(item)


@proves("decision hand_off", "decision take_back")
def hand_off_take_back_approve(stage: Stage) -> Iterator[None]:
    """What was handed off is nobody's but a person's; taken back and approved it goes out."""
    item = stage.pending()
    stage.decide(item, "hand_off")
    stage.decide(item, "take_back")
    yield
    stage.approve(item)


@proves("action publishing.OptOut.answer_again", "url admin/publishing/optout/")
def answer_again(stage: Stage) -> Iterator[None]:
    """An approved reply to somebody who asked to be left alone."""
    item = stage.approved()
    post = item.source_post
    assert post is not None
    opt_out_author(post, actor=Actor.operator(stage.admin, door="admin"), now=timezone.now())
    stage.x.publish(item)
    yield
    opt_out = stage.workspace.opt_outs.get()
    form = {"action": "answer_again", "_selected_action": opt_out.pk}
    stage.press(page("publishing_optout", "changelist"), form)


@proves("action publishing.Candidate.propose", "url admin/publishing/candidate/")
def propose_all_the_same(stage: Stage) -> Iterator[None]:
    """A reply to what the pipeline passed over, which the admin wanted and approved."""
    said = f"@{stage.workspace.x_account.username} passive income, ask me how"
    post = stage.x.heard(stage.workspace, by="rui", text=said)
    assert propose_replies(stage.workspace, actor=WORKER, now=timezone.now()) == []
    form = {"action": "propose", "_selected_action": post.pk}
    stage.press(page("publishing_candidate", "changelist"), form)
    yield
    stage.approve(stage.newest())


# --- what lets go again -------------------------------------------------------------------------------


def _stop(stage: Stage, **fields: object) -> None:
    stage.approved()
    Workspace.objects.filter(pk=stage.workspace.pk).update(**fields)


@proves("url admin/workspaces/workspace/<uuid:workspace_id>/resume/")
def resume_on_the_page(stage: Stage) -> Iterator[None]:
    """The button of a paused workspace."""
    _stop(stage, paused_at=timezone.now(), paused_by="command", paused_reason="tea")
    yield
    stage.press(page("workspaces_workspace", "resume", stage.workspace.pk), {})


@proves("url admin/workspaces/workspace/", "action workspaces.Workspace.resume")
def resume_on_the_list(stage: Stage) -> Iterator[None]:
    """The action."""
    _stop(stage, paused_at=timezone.now(), paused_by="command", paused_reason="tea")
    yield
    form = {"action": "resume", "_selected_action": stage.workspace.pk}
    stage.press(page("workspaces_workspace", "changelist"), form)


@proves("url admin/workspaces/workspace/<uuid:workspace_id>/lift-containment/")
def lift_containment_on_the_page(stage: Stage) -> Iterator[None]:
    """The button of a contained workspace, and the answer to what it asks."""
    now = timezone.now()
    _stop(stage, contained_at=now, contained_reason="three failures")
    yield
    path = page("workspaces_workspace", "lift_containment", stage.workspace.pk)
    stage.press(path, {"reason": "looked", "confirmed": "yes", "seen": now.isoformat()})


@proves("action workspaces.Workspace.lift_containment")
def lift_containment_on_the_list(stage: Stage) -> Iterator[None]:
    """The action."""
    _stop(stage, contained_at=timezone.now(), contained_reason="three failures")
    yield
    form = {"action": "lift_containment", "_selected_action": stage.workspace.pk, "reason": "fine"}
    stage.press(page("workspaces_workspace", "changelist"), form)


@proves("url admin/workspaces/workspace/<uuid:workspace_id>/policy/")
def loosen_the_policy(stage: Stage) -> Iterator[None]:
    """A workspace that allows itself no reply."""
    _stop(stage, max_replies_per_hour=0)
    yield
    path = page("workspaces_workspace", "policy", stage.workspace.pk)
    shown = stage.browser().get(page("workspaces_workspace", "change", stage.workspace.pk))
    form = shown.context["policy_form"]
    told = {form.add_prefix(n): v for n, v in form.initial.items() if v not in (None, False)}
    told |= {form.add_initial_prefix(n): v for n, v in form.initial.items() if v is not None}
    stage.press(path, told | {form.add_prefix("max_replies_per_hour"): "5"})


def _system_operator(stage: Stage) -> User:
    User.objects.filter(pk=stage.owner.pk).update(is_superuser=True)
    return User.objects.get(pk=stage.owner.pk)


@proves("url admin/workspaces/systemswitch/off/")
def kill_switch_off(stage: Stage) -> Iterator[None]:
    """The switch, let go by a system operator."""
    stage.approved()
    chief = _system_operator(stage)
    set_kill_switch(True, reason="tea", actor=Actor.command(), now=timezone.now())
    yield
    seen = SystemSwitch.objects.get().changed_at.isoformat()
    form = {"reason": "drunk", "confirmed": "yes", "seen": seen}
    stage.press(page("workspaces_systemswitch", "off"), form, user=chief)


@proves("url admin/workspaces/systemhold/<int:hold_id>/lift/")
def lift_a_system_hold(stage: Stage) -> Iterator[None]:
    """A hold of everybody."""
    stage.approved()
    chief = _system_operator(stage)
    place_hold("no_credits", reason="empty", actor=Actor.worker(), now=timezone.now())
    yield
    path = page("workspaces_systemhold", "lift", SystemHold.objects.get().pk)
    stage.press(path, {"reason": "filled", "confirmed": "yes"}, user=chief)


# --- the account --------------------------------------------------------------------------------------


def _account(stage: Stage, **fields: object) -> int:
    stage.approved()
    account = XAccount.objects.filter(workspace=stage.workspace)
    account.update(**fields)
    return account.get().pk


@proves("url admin/x_integration/xaccount/<int:account_id>/lift-hold/")
def lift_the_accounts_hold(stage: Stage) -> Iterator[None]:
    """An account that X had locked."""
    now = timezone.now()
    pk = _account(stage, held_at=now, held_reason="x_account")
    yield
    told = {"reason": "X lets us again", "confirmed": "yes", "seen": now.isoformat()}
    stage.press(page("x_integration_xaccount", "lift_hold", pk), told)


@proves("url admin/x_integration/xaccount/<int:account_id>/renew/")
def renew_the_token(stage: Stage) -> Iterator[None]:
    """A token that ran out, whose renewal is put off for an hour."""
    now = timezone.now()
    pk = _account(stage, expires_at=now, refresh_not_before=now + timedelta(hours=1))
    yield
    stage.press(page("x_integration_xaccount", "renew", pk), {})


@proves("url admin/x_integration/xaccount/connect/<uuid:workspace_id>/")
def connect_anew(stage: Stage) -> Iterator[None]:
    """A workspace whose account was disconnected; consent and callback follow."""
    _disconnected(stage)
    yield
    browser = stage.browser()
    path = page("x_integration_xaccount", "connect", stage.workspace.pk)
    consent(browser, browser.post(path)["Location"])


def _disconnected(stage: Stage) -> None:
    stage.approved()
    actor = Actor.operator(stage.admin, door="admin")
    revoke_workspace_x_tokens(stage.workspace, actor=actor, now=timezone.now())


def consent(browser, url: str) -> None:
    """Press "allow" at X, and come back to us with what X gave along."""
    where, _, query = url.partition("?")
    asked = {name: values[0] for name, values in parse_qs(query).items()}
    form = asked | {"user": "cafe", "decision": "allow"}
    answer = requests.post(where, data=form, allow_redirects=False, timeout=10)
    back = urlsplit(answer.headers["Location"])
    assert browser.get(f"{back.path}?{back.query}").status_code == 200


@proves("url integrations/x/oauth/authorize", "url integrations/x/oauth/callback")
def connect_over_the_api(stage: Stage) -> Iterator[None]:
    """The same over HTTP."""
    _disconnected(stage)
    yield
    browser, body = stage.browser(), {"workspace_id": str(stage.workspace.pk)}
    path = reverse("x-authorize")
    answer = browser.post(path, body, content_type="application/json")
    consent(browser, answer.json()["authorize_url"])


# --- people -------------------------------------------------------------------------------------------


@proves("url admin/workspaces/user/<path:object_id>/change/")
def let_the_approver_in_again(stage: Stage) -> Iterator[None]:
    """The yes of somebody who was switched off does not count; a superuser switches them on."""
    chief = User.objects.create_superuser("chief")
    stage.approved()
    User.objects.filter(pk=stage.owner.pk).update(is_active=False)
    yield
    path = page("workspaces_user", "change", stage.owner.pk)
    form = {"username": stage.owner.username, "is_active": "on", "is_staff": "on"}
    joined = stage.owner.date_joined
    form |= {"date_joined_0": f"{joined:%Y-%m-%d}", "date_joined_1": f"{joined:%H:%M:%S}"}
    stage.press(path, form, user=chief)
