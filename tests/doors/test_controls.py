"""Every door is live: what it can lead to happens, once, when it is used by the one who may."""

import pytest

from tests.doors import controls_pages, controls_work
from tests.doors.stage import prove

CONTROLS = {
    c.__name__: c for c in [*controls_pages.CONTROLS.values(), *controls_work.CONTROLS.values()]
}


@pytest.mark.parametrize("control", CONTROLS.values(), ids=CONTROLS)
def test_the_door_posts_exactly_once(x, control, monkeypatch):
    monkeypatch.setattr("workspaces.services.switches.wait_out", lambda seconds: None)
    prove(x, control)
