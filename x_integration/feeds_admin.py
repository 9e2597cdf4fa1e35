"""Saved searches in the admin: see what the own workspaces read on X, and change it."""

from __future__ import annotations

from functools import partial
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, reverse
from django.utils import timezone

from revfirst.admin import badge, told
from revfirst.errors import RevFirstError
from revfirst.words import Note, in_words, when
from workspaces.members_admin import MembersAdmin, pressed, user_of
from workspaces.models import Membership, User, Workspace
from workspaces.services import check_operator, is_operator
from x_integration import services
from x_integration.models import Feed

_ERRORS = {
    "x_read_400": "X refuses this query: change it.",
    "x_read_403": "X does not let our app search.",
    "x_read_429": "X has had enough of us for now; it is read again by itself.",
    "x_read_failed": "X did not answer; it is read again by itself.",
    "x_broken_page": "X sent a page that cannot be read; it is read again by itself.",
    "x_unseen": "X does not show it to this account.",
    "x_unauthorized": "X did not take our token: see to the account.",
    "access_token_unavailable": "There is no token that X takes: see to the account.",
    "budget": "The budget for reading is used up: see Spend.",
    "no_credits": "There is no credit left at X.",
    "usage_capped": "What may be read in a month is used up.",
    "out_of_time": "Time ran out; the next run goes on there.",
}
_HELP = (
    'Words and "a phrase", #tag, @name, from:name, OR, parentheses, and a minus before what is left '
    "out. X finds posts of the last seven days and charges for each that it shows."
)


class NewSearchForm(forms.Form):
    """What a workspace is to search for."""

    workspace = forms.ModelChoiceField(Workspace.objects.none())
    query = forms.CharField(required=False, strip=False, help_text=_HELP)

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        """For one of the workspaces that the person operates."""
        super().__init__(*args, **kwargs)
        mine = Membership.objects.filter(user=user, role__in=Membership.OPERATORS)
        own = Workspace.objects.filter(memberships__in=mine)
        self.fields["workspace"].queryset = own  # type: ignore[attr-defined]


@admin.register(Feed)
class FeedAdmin(MembersAdmin):
    """What the person's workspaces read: their mentions, and the searches that operators saved."""

    list_display = ("what", "workspace", "state", "read", "next_read", "trouble")
    list_select_related = ("workspace",)
    fields = ("what", "workspace", "state", "read", "next_read", "trouble")
    ordering = ("workspace__slug", "kind", "pk")

    @admin.display(description="what", ordering="query")
    def what(self, feed: Feed) -> str:
        """The query, or that it is the mentions."""
        return feed.query or "mentions of the account"

    @admin.display(description="state", ordering="is_on")
    def state(self, feed: Feed) -> str:
        """Whether it is read, by colour and word."""
        return badge(Note("good", "on", "") if feed.is_on else Note("quiet", "off", ""))

    @admin.display(description="last read", ordering="last_read_at")
    def read(self, feed: Feed) -> str:
        """When it was read last."""
        return when(feed.last_read_at, timezone.now()) if feed.last_read_at else "not read yet"

    @admin.display(description="next read", ordering="next_read_at")
    def next_read(self, feed: Feed) -> str:
        """When it is due."""
        if not feed.is_on:
            return "–"
        now = timezone.now()
        return "now" if feed.next_read_at <= now else when(feed.next_read_at, now)

    @admin.display(description="trouble", ordering="last_error")
    def trouble(self, feed: Feed) -> str:
        """What went wrong the last time, in words."""
        return _ERRORS.get(feed.last_error) or in_words(feed.last_error) or "none"

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Operators; the service asks again, per workspace."""
        return self.has_view_permission(request) and self.has_operate_permission(request)

    # --- pages ----------------------------------------------------------------------------------

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Ask what to search for, and save it."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        by = pressed(request)
        form = NewSearchForm(by["actor"].user, request.POST or None)
        if request.method == "POST" and form.is_valid():
            add = partial(services.add_search, **form.cleaned_data, **by)
            if told(request, add, "The search is saved, and read within two minutes."):
                return HttpResponseRedirect(reverse(self.page_name("changelist")))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "form": form,
            "title": "New search",
        }
        return TemplateResponse(request, "admin/x_integration/feed/new.html", context)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The feed's page, with what its operators may do."""
        feed = self.get_object(request, object_id)
        context = {
            "may_change": is_operator(user_of(request), feed.workspace),
            "is_search": feed.kind == Feed.Kind.SEARCH,
            "query": feed.query,
            "help": _HELP,
            **(extra_context or {}),
        }
        return super().change_view(request, object_id, form_url, context)

    def get_urls(self) -> list[URLPattern]:
        """The buttons' addresses in front of the stock ones, the last of which takes any path."""
        return [
            self.button("<int:feed_id>/query/", "query", self.query_view),
            self.button("<int:feed_id>/switch/", "switch", self.switch_view),
            self.button("<int:feed_id>/remove/", "remove", self.remove_view),
            *super().get_urls(),
        ]

    # --- what the buttons do ----------------------------------------------------------------------

    def query_view(self, request: HttpRequest, feed_id: int) -> HttpResponse:
        """Search for something else; a refusal shows the page again, with what was typed."""
        feed, typed = self.get_object(request, str(feed_id)), request.POST.get("query", "")
        change = partial(services.change_search, feed, typed, **pressed(request))
        done = "The search is changed: it is read from the beginning, within two minutes."
        if told(request, change, done, "It was searched for already: nothing was changed."):
            return self._back(feed)
        request.method = "GET"
        return self.change_view(request, str(feed.pk), extra_context={"query": typed})

    def switch_view(self, request: HttpRequest, feed_id: int) -> HttpResponse:
        """Read it, or read it no more, as the button said."""
        feed, on = self.get_object(request, str(feed_id)), request.POST.get("on") == "yes"
        switch = partial(services.switch_feed, feed, on=on, **pressed(request))
        done = "It is read within two minutes." if on else "It is read no more."
        told(request, switch, done, f"It was {'on' if on else 'off'} before.")
        return self._back(feed)

    def remove_view(self, request: HttpRequest, feed_id: int) -> HttpResponse:
        """Ask whether it is meant, and remove the search when the answer comes."""
        feed = self.get_object(request, str(feed_id))
        remove = partial(services.remove_search, feed, **pressed(request))
        if feed.kind != Feed.Kind.SEARCH or request.POST.get("confirmed") == "yes":
            told(request, remove, "The search is removed.", "There was no search to remove.")
            return HttpResponseRedirect(reverse(self.page_name("changelist")))
        try:
            check_operator(user_of(request), feed.workspace)
        except RevFirstError as error:
            return self._refused(request, feed, error)
        return self.ask_first(
            request,
            title=f"Remove this search of {feed.workspace}?",
            sentences=[feed.query, "What it has found stays. Searched for again, it begins anew."],
            label="Remove the search",
            back=self._back(feed).url,
        )

    def _refused(self, request: HttpRequest, feed: Feed, error: RevFirstError) -> HttpResponse:
        self.message_user(request, str(error), "ERROR")
        return self._back(feed)

    def _back(self, feed: Feed) -> HttpResponseRedirect:
        return HttpResponseRedirect(reverse(self.page_name("change"), args=[feed.pk]))
