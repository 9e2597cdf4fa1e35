"""The queue in the admin: review, approve, reject, edit. Every decision names the version seen."""

from __future__ import annotations

from copy import copy
from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import mark_safe
from django.utils.timesince import timesince

from publishing import services
from publishing.calendar_admin import OwnPostAdmin
from publishing.candidate_admin import CandidateAdmin, parts_in_words, said_in
from publishing.item_page import decide, offered, typed_text, version_seen, when_shown
from publishing.models import Approval, Candidate, Edit, OptOut, PublishAttempt, QueueItem
from publishing.spend_admin import SpendAdmin
from publishing.states import Outcome, State
from publishing.text import LIMIT, weighted_length
from revfirst.admin import ReasonForm, act_on_each
from revfirst.errors import RevFirstError
from workspaces.members_admin import MembersAdmin, OwnWorkspaces, actor_of
from workspaces.models import AuditEvent

# The admin finds them here; each has a module of its own.
__all__ = ["CandidateAdmin", "OwnPostAdmin", "SpendAdmin"]


def _utc(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M} UTC"


def _edit_row(edit: Edit) -> tuple[Any, ...]:
    tags = {"=": "span", "-": "del", "+": "ins"}
    pieces = format_html_join("", '<{0} dir="auto">{1}</{0}>', ((tags[s], w) for s, w in edit.diff))
    return _utc(edit.edited_at), edit.version, edit.edited_by, pieces


