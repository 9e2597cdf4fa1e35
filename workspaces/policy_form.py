"""The form of a workspace's policy."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings

from workspaces.models import Workspace
from workspaces.services.policy import LIMITS, Limit


class PolicyForm(forms.Form):
    """Four eyes and every limit; blank is the system's.

    Each field brings along what the page showed, so that only what this person changed is changed.
    """

    four_eyes = forms.BooleanField(
        required=False,
        show_hidden_initial=True,
        label="Four eyes",
        help_text="When two or more people can approve, nobody approves their own text. "
        "Only an owner switches it off.",
    )

    def __init__(self, workspace: Workspace, data: Any = None) -> None:
        shown = {name: getattr(workspace, name) for name in ("four_eyes", *LIMITS)}
        super().__init__(data, initial=shown, prefix="policy")
        for name, limit in LIMITS.items():
            self.fields[name] = _field(limit)

    def changes(self) -> dict[str, Any]:
        """What the person changed of what the page showed; asked of a valid form."""
        return {name: self.cleaned_data[name] for name in self.changed_data}


def _field(limit: Limit) -> forms.Field:
    told: dict[str, Any] = {
        "required": False,
        "show_hidden_initial": True,
        "label": f"{limit.words} ({limit.unit})" if limit.unit else limit.words,
        "help_text": _help(limit),
        "min_value": limit.at_least,
        "max_value": limit.at_most,
    }
    if limit.is_money:
        return forms.DecimalField(max_digits=12, decimal_places=2, **told)
    return forms.IntegerField(**told)


def _help(limit: Limit) -> str:
    if limit.setting is None:
        return "Blank is no limit."
    return f"The system's is {getattr(settings, limit.setting)}; the stricter of the two holds."
