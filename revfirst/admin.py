"""What every admin page of ours shares: nothing is changed but through a service."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, TypeVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.contrib.auth.views import redirect_to_login
from django.db import DatabaseError
from django.db.models import Model
from django.http import HttpRequest, HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.views.decorators.http import require_http_methods

from revfirst.errors import RevFirstError
from revfirst.words import Note

Row = TypeVar("Row", bound=Model)
logger = logging.getLogger(__name__)


class ReasonForm(ActionForm):
    """The action bar, with room for the reason."""

    reason = forms.CharField(required=False, max_length=200, label="Reason")


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """No page of this kind adds, changes or deletes a row, for superusers neither."""

    actions_selection_counter = True
    list_per_page = 50
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False

    def page_name(self, name: str) -> str:
        """The name of one of the model's addresses, as `reverse` takes it."""
        return f"admin:{self.opts.app_label}_{self.opts.model_name}_{name}"

    def button(self, route: str, name: str, view: Callable[..., Any], *also: str) -> URLPattern:
        """A POST-only address. Whoever must log in first comes to the list: this cannot be opened."""
        guarded: Callable[..., HttpResponseBase] = self.admin_site.admin_view(view)

        @require_http_methods(["POST", *also])
        @wraps(view)
        def enter(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
            if not self.admin_site.has_permission(request):
                return redirect_to_login(reverse(self.page_name("changelist")))
            return guarded(request, **kwargs)

        return path(route, enter, name=self.page_name(name).removeprefix("admin:"))

    def ask_first(
        self,
        request: HttpRequest,
        *,
        title: str,
        sentences: Iterable[str],
        label: str,
        back: str,
        **kept: str,
    ) -> TemplateResponse:
        """Ask whether it is meant; the button sends `kept` here again, with `confirmed`.

        The page has no field to type in: no Enter answers it.
        """
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": title,
            "sentences": sentences,
            "label": label,
            "back": back,
            "kept": kept,
        }
        return TemplateResponse(request, "admin/confirm.html", context)


def badge(note: Note) -> str:
    """A state by colour and word."""
    return format_html('<span class="state tone-{}">{}</span>', note.tone, note.word)


def told(request: HttpRequest, act: Callable[[], object], done: str, nothing: str = "") -> bool:
    """Do it and tell what came of it; `nothing` where `act` answers False. Says whether it went well."""
    try:
        changed = act()
    except RevFirstError as error:
        messages.error(request, str(error))
        return False
    except DatabaseError:
        logger.exception("admin_act_failed")
        messages.error(
            request,
            "Nothing was changed: the database or the audit log could not take it. "
            "Run audit_verify, and see the log of the web process.",
        )
        return False
    if changed is False:
        messages.info(request, nothing)
    else:
        messages.success(request, done)
    return True


def act_on_each(
    request: HttpRequest, rows: Iterable[Row], what: str, act: Callable[[Row], object]
) -> None:
    """Do it for each row; tell how many went through, and why each of the others did not."""
    done, refusals = 0, []
    for row in rows:
        try:
            act(row)
            done += 1
        except RevFirstError as error:
            refusals.append(f"{row}: {error}")
    if done:
        messages.success(request, f"{done} {what}.")
    for refusal in refusals:
        messages.error(request, refusal)
