"""Every door is known: by a control that proves it live, or by a reason that the sweep checks."""

import pytest

from tests.doors import books, controls_pages, controls_work, routes
from tests.doors.table import CONTROLS, check_every_door_is_known
from tests.tables import our_tables

pytestmark = pytest.mark.django_db


def test_every_door_has_a_control_or_a_reason():
    check_every_door_is_known()


def test_no_door_is_proved_in_two_places():
    both = [controls_pages.CONTROLS, controls_work.CONTROLS]
    assert not set(both[0]) & set(both[1])
    assert sum(not isinstance(entry, str) for entry in CONTROLS.values()) == sum(map(len, both))


def test_no_table_is_forgotten_when_the_sweep_asks_whether_something_changed():
    tables = {table.strip('"') for table in our_tables()}
    assert tables == {*books.TOLD_BY, *books.APART}


def test_the_doors_are_found_by_looking():
    paths = {route.path for route in routes.urls()}
    assert "publishing/queue/<uuid:workspace_id>/<int:number>/reject" in paths
    assert "admin/django_q/schedule/add/" in paths
    assert ("publishing.QueueItem", "approve") in routes.actions()
    assert {"approve", "resend"} <= set(routes.decisions())
    assert {"qcluster", "sweep"} <= set(routes.commands())
    assert "publishing.tasks.publish_one" in routes.tasks()
