"""The timetable of all apps, from code: nothing else makes a schedule."""

from importlib import import_module

from revfirst.tasks import Schedule

APPS = ("control", "x_integration", "publishing")


def from_code() -> dict[str, Schedule]:
    """Every app's `SCHEDULES`, by name."""
    found: dict[str, Schedule] = {}
    for app in APPS:
        found |= import_module(f"{app}.tasks").SCHEDULES
    return found
