"""The task engine's own pages, and those of logs and approvals: nobody adds, changes or resubmits."""

import pytest
from django.contrib import admin
from django.test import RequestFactory
from django.urls import NoReverseMatch, reverse
from django_q.models import Failure, OrmQ, Schedule, Success

from tests.doors import routes
from workspaces.models import User

SHOWN = (Schedule, Success, Failure)


def _request(user):
    request = RequestFactory().get("/admin/")
    request.user = user
    return request


@pytest.fixture
def chief(db):
    """A superuser, who may do whatever a page lets anybody do."""
    return User.objects.create_superuser("chief")


@pytest.mark.parametrize("model", SHOWN)
def test_a_superuser_may_look_and_do_nothing_else(chief, model):
    page = admin.site._registry[model]
    assert page.get_model_perms(_request(chief)) == {
        "add": False,
        "change": False,
        "delete": False,
        "view": True,
    }
    assert page.get_actions(_request(chief)) == {}


def test_the_queue_of_tasks_has_no_page():
    assert OrmQ not in admin.site._registry
    with pytest.raises(NoReverseMatch):
        reverse("admin:django_q_ormq_changelist")


@pytest.mark.django_db
def test_no_page_knows_how_to_resubmit():
    names = {name for label, name in routes.actions() if label.startswith("django_q.")}
    assert names == {"delete_selected"}  # of the admin itself, which offers it to nobody here


@pytest.mark.parametrize("name", ["schedule", "success", "failure"])
def test_its_pages_change_no_row_and_enqueue_nothing(sweep, name):
    rows = {model: set(model.objects.values_list("pk", flat=True)) for model in SHOWN}
    assert all(rows.values())
    found = [route for route in routes.urls() if route.path.startswith(f"admin/django_q/{name}/")]
    for route in found:
        sweep.walk(route)
    assert (len(found), sweep.changes, OrmQ.objects.count()) == (6, 0, 0)
    assert rows == {model: set(model.objects.values_list("pk", flat=True)) for model in SHOWN}
