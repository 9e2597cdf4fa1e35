"""The forms of posts of our own: when one goes out, what it says, and the plan that they follow."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from django import forms
from django.db.models import CharField, F, QuerySet, Value
from django.db.models.functions import Coalesce

from publishing.errors import NotAPlan, NotATime
from publishing.plan import Plan, zones
from publishing.services.plans import LIMITS, WEEKDAYS, check_hours, columns_of, in_words
from workspaces.models import User, Workspace

_TIME = re.compile(r"([01]?[0-9]|2[0-4]):([0-5][0-9])")


class WhenForm(forms.Form):
    """A day and a time by the workspace's clocks; neither is the next free slot."""

    day = forms.DateField(
        required=False, widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})
    )
    time = forms.TimeField(
        required=False,
        widget=forms.TimeInput(format="%H:%M", attrs={"type": "time"}),
        help_text="By the workspace's clocks. Without a day and a time it takes the next free slot.",
    )

    def instant(self, plan: Plan) -> datetime | None:
        """The instant (UTC), or None for the next free slot; asked of a valid form. Raises NotATime."""
        day, at = self.cleaned_data["day"], self.cleaned_data["time"]
        if (day is None) != (at is None):
            raise NotATime("Give the day and the time, or neither of them for the next free slot.")
        return None if day is None else plan.instant(day, at)


class _WorkspaceField(forms.ModelChoiceField):  # type: ignore[type-arg]
    def label_from_instance(self, workspace: Any) -> str:
        """With its time zone: the form's times are by its clocks."""
        return f"{workspace.slug} ({workspace.zone_name})"


class OwnPostForm(WhenForm):
    """A post of our own for one of the person's workspaces."""

    workspace = _WorkspaceField(Workspace.objects.none(), empty_label=None)
    text = forms.CharField(
        strip=False, widget=forms.Textarea(attrs={"rows": 5, "dir": "auto"}), label="Text"
    )
    field_order = ("workspace", "text", "day", "time")

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["workspace"].queryset = _with_zone(user)  # type: ignore[attr-defined]

    def clean_text(self) -> str:
        """With the line ends that we keep."""
        return str(self.cleaned_data["text"]).replace("\r\n", "\n")


def _with_zone(user: User) -> QuerySet[Workspace]:
    zone = Coalesce(F("posting_plan__time_zone"), Value("UTC"), output_field=CharField())
    return Workspace.objects.visible_to(user).annotate(zone_name=zone)


class HoursField(forms.CharField):
    """The windows of a weekday as a person writes them: `09:00-12:00, 17:00-20:00`."""

    def to_python(self, value: Any) -> Any:
        """Pairs of minutes after midnight, in order. Raises ValidationError with a sentence."""
        typed = [part for part in re.split(r"[,;]", value or "") if part.strip()]
        hours = tuple(sorted(map(_window, typed)))
        try:
            check_hours(hours, str(self.label))
        except NotAPlan as error:
            raise forms.ValidationError(str(error)) from None
        return hours

    def prepare_value(self, value: Any) -> Any:
        """As a person writes them; what was typed stays as it is."""
        return in_words(value) if isinstance(value, tuple) else value


def _window(typed: str) -> tuple[int, int]:
    ends = [part.strip() for part in re.split(r"[-–—]", typed)]
    times = [_TIME.fullmatch(end) for end in ends]
    if len(times) == 2 and times[0] and times[1]:
        opens, closes = (60 * int(found[1]) + int(found[2]) for found in times if found)
        return opens, closes
    raise forms.ValidationError(
        f"“{typed.strip()[:40]}” is no window: write it like 09:00-12:00, with a comma between two."
    )


class PlanForm(forms.Form):
    """The plan. Each field brings along what the page showed: only what this person changed is changed."""

    time_zone = forms.ChoiceField(
        show_hidden_initial=True, help_text="By its clocks posts are planned."
    )
    posts_per_day = forms.IntegerField(
        show_hidden_initial=True, help_text="The daily target; 0 is none."
    )
    late_minutes = forms.IntegerField(
        show_hidden_initial=True,
        help_text="Later than this, and after its window, a post is missed: it is not sent any more.",
    )

    def __init__(self, plan: Plan, data: Any = None) -> None:
        super().__init__(data, initial=columns_of(plan), prefix="plan")
        names = sorted({*zones(), plan.zone_name})
        self.fields["time_zone"].choices = [(name, name) for name in names]  # type: ignore[attr-defined]
        for name, (words, least, most) in LIMITS.items():
            self.fields[name] = _number(self.fields[name], words, least, most)
        for name in WEEKDAYS:
            self.fields[name] = HoursField(
                required=False, show_hidden_initial=True, max_length=200, label=name.capitalize()
            )

    def changes(self) -> dict[str, Any]:
        """What the person changed of what the page showed; asked of a valid form."""
        return {name: self.cleaned_data[name] for name in self.changed_data}


def _number(field: forms.Field, words: str, least: int, most: int) -> forms.IntegerField:
    return forms.IntegerField(
        label=words,
        help_text=field.help_text,
        min_value=least,
        max_value=most,
        show_hidden_initial=True,
    )


def hours_of(plan: Plan) -> list[tuple[str, str]]:
    """Each weekday and its windows, in words."""
    columns = columns_of(plan)
    return [(name.capitalize(), in_words(columns[name])) for name in WEEKDAYS]
