"""Every error of the API has one shape, and the number that says what the caller can do."""

from datetime import UTC, datetime
from io import BytesIO
from uuid import uuid4

import pytest
from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.http import Http404
from rest_framework import exceptions, serializers
from rest_framework.permissions import AllowAny
from rest_framework.test import APIClient, APIRequestFactory
from rest_framework.views import APIView

from revfirst.api import Input, handle_exception, status_of
from revfirst.errors import Conflict, Invalid, Missing, Refused, RevFirstError, Unavailable
from revfirst.parsers import BodyTooLarge, DeepJSONParser
from tests.environments import bare, python
from tests.factories import UserFactory

AUTHORIZE = "/integrations/x/oauth/authorize"


class _Gone(Missing):
    """The post is gone."""

    code = "post_gone"


class _Body(serializers.Serializer):
    number = serializers.IntegerField()
    words = serializers.ListField(child=serializers.CharField(max_length=3))


def _with_settings(folder):
    return bare(folder, DJANGO_SETTINGS_MODULE="revfirst.settings")


def answer_to(error: Exception):
    """What the API answers when a view raises `error`."""

    class View(APIView):
        permission_classes = (AllowAny,)
        throttle_classes = ()

        def get(self, request):
            raise error

    return View.as_view()(APIRequestFactory().get("/"))


@pytest.fixture
def api(db):
    """A client whose person belongs to no workspace."""
    client = APIClient()
    client.force_login(UserFactory())
    return client


@pytest.mark.parametrize(
    ("family", "status"),
    [
        (Missing, 404),
        (Refused, 403),
        (Conflict, 409),
        (Invalid, 422),
        (Unavailable, 503),
        (RevFirstError, 400),
    ],
)
def test_each_family_has_its_number(family, status):
    answer = answer_to(family("In words.", code="a_code"))
    assert answer.status_code == status_of(family()) == status
    assert answer.data == {"code": "a_code", "detail": "In words."}


def test_an_apps_own_error_keeps_its_code_and_speaks_by_its_docstring():
    answer = answer_to(_Gone())
    assert (answer.status_code, answer.data) == (
        404,
        {"code": "post_gone", "detail": "The post is gone."},
    )


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Http404("No such page."), 404, "not_found"),
        (PermissionDenied(), 403, "permission_denied"),
        (exceptions.NotFound(), 404, "not_found"),
        (exceptions.MethodNotAllowed("PUT"), 405, "method_not_allowed"),
        (exceptions.Throttled(wait=3), 429, "throttled"),
        (exceptions.UnsupportedMediaType("text/csv"), 415, "unsupported_media_type"),
    ],
)
def test_the_frameworks_own_errors_have_the_same_shape(error, status, code):
    answer = answer_to(error)
    assert (answer.status_code, answer.data["code"]) == (status, code)
    assert answer.data.keys() == {"code", "detail"}
    assert isinstance(answer.data["detail"], str)


def test_a_throttled_caller_learns_when_to_come_back():
    assert answer_to(exceptions.Throttled(wait=3)).headers["Retry-After"] == "3"


def test_validation_names_the_fields_with_message_and_code():
    body = _Body(data={"number": "seven", "words": ["yes", "longer"]})
    with pytest.raises(exceptions.ValidationError) as raised:
        body.is_valid(raise_exception=True)
    answer = answer_to(raised.value)
    assert answer.status_code == 400
    assert answer.data["code"] == "invalid"
    assert answer.data["fields"]["number"][0]["code"] == "invalid"
    assert answer.data["fields"]["words"][1][0]["code"] == "max_length"


def test_a_database_that_is_busy_or_away_is_503():
    answer = answer_to(OperationalError("canceling statement due to lock timeout"))
    assert (answer.status_code, answer.data["code"]) == (503, "unavailable")
    assert "lock" not in str(answer.data)


def test_an_error_that_knows_until_when_says_so():
    error = Conflict("Later.")
    error.not_before = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)  # type: ignore[attr-defined]
    assert answer_to(error).headers["Retry-After"] == "Wed, 25 Nov 2026 12:00:00 GMT"


def test_fields_that_nobody_asked_for_are_named():
    class Body(Input):
        number = serializers.IntegerField()

    with pytest.raises(exceptions.ValidationError) as raised:
        Body(data={"number": 1, "b": 2, "a": 3}).is_valid(raise_exception=True)
    fields = answer_to(raised.value).data["fields"]
    assert {name: told[0]["code"] for name, told in fields.items()} == {
        "a": "unknown",
        "b": "unknown",
    }


@pytest.mark.parametrize("length", ["65537", "9" * 30, "-1", "many"])
def test_a_body_beyond_measure_is_not_read(length):
    request = APIRequestFactory().post("/", {}, format="json", CONTENT_LENGTH=length)
    with pytest.raises(BodyTooLarge):
        DeepJSONParser().parse(BytesIO(b"{}"), parser_context={"request": request})


def test_the_parser_loads_whatever_is_loaded_first(tmp_path):
    for module in ("revfirst.api", "revfirst.parsers", "rest_framework.views"):
        python(f"import django; django.setup(); import {module}", env=_with_settings(tmp_path))


def test_what_nobody_expected_is_left_to_the_server():
    assert handle_exception(RuntimeError("boom"), {}) is None


def test_a_missing_field_of_a_real_request_is_named(api):
    answer = api.post(AUTHORIZE, {}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert answer.json()["fields"]["workspace_id"][0]["code"] == "required"


def test_malformed_json_is_400_with_a_code(api):
    answer = api.post(AUTHORIZE, '{"workspace_id": ', content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (400, "parse_error")
    assert answer.json().keys() == {"code", "detail"}


def test_a_form_is_415(api):
    answer = api.post(AUTHORIZE, "workspace_id=1", content_type="application/x-www-form-urlencoded")
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


def test_another_method_is_405(api):
    answer = api.get(AUTHORIZE)
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")


def test_a_workspace_that_one_does_not_belong_to_is_404(api):
    answer = api.get(f"/integrations/x/oauth/status/{uuid4()}")
    assert (answer.status_code, answer.json()["code"]) == (404, "workspace_not_found")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("post", AUTHORIZE),
        ("get", f"/integrations/x/oauth/status/{uuid4()}"),
        ("post", f"/integrations/x/oauth/revoke/{uuid4()}"),
    ],
)
def test_an_anonymous_caller_is_refused_before_anything_is_looked_at(db, method, path):
    answer = getattr(APIClient(), method)(path, {}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")


def test_a_session_without_a_csrf_token_changes_nothing(db):
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(UserFactory())
    answer = client.post(AUTHORIZE, {}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")


@pytest.mark.parametrize("path", ["/integrations/x", "/integrations/x/oauth/status/7", "/nothing"])
def test_a_path_that_leads_nowhere_has_the_shape_too(client, path):
    answer = client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_under_the_admin_a_person_gets_a_page(client):
    answer = client.get("/admin/nothing/here/")
    assert "text/html" in answer.headers["Content-Type"]


@pytest.mark.django_db
def test_json_nested_beyond_measure_is_bad_input(client):
    client.force_login(UserFactory())
    answer = client.post(AUTHORIZE, b"[" * 60_000, content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (400, "parse_error")
