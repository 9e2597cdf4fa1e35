"""The calendar in the admin: posts of our own by day, a new one, and the plan that they follow."""

from __future__ import annotations

from functools import partial
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, reverse
from django.utils import timezone

from publishing import services
from publishing.calendar_page import calendar_page
from publishing.errors import BadContent, NoSlot, NotATime, SlotTaken
from publishing.models import Kind, OwnPost, QueueItem
from publishing.own_post_forms import OwnPostForm, PlanForm, hours_of
from publishing.spend_admin import dollars
from publishing.text import LIMIT, weighted_length
from revfirst.admin import told
from revfirst.errors import RevFirstError
from revfirst.storable import storable_text
from workspaces.members_admin import MembersAdmin, actor_of, pressed, user_of
from workspaces.models import Workspace
from workspaces.services import is_operator
from x_integration.prices import POST, POST_WITH_URL, price, utc_day


@admin.register(OwnPost)
class OwnPostAdmin(MembersAdmin):
    """Posts of our own. Every member proposes one; operators decide on the item's page and change the plan."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Posts, no replies."""
        return super().get_queryset(request).filter(kind=Kind.POST)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Every member; the service asks again, per workspace."""
        return self.has_view_permission(request)

    def get_urls(self) -> list[URLPattern]:
        """The plan's address in front of the stock ones, the last of which takes any path."""
        plan = self.button("<uuid:workspace_id>/plan/", "plan", self.plan_view, "GET", "HEAD")
        return [plan, *super().get_urls()]

    # --- the pages ------------------------------------------------------------------------------

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The calendar of one workspace, by its slug; the first of the person's when none is named."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        own = _workspaces(request)
        workspace = _named(own, request.GET.get("workspace", "")) if own else None
        if workspace is None:
            raise Http404
        context = {
            "title": "Calendar",
            "workspaces": own,
            "operates": is_operator(user_of(request), workspace),
            **calendar_page(workspace, request.GET.get("day", ""), timezone.now()),
        }
        return self._page(request, "calendar", context)

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Ask for a post of our own, and propose it."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        named = _named(_workspaces(request), request.GET.get("workspace", ""))
        shown = {name: request.GET.get(name, "") for name in ("day", "time")}
        initial = {"workspace": named.pk if named else None, **shown}
        form = OwnPostForm(user_of(request), request.POST or None, initial=initial)
        if request.method == "POST" and form.is_valid():
            item = self._planned(request, form)
            if item is not None:
                messages.success(request, _answer(item))
                return self._back(item.workspace)
        today = utc_day(timezone.now())
        context = {
            "title": "New post of our own",
            "form": form,
            "cheap": dollars(price(POST, on=today)),
            "dear": dollars(price(POST_WITH_URL, on=today)),
        }
        return self._page(request, "add", context)

    def plan_view(self, request: HttpRequest, workspace_id: Any) -> HttpResponse:
        """The workspace's plan; an operator changes what they changed on the page."""
        workspace = _workspaces(request).filter(pk=workspace_id).first()
        if workspace is None:
            raise Http404
        form = PlanForm(services.plan_of(workspace), request.POST or None)
        if request.method == "POST" and form.is_valid():
            change = partial(
                services.change_plan, workspace, changes=form.changes(), **pressed(request)
            )
            if told(request, change, "The plan is changed.", "Nothing was changed."):
                return self._back(workspace)
        context = {
            "title": f"Publish windows of {workspace}",
            "workspace": workspace,
            "hours": hours_of(services.plan_of(workspace)),
            "operates": is_operator(user_of(request), workspace),
            "form": form,
        }
        return self._page(request, "plan", context)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The post's own page is that of the queue."""
        post = self.get_object(request, object_id)
        return HttpResponseRedirect(reverse("admin:publishing_queueitem_change", args=[post.pk]))

    # --- what they share ------------------------------------------------------------------------

    def _planned(self, request: HttpRequest, form: OwnPostForm) -> QueueItem | None:
        """Propose what the form asks for; what is refused is said beside the field, and nothing is lost."""
        given, now = form.cleaned_data, timezone.now()
        workspace = given["workspace"]
        try:
            return services.plan_post(
                workspace,
                text=given["text"],
                at=form.instant(services.plan_of(workspace)),
                actor=actor_of(request),
                now=now,
            )
        except RevFirstError as error:
            form.add_error(_field_of(error), str(error))
            return None

    def _back(self, workspace: Workspace) -> HttpResponseRedirect:
        asked = urlencode({"workspace": workspace.slug})
        return HttpResponseRedirect(f"{reverse(self.page_name('changelist'))}?{asked}")

    def _page(self, request: HttpRequest, name: str, context: dict[str, Any]) -> TemplateResponse:
        shared = {**self.admin_site.each_context(request), "opts": self.opts, **context}
        return TemplateResponse(request, f"admin/publishing/ownpost/{name}.html", shared)


def _answer(item: QueueItem) -> str:
    """When it goes out, and what it costs."""
    plan = services.plan_of(item.workspace)
    price = services.price_of_item(item, now=item.takes_place_at)
    return (
        f"{item} is planned for {plan.in_words(item.takes_place_at)} and waits for an approval. "
        f"X charges {price.in_words}. "
        f"{weighted_length(item.text)} of {LIMIT} characters."
    )


def _field_of(error: RevFirstError) -> str | None:
    if isinstance(error, NotATime | SlotTaken | NoSlot):
        return "time"
    return "text" if isinstance(error, BadContent) else None


def _workspaces(request: HttpRequest) -> QuerySet[Workspace]:
    """Those that the person belongs to, in order of their slugs."""
    return Workspace.objects.visible_to(user_of(request))


def _named(own: QuerySet[Workspace], slug: str) -> Workspace | None:
    """The one of that slug, or without one the first."""
    return (own.filter(slug=storable_text(slug)) if slug else own).first()
