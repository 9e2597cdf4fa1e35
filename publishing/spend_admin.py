"""Spend in the admin: the totals of day and month beside their budgets, each day by kind, and the calls behind it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone

from publishing.models import QueueItem
from publishing.services import purses_of
from publishing.services.budget import DAY, READING_SHARE, WARNING_SHARE, Purse
from revfirst.words import in_words
from workspaces.members_admin import MembersAdmin, OwnWorkspaces
from workspaces.models import Workspace
from x_integration.models import Feed, PricedCall, Spend
from x_integration.prices import POST, POST_READ, POST_WITH_URL, SUMMONED_REPLY, USER_READ

CALLS_SHOWN = 200
_KINDS = {
    POST_READ: "posts read",
    USER_READ: "users read",
    POST: "posts",
    POST_WITH_URL: "posts with a link",
    SUMMONED_REPLY: "summoned replies",
}


@dataclass(frozen=True)
class Bar:
    """A purse as the page shows it: dollars, a bar, and what it means."""

    title: str
    spent: str
    budget: str  # empty where there is none
    width: str  # of a hundred
    tone: str
    sentence: str


@admin.register(Spend)
class SpendAdmin(MembersAdmin):
    """What the person's workspaces spent at X."""

    list_display = ("utc_day", "workspace", "what", "calls", "cost")
    list_select_related = ("workspace",)
    list_filter = (("workspace", OwnWorkspaces),)
    ordering = ("-day", "workspace__slug", "kind")
    fieldsets = (
        (
            "All fields",
            {"classes": ("collapse",), "fields": ("workspace", "day", "kind", "calls", "usd")},
        ),
    )

    @admin.display(description="day (UTC)", ordering="day")
    def utc_day(self, spend: Spend) -> str:
        """The day by which X bills."""
        return f"{spend.day:%Y-%m-%d}"

    @admin.display(description="what", ordering="kind")
    def what(self, spend: Spend) -> str:
        """The kind in words."""
        return _KINDS.get(spend.kind, in_words(spend.kind))

    @admin.display(description="cost", ordering="usd")
    def cost(self, spend: Spend) -> str:
        """In dollars, to the last tenth of a cent."""
        return dollars(spend.usd)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The list, below the purses of the workspaces that it shows."""
        mine = Workspace.objects.filter(memberships__user=request.user.pk).order_by("slug")
        if (asked := _workspace_asked_for(request)) is not None:
            mine = mine.filter(pk=asked)
        purses = [
            (day.workspace, [bar(day), bar(month)])
            for day, month in purses_of(mine, now=timezone.now())
        ]
        context = {"title": "Spend at X", "purses": purses, **(extra_context or {})}
        return super().changelist_view(request, context)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """One day and kind, and its calls."""
        spend = self.get_object(request, object_id)
        rows = PricedCall.objects.filter(
            workspace=spend.workspace, day=spend.day, kind=spend.kind
        ).order_by("-at", "-pk")
        context = {
            "title": f"{spend.workspace.slug}, {spend.day:%Y-%m-%d}: {self.what(spend)}",
            "subtitle": None,
            "total": dollars(spend.usd),
            "calls": _told(list(rows[:CALLS_SHOWN])),
            "more": max(rows.count() - CALLS_SHOWN, 0),
            **(extra_context or {}),
        }
        return super().change_view(request, object_id, form_url, context)


def bar(purse: Purse) -> Bar:
    """How a purse is shown."""
    share = purse.share
    percent = min(share or Decimal(0), Decimal(1)) * 100
    return Bar(
        title="Today" if purse.period == DAY else "This month",
        spent=dollars(purse.spent),
        budget=dollars(purse.budget) if purse.budget is not None else "",
        width=f"{percent:.1f}",
        tone=_tone(share),
        sentence=_sentence(purse),
    )


def _tone(share: Decimal | None) -> str:
    if share is None:
        return "quiet"
    return "good" if share < WARNING_SHARE else "wait" if share < 1 else "bad"


def _sentence(purse: Purse) -> str:
    """What it means for reading and publishing."""
    share, budget = purse.share, purse.budget
    if share is None or budget is None:
        return "There is no budget: nothing stops at any sum."
    if share >= 1:
        return f"Nothing is read or published until the {purse.period} is over, by UTC."
    left = f"{dollars(budget - purse.spent)} are left"
    if share >= READING_SHARE:
        return f"{left}, for publishing alone: reading has stopped."
    return f"{left}. Reading stops at 90 %, publishing at 100 %."


def dollars(usd: Decimal) -> str:
    """`$0.015`, `$40.00`: cents, and what is less than a cent where there is any."""
    whole = f"{usd:.4f}"
    return "$" + re.sub(r"(?<=\.\d\d)(\d*?)0+$", r"\1", whole)


def _workspace_asked_for(request: HttpRequest) -> UUID | None:
    try:
        return UUID(request.GET.get("workspace__id__exact", ""))
    except ValueError:
        return None


def _told(calls: list[PricedCall]) -> list[dict[str, object]]:
    """Each call with what it was for, in words, and where to read on."""
    items, feeds = _items_of(calls), _feeds_of(calls)
    return [
        {
            "at": call.at,
            "units": call.units,
            "each": dollars(call.unit_usd),
            "usd": dollars(call.usd),
            "words": _words(call.subject, feeds),
            "url": items.get(call.subject.partition("/")[0], ""),
        }
        for call in calls
    ]


def _words(subject: str, feeds: dict[str, str]) -> str:
    """What a call was for, as people read it."""
    noun, _, name = subject.partition(":")
    if noun == "item":
        number, _, attempt = name.partition("/")
        return f"#{number}, try {attempt}"
    if noun == "feed":
        return feeds.get(subject, "a feed that is gone")
    return {"account": "the account", "source_post": "a post to answer"}.get(noun, subject)


def _items_of(calls: list[PricedCall]) -> dict[str, str]:
    """The pages of the items that calls were for, by the item's subject."""
    subjects = {call.subject.partition("/")[0] for call in calls}
    numbers = {int(each.removeprefix("item:")) for each in subjects if each.startswith("item:")}
    workspaces = {call.workspace_id for call in calls}
    found = QueueItem.objects.filter(workspace__in=workspaces, number__in=numbers)
    return {
        item.subject: reverse("admin:publishing_queueitem_change", args=[item.pk]) for item in found
    }


def _feeds_of(calls: list[PricedCall]) -> dict[str, str]:
    """What is read in the feeds that calls were for, by the call's subject."""
    subjects = {call.subject for call in calls if call.subject.startswith("feed:")}
    ids = [int(subject.removeprefix("feed:")) for subject in subjects]
    return {f"feed:{feed.pk}": feed.query or feed.kind for feed in Feed.objects.filter(pk__in=ids)}
