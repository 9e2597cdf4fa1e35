"""What every admin page of ours shares: nothing is changed but through a service."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.db.models import Model
from django.http import HttpRequest

from revfirst.errors import RevFirstError

Row = TypeVar("Row", bound=Model)


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
