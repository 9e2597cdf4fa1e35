"""Candidates in the admin: what people said, and what became of it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.html import format_html

from publishing import services
from publishing.models import Candidate
from publishing.ranking import PARTS
from revfirst.admin import act_on_each, badge
from revfirst.words import Note, distance
from workspaces.members_admin import MembersAdmin, OwnWorkspaces, pressed
from x_integration.models import SourcePost


def said_in(post: SourcePost) -> str:
    """Author and text, as a list shows them."""
    return format_html(
        '<div class="said"><b>@{}</b> <span dir="auto">{}</span></div>',
        post.author_username or post.author_id,
        post.words,
    )


def parts_in_words(candidate: Candidate) -> str:
    """The score's parts: "question 30 · summoned 20 · engagement 2 · recency 18"."""
    words = {
        "intent": candidate.intent,
        "eligibility": candidate.source_post.eligibility.replace("_", " "),
    }
    found = ((words.get(part, part), candidate.parts.get(part, 0)) for part in PARTS)
    return " · ".join(f"{word} {'never' if points is None else points}" for word, points in found)


@admin.register(Candidate)
class CandidateAdmin(MembersAdmin):
    """What people said, with what became of it: proposed, waiting, or passed over and why."""

    list_display = ("said", "stands", "score", "made_up_of", "found")
    list_display_links = None
    list_filter = ("state", "reason", "intent", ("workspace", OwnWorkspaces))
    list_select_related = ("source_post", "workspace")
    search_fields = ("source_post__text", "source_post__author_username")
    ordering = ("-found_at", "-score")
    actions = ("propose",)

    @admin.display(description="they said")
    def said(self, candidate: Candidate) -> str:
        """Author and text."""
        return said_in(candidate.source_post)

    @admin.display(description="state", ordering="state")
    def stands(self, candidate: Candidate) -> str:
        """The state by colour and word, and why it was passed over."""
        tone = _CANDIDATE_TONES[Candidate.State(candidate.state)]
        why = f": {candidate.reason.replace('_', ' ')}" if candidate.reason else ""
        return badge(Note(tone, f"{candidate.state}{why}", ""))

    @admin.display(description="made up of")
    def made_up_of(self, candidate: Candidate) -> str:
        """The parts of the score."""
        return parts_in_words(candidate)

    @admin.display(description="found", ordering="found_at")
    def found(self, candidate: Candidate) -> str:
        """When it was read first, or came up again."""
        return distance(candidate.found_at, timezone.now())

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The list, under its own name."""
        return super().changelist_view(request, {"title": "Candidates", **(extra_context or {})})

    @admin.action(description="Propose a reply all the same", permissions=["view"])
    def propose(self, request: HttpRequest, queryset: QuerySet[Candidate]) -> None:
        """Put a reply to each selected post into the queue, also where it was passed over."""
        act_on_each(
            request,
            queryset,
            "proposed",
            lambda candidate: services.propose_anyway(candidate, **pressed(request)),
        )


_CANDIDATE_TONES = {
    Candidate.State.NEW: "wait",
    Candidate.State.QUEUED: "good",
    Candidate.State.SKIPPED: "quiet",
    Candidate.State.EXPIRED: "quiet",
}
