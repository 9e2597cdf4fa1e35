"""What is known of each door: how it is proved live, or why nothing can be published by it."""

from __future__ import annotations

from tests.doors import controls_pages, controls_work, routes
from tests.doors.reasons import REASONS
from tests.doors.stage import Control

CONTROLS: dict[str, Control | str] = {
    **REASONS,
    **controls_pages.CONTROLS,
    **controls_work.CONTROLS,
}


def check_every_door_is_known() -> None:
    """Raise AssertionError with the name of each door that has no entry, and of each lost entry."""
    found = set(routes.doors())
    unknown = sorted(found - set(CONTROLS))
    assert not unknown, f"no control and no reason for: {', '.join(unknown)}"
    gone = sorted(set(CONTROLS) - found)
    assert not gone, f"entries for doors that are not there: {', '.join(gone)}"


def has_reason(door: str) -> bool:
    """Whether it is said of the door that it cannot lead to a post."""
    return isinstance(CONTROLS.get(door), str)
