"""Every door is live: what it can lead to happens, once, when it is used by the one who may."""

import pytest

from tests.doors import controls_pages, controls_work
from tests.doors.stage import prove
from tests.doors.witness import witness

ENTRIES = {**controls_pages.CONTROLS, **controls_work.CONTROLS}
CONTROLS = {control.__name__: control for control in ENTRIES.values()}


@pytest.mark.parametrize("control", CONTROLS.values(), ids=CONTROLS)
def test_the_door_posts_exactly_once(x, control, monkeypatch):
    monkeypatch.setattr("workspaces.services.switches.wait_out", lambda seconds: None)
    used = witness(monkeypatch)
    prove(x, control)
    unused = {door for door, entry in ENTRIES.items() if entry is control} - used
    assert not unused, f"said to be proved, and not used: {', '.join(sorted(unused))}"
