"""The item's page in the admin: which decisions it offers, and how each is carried out.

Every decision names the version that the page showed, and has a form of its own: Enter in a field
presses the first button of the field's form.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from publishing import services
from publishing.errors import NotADecision, NotATime, NotOnThePage, TextNotSaved
from publishing.models import Kind, QueueItem
from publishing.own_post_forms import WhenForm
from publishing.services.looks import NOT_SEEN_AFTER, last_look_was
from publishing.states import Outcome, State
from workspaces.actors import Actor
from workspaces.members_admin import actor_of
from x_integration.client import XClient

S = State


@dataclass(frozen=True)
class Decided:
    """What came with a decision: by whom, about which version, and what was typed."""

    item: QueueItem
    version: int
    actor: Actor
    now: datetime
    text: str | None
    reason: str
    post_id: str
    day: str
    time: str


@dataclass(frozen=True)
class Decision:
    """One button: where it is offered, what it asks for, and what it does."""

    name: str
    label: str
    title: str
    states: frozenset[State]
    run: Callable[[Decided], object]
    asks: str = ""  # "text", "reason", "post_id", "time" or nothing
    hint: str = ""
    when: Callable[[QueueItem], bool] = lambda item: True


def offered(item: QueueItem) -> list[Decision]:
    """The decisions of the item's page beside those about its text, in order."""
    fit = (each for each in DECISIONS if item.state in each.states and each.when(item))
    return [decision for decision in fit if decision.asks != "text"]


def _was_looked_for(item: QueueItem) -> bool:
    """Whether the last look for the doubt was made."""
    return any(map(last_look_was, item.attempts.filter(outcome=Outcome.UNKNOWN)))


def _may_be_given_up(item: QueueItem) -> bool:
    """As above, or nobody could look for a day."""
    long_ago = timezone.now() - NOT_SEEN_AFTER
    doubt = item.attempts.filter(outcome=Outcome.UNKNOWN, started_at__lte=long_ago)
    return _was_looked_for(item) or doubt.exists()


def _may_be_left_alone(item: QueueItem) -> bool:
    post = item.source_post
    return post is not None and not services.is_left_alone(post)


def _may_be_retried(item: QueueItem) -> bool:
    """A planned post that was missed needs another time."""
    is_missed = item.relevant_until is not None and item.relevant_until <= timezone.now()
    return item.kind != Kind.POST or not is_missed


def when_shown(item: QueueItem, day: str | None = None, time: str | None = None) -> dict[str, str]:
    """What a post's fields of day and time hold: what was typed, or for when it is planned."""
    if item.kind != Kind.POST:
        return {}
    plan = services.plan_of(item.workspace)
    local = plan.local(item.scheduled_for) if item.scheduled_for else None
    return {
        "zone": plan.zone_name,
        "day": (f"{local:%Y-%m-%d}" if local else "") if day is None else day,
        "time": (f"{local:%H:%M}" if local else "") if time is None else time,
    }


def decide(item: QueueItem, name: str, request: HttpRequest) -> None:
    """Do what the item's page asked for. Raises what the services raise, NotADecision or TextNotSaved."""
    decision = next((each for each in DECISIONS if each.name == name), None)
    if decision is None:
        raise NotADecision
    decision.run(
        Decided(
            item=item,
            version=version_seen(request, item),
            actor=actor_of(request),
            now=timezone.now(),
            text=typed_text(request),
            reason=request.POST.get("reason", ""),
            post_id=request.POST.get("post_id", ""),
            day=request.POST.get("day", ""),
            time=request.POST.get("time", ""),
        )
    )


def typed_text(request: HttpRequest) -> str | None:
    """What stood in the page's text field, with the line ends that we keep; None when it had none."""
    typed = request.POST.get("text")
    return None if typed is None else typed.replace("\r\n", "\n")


def version_seen(request: HttpRequest, item: QueueItem) -> int:
    """The version on the page that the decision came from. Raises NotOnThePage when it is missing."""
    seen = request.POST.get(f"version-{item.pk}", "")
    if not re.fullmatch(r"[0-9]{1,9}", seen):
        raise NotOnThePage
    return int(seen)


# --- what each does -------------------------------------------------------------------------------


def _approve(by: Decided) -> None:
    changed = by.text is not None and by.text != by.item.text
    if changed and by.version == by.item.version:
        raise TextNotSaved
    services.approve_item(by.item.pk, version=by.version, actor=by.actor, now=by.now)


def _edit(by: Decided) -> None:
    services.edit_item(
        by.item.pk, version=by.version, text=by.text or "", actor=by.actor, now=by.now
    )