class AttemptInline(admin.TabularInline):  # type: ignore[type-arg]
    """Each try and what X said."""

    model = PublishAttempt
    fields = ("number", "outcome", "started_at", "settled_at", "code", "words", "x_post_id")
    readonly_fields = fields
    extra = 0
    can_delete = False
    verbose_name_plural = "attempts"

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever sees the item sees its attempts."""
        return True


@admin.register(QueueItem)
class QueueItemAdmin(MembersAdmin):
    """What they said beside what we would say, and the decision."""

    list_display = ("item", "state_badge", "they_said", "we_say", "eligibility", "waiting")
    list_display_links = ("item",)
    list_filter = (
        "state",
        "kind",
        ("workspace", OwnWorkspaces),
        "needs_person",
        "source_post__eligibility",
    )
    list_select_related = ("workspace", "source_post")
    search_fields = ("text", "source_post__text", "source_post__author_username")
    ordering = ("created_at", "pk")
    action_form = ReasonForm
    actions = ("approve", "reject")
    inlines = (AttemptInline,)
    fields = (
        "state_badge",
        "they_said_in_full",
        "we_say_in_full",
        "eligibility",
        "provenance",
        "why_this_post",
        "edits",
        "price",
        "goes_out",
        "waiting",
        "approval",
        "on_x",
    )
    readonly_fields = fields

    @admin.display(description="item", ordering="number")
    def item(self, item: QueueItem) -> str:
        """The number, and the version that this page shows: a decision carries it."""
        return format_html(
            '#{} <input type="hidden" name="version-{}" value="{}">',
            item.number,
            item.pk,
            item.version,
        )

    @admin.display(description="state", ordering="state")
    def state_badge(self, item: QueueItem) -> str:
        """The state, told by colour and word; and whether it waits for a person."""
        badge = format_html(
            '<span class="state state-{}">{}</span>', item.state, item.get_state_display()
        )
        asks = ' <span class="state tone-bad">needs a person</span>'
        return format_html("{}{}", badge, mark_safe(asks) if item.needs_person else "")  # noqa: S308

    @admin.display(description="they said")
    def they_said(self, item: QueueItem) -> str:
        """Author and text."""
        return said_in(item.source_post) if item.source_post else "–"

    @admin.display(description="they said")
    def they_said_in_full(self, item: QueueItem) -> str:
        """Author, text, time and link."""
        post = item.source_post
        if post is None:
            return "Nobody: this is a post of our own."
        return format_html(
            '<div class="card"><p><b>@{}</b> · {} · <a href="{}" rel="noopener noreferrer">'
            'open on X</a>{}</p><p dir="auto" class="text">{}</p></div>',
            post.author_username or post.author_id,
            _utc(post.posted_at),
            post.url,
            " · asked for no more replies" if services.is_left_alone(post) else "",
            post.words,
        )

    @admin.display(description="we would say", ordering="text")
    def we_say(self, item: QueueItem) -> str:
        """Our text."""
        return format_html('<div class="said" dir="auto">{}</div>', item.text or "–")

    @admin.display(description="we would say")
    def we_say_in_full(self, item: QueueItem) -> str:
        """Our text and its length as X counts."""
        return format_html(
            '<div class="card ours"><p dir="auto" class="text">{}</p><p>{} of {} characters</p></div>',
            item.text,
            weighted_length(item.text),
            LIMIT,
        )

    @admin.display(description="X would take it")
    def eligibility(self, item: QueueItem) -> str:
        """Whether X accepts our reply, and why."""
        post = item.source_post
        if post is None:
            return "yes: our own post"
        if post.gone_at is not None:
            return "no: X shows it no longer"
        answer = "yes" if post.may_be_answered else "no"
        return f"{answer}: {post.eligibility_reason.replace('_', ' ')}"

    @admin.display(description="waiting")
    def waiting(self, item: QueueItem) -> str:
        """How long it has been in this state, and what holds it."""
        age = timesince(item.moved_at, timezone.now())
        if item.state != State.APPROVED or not (item.blocked_reason or item.not_before):
            return age
        why = (item.blocked_reason or item.last_error or "waiting").replace("_", " ")
        if item.not_before is None:
            return f"{age} · {why}"
        ends = not item.blocked_reason or services.opens_by_itself(item.blocked_reason)
        when = "until" if ends else "asked again at"
        told = f"{age} · {why}, {when} {_utc(item.not_before)}"
        return f"{told} · {because}" if (because := services.why_refused(item)) else told

    @admin.display(description="goes out")
    def goes_out(self, item: QueueItem) -> str:
        """For when it is planned, by the workspace's clocks and in UTC, and when it would be too late."""
        plan, told = services.plan_of(item.workspace), ["once it is approved"]
        if item.scheduled_for:
            told = [plan.in_words(item.scheduled_for)]
        if item.relevant_until:
            told.append(f"not after {plan.in_words(item.relevant_until)}")
        return ", ".join(told)

    @admin.display(description="X charges")
    def price(self, item: QueueItem) -> str:
        """What publishing it costs on its day."""
        return services.price_of_item(item, now=item.scheduled_for or timezone.now()).in_words

    @admin.display(description="written by")
    def provenance(self, item: QueueItem) -> str:
        """Where the text came from."""
        if item.origin == "direct":
            return f"{item.written_by} through the direct API, version {item.version}"
        if item.origin == "person":
            return f"{item.written_by}, version {item.version}"
        edited = f", changed by {item.written_by}" if item.written_by else ""
        return f"{item.origin} {item.template}{edited}, version {item.version}"

    @admin.display(description="why this post")
    def why_this_post(self, item: QueueItem) -> str:
        """What its post scored when it was proposed, and by what."""
        candidate = Candidate.objects.filter(pk=item.source_post_id).first()
        if item.score is None or candidate is None:
            return "–"
        return f"{item.score} points: {parts_in_words(candidate)}"

    @admin.display(description="changed by people")
    def edits(self, item: QueueItem) -> str:
        """Every edit, word by word."""
        edits = item.edits.select_related("edited_by").order_by("version")
        shown = format_html_join("", "<li>{} · version {} · {}<br>{}</li>", map(_edit_row, edits))
        return format_html('<ul class="edits">{}</ul>', shown) if shown else "–"

    @admin.display(description="approved")
    def approval(self, item: QueueItem) -> str:
        """Who said yes, when, and to which content."""
        approval = item.approvals.select_related("approved_by").order_by("-pk").first()
        if approval is None:
            return "–"
        ended = "void" if approval.voided_at else "used" if approval.used_at else "live"
        return (
            f"by {approval.approved_by} ({approval.door}) at {_utc(approval.approved_at)}"
            f" · {ended} · {approval.content_hash[:12]}"
        )

    @admin.display(description="on X")
    def on_x(self, item: QueueItem) -> str:
        """The published post, or what X said instead and how far the looks for it are."""
        looked_for = item.attempts.filter(outcome__in=[Outcome.UNKNOWN, Outcome.HANDED_OFF]).first()
        if looked_for is None:
            return item.x_post_id or item.last_words or "–"
        told = [item.last_words] if item.last_words else []
        told.append(f"Our timeline was looked at {looked_for.looks} times, without finding it.")
        if looked_for.next_look_at:
            told.append(f"Next look after {_utc(looked_for.next_look_at)}.")
        return " ".join(told)

    @admin.action(description="Approve", permissions=["operate"])
    def approve(self, request: HttpRequest, queryset: QuerySet[QueueItem]) -> None:
        """Approve each selected item as this page showed it."""
        actor = actor_of(request)

        def approve(item: QueueItem) -> None:
            version = version_seen(request, item)
            services.approve_item(item.pk, version=version, actor=actor, now=timezone.now())

        act_on_each(request, queryset, "approved", approve)

    @admin.action(description="Reject (reason needed)", permissions=["operate"])
    def reject(self, request: HttpRequest, queryset: QuerySet[QueueItem]) -> None:
        """Reject each selected item as this page showed it."""
        actor, reason = actor_of(request), request.POST.get("reason", "")

        def reject(item: QueueItem) -> None:
            version = version_seen(request, item)
            services.reject_item(
                item.pk, version=version, reason=reason, actor=actor, now=timezone.now()
            )

        act_on_each(request, queryset, "rejected", reject)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The list, under its own name."""
        return super().changelist_view(request, {"title": "Queue", **(extra_context or {})})

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The item's page; a decision on it runs outside the transaction of the stock view."""
        item = self.get_object(request, object_id) if object_id else None
        if request.method == "POST" and item is not None:
            return self._decide_one(request, item)
        context = {**self._choices(request, item), **(extra_context or {})}
        return super().changeform_view(request, object_id, form_url, context)

    def _choices(self, request: HttpRequest, item: QueueItem | None) -> dict[str, Any]:
        """What the page offers to this person; the services ask again."""
        if item is None or not self.has_operate_permission(request):
            return {}
        handed_off = item.state == State.HANDED_OFF
        return {
            "may_decide": item.state in (State.PENDING, State.APPROVED),
            "decisions": offered(item),
            "when": when_shown(item),
            "web_intent": services.web_intent(item) if handed_off and item.text else "",
        }

    def _decide_one(self, request: HttpRequest, item: QueueItem) -> HttpResponse:
        decision = request.POST.get("decision", "")
        try:
            decide(item, decision, request)
        except RevFirstError as error:
            messages.error(request, f"{item}: {error}")
            return self._page_again(request, item)
        messages.success(request, f"{item}: {decision.replace('_', ' ')} is done.")
        return HttpResponseRedirect(request.path)

    def _page_again(self, request: HttpRequest, item: QueueItem) -> HttpResponse:
        """The page as it is now, with what the person typed: a refusal loses nothing."""
        again = copy(request)
        again.method = "GET"
        typed = {
            "typed_text": typed_text(request),
            "typed_reason": request.POST.get("reason", ""),
            "typed_for": request.POST.get("decision", ""),
            "when": when_shown(item, request.POST.get("day"), request.POST.get("time")),
        }
        return self.changeform_view(again, str(item.pk), extra_context=typed)

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The item's audit rows in place of the stock log, which knows nothing of services."""
        item = self.get_object(request, object_id)
        events = AuditEvent.objects.filter(chain=str(item.workspace_id), subject=item.subject)
        context = {"audit_events": events.order_by("seq"), **(extra_context or {})}
        return super().history_view(request, object_id, context)


@admin.register(Approval)
class ApprovalAdmin(MembersAdmin):
    """Every yes, to exactly what, for reading."""

    memberships_path = "item__workspace__memberships"
    list_display = ("item", "version", "approved_by", "door", "approved_at", "used_at", "voided_at")
    list_select_related = ("item", "approved_by")
    ordering = ("-approved_at",)


@admin.register(OptOut)
class OptOutAdmin(MembersAdmin):
    """People who are left alone; the item's page adds to them."""

    list_display = ("__str__", "workspace", "since", "noted_by")
    list_filter = (("workspace", OwnWorkspaces),)
    list_select_related = ("workspace",)
    ordering = ("-since",)
    actions = ("answer_again",)

    @admin.action(description="Answer them again", permissions=["operate"])
    def answer_again(self, request: HttpRequest, queryset: QuerySet[OptOut]) -> None:
        """They may be answered again."""
        actor, now = actor_of(request), timezone.now()
        act_on_each(
            request,
            queryset,
            "answered again",
            lambda opt_out: services.opt_in_author(opt_out, actor=actor, now=now),
        )