def _with_reason(service: Callable[..., object]) -> Callable[[Decided], None]:
    def run(by: Decided) -> None:
        service(by.item.pk, version=by.version, reason=by.reason, actor=by.actor, now=by.now)

    return run


def _plainly(service: Callable[..., object]) -> Callable[[Decided], None]:
    def run(by: Decided) -> None:
        service(by.item.pk, version=by.version, actor=by.actor, now=by.now)

    return run


def _reschedule(by: Decided) -> None:
    """Another time: an edit of what waits or is approved, and with it a retry of what failed or expired."""
    form = WhenForm({"day": by.day, "time": by.time})
    if not form.is_valid():
        raise NotATime(" ".join(str(error) for each in form.errors.values() for error in each))
    workspace = by.item.workspace
    at = form.instant(services.plan_of(workspace))
    at = at or services.next_slot(workspace, now=by.now, besides=by.item.pk)
    said: dict[str, Any] = {
        "version": by.version,
        "actor": by.actor,
        "now": by.now,
        "scheduled_for": at,
    }
    if by.item.state in (S.PENDING, S.APPROVED):
        services.edit_item(by.item.pk, text=by.item.text, **said)
    else:
        services.retry_item(by.item.pk, **said)


def _confirm_found(by: Decided) -> None:
    services.confirm_found_item(
        by.item.pk,
        version=by.version,
        x_post_id=by.post_id,
        x=XClient(),
        actor=by.actor,
        clock=timezone.now,
    )


def _take_back(by: Decided) -> None:
    services.take_back_item(
        by.item.pk, version=by.version, x=XClient(), actor=by.actor, clock=timezone.now
    )


def _opt_out(by: Decided) -> None:
    if by.item.source_post is None:
        raise NotADecision
    services.opt_out_author(by.item.source_post, actor=by.actor, now=by.now)


DECISIONS = (
    Decision(
        "approve",
        "Approve as it stands",
        "Your decision",
        frozenset({S.PENDING}),
        _approve,
        asks="text",
    ),
    Decision(
        "edit",
        "Save the changed text",
        "Your decision",
        frozenset({S.PENDING, S.APPROVED}),
        _edit,
        asks="text",
    ),
    Decision(
        "reject",
        "Reject",
        "Or reject it",
        frozenset({S.PENDING, S.APPROVED}),
        _with_reason(services.reject_item),
        asks="reason",
    ),
    Decision(
        "confirm_found",
        "It is this post",
        "You found it on X",
        frozenset({S.UNCONFIRMED, S.HANDED_OFF}),
        _confirm_found,
        asks="post_id",
        hint="The number at the end of the post's address. It has to stand on our own timeline.",
    ),
    Decision(
        "resend",
        "Send it again",
        "It is not on X: send it again",
        frozenset({S.UNCONFIRMED}),
        _with_reason(services.resend_item),
        asks="reason",
        hint="If it does stand on X after all, X may show it twice.",
        when=_was_looked_for,
    ),
    Decision(
        "give_up",
        "Give it up",
        "It is not on X: give it up",
        frozenset({S.UNCONFIRMED}),
        _with_reason(services.give_up_item),
        asks="reason",
        when=_may_be_given_up,
    ),
    Decision(
        "retry",
        "Put it back into the queue",
        "Try again",
        frozenset({S.FAILED, S.EXPIRED}),
        _plainly(services.retry_item),
        hint="It waits for a new approval.",
        when=_may_be_retried,
    ),
    Decision(
        "reschedule",
        "Give it this time",
        "Another time",
        frozenset({S.PENDING, S.APPROVED, S.FAILED, S.EXPIRED}),
        _reschedule,
        asks="time",
        hint="It waits for a new approval. Without a day and a time it takes the next free slot.",
        when=lambda item: item.kind == Kind.POST,
    ),
    Decision(
        "hand_off",
        "Hand it off",
        "Post it by hand",
        frozenset({S.PENDING, S.APPROVED, S.FAILED}),
        _plainly(services.hand_off_item),
        hint="A person posts it through X's own page; this approves the text as it stands.",
    ),
    Decision(
        "take_back",
        "Take it back",
        "It was not posted by hand",
        frozenset({S.HANDED_OFF}),
        _take_back,
        hint="Our timeline is looked at first.",
    ),
    Decision(
        "opt_out",
        "Leave this person alone",
        "They asked for no more replies",
        frozenset(S),
        _opt_out,
        hint="Nothing is sent to them until somebody takes it back.",
        when=_may_be_left_alone,
    ),
)
