"""The OpenAPI document: whole, without a warning, and shown to members only."""

from typing import Any

import pytest
from django.urls import URLPattern
from openapi_schema_validator import OAS30Validator

from revfirst import urls
from tests.api import member, signed_in
from tests.environments import bare
from tests.factories import QueueItemFactory, UserFactory, WorkspaceFactory
from tests.worlds import manage
from workspaces.api import ApiView
from workspaces.api_docs import document
from workspaces.models import ApiKey
from workspaces.permissions import scope_of

SCHEMA, DOCS = "/api/schema", "/api/docs"


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    """The document."""
    return document()


def operations(schema):
    """Each operation with its method and path."""
    return [
        (method, path, operation)
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    ]


def api_views() -> dict[str, type[ApiView]]:
    """Our views by their path in the document."""
    found = {}
    for pattern in urls.urlpatterns:
        view = getattr(getattr(pattern, "callback", None), "cls", None)
        if isinstance(pattern, URLPattern) and view:
            found["/" + str(pattern.pattern).replace("<uuid:", "{").replace("<int:", "{")] = view
    return {path.replace(">", "}"): view for path, view in found.items()}


def test_it_is_written_without_a_warning(tmp_path):
    done = manage("spectacular", "--validate", "--fail-on-warn", env=bare(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")


def test_every_view_of_the_api_is_in_it_but_those_that_show_it(schema):
    assert set(api_views()) - set(schema["paths"]) == {SCHEMA, DOCS}


def test_every_view_of_the_api_is_one_of_ours():
    """Ours ask for a scope, and count whoever fails to say who they are."""
    assert [view for view in api_views().values() if not issubclass(view, ApiView)] == []


def test_every_operation_says_who_gets_in(schema):
    for method, path, operation in operations(schema):
        scope = scope_of(api_views()[path], method.upper())
        if path.endswith("/callback"):
            assert operation["security"] == [{}]
        elif scope is None:
            assert "A session only: no API key gets in." in operation["description"]
            assert operation["security"] == [{"session": []}]
        else:
            assert f"`{scope}`" in operation["description"]
            assert operation["security"] == [{"apiKey": []}, {"session": []}]


def test_every_scope_opens_something(schema):
    told = " ".join(operation["description"] for _, _, operation in operations(schema))
    assert [scope for scope in ApiKey.Scope.values if f"`{scope}`" not in told] == []


def test_every_error_has_the_one_shape(schema):
    assert list(schema["components"]["schemas"]["Error"]["properties"]) == [
        "code",
        "detail",
        "fields",
    ]
    assert schema["components"]["schemas"]["Error"]["required"] == ["code", "detail"]
    for _, path, operation in operations(schema):
        errors = {code: each for code, each in operation["responses"].items() if code >= "400"}
        assert {"400", "429", "503"} <= errors.keys(), path
        if not path.endswith("/callback"):
            assert {"401", "403", "404"} <= errors.keys(), path
        for code, each in errors.items():
            shape = each["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
            assert shape == ("Direct" if code == "502" else "Error")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", ["reply", "post"])
def test_an_item_that_nobody_approved_is_as_the_document_says(schema, kind):
    """No approval yet, and of a post no source: null, where others have a shape."""
    item = QueueItemFactory(kind=kind, **({} if kind == "reply" else {"source_post": None}))
    path = f"/publishing/queue/{item.workspace_id}/{item.number}"
    body = signed_in(member(item.workspace)).get(path).json()
    assert (body["approval"], body["source_post"] is None) == (None, kind == "post")
    shape = {"$ref": "#/components/schemas/ItemInFull", "components": schema["components"]}
    assert [error.message for error in OAS30Validator(shape).iter_errors(body)] == []


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("query", "accept", "status"),
    [("?state=x", "*/*", 409), ("", "*/*", 400), ("?state=x", "image/png", 406)],
)
def test_what_the_callback_answers_is_in_it(client, schema, query, accept, status):
    path = "/integrations/x/oauth/callback"
    answer = client.get(path + query, headers={"Accept": accept})
    assert answer.status_code == status
    assert str(status) in schema["paths"][path]["get"]["responses"]


def test_both_ways_in_are_named(schema):
    assert schema["components"]["securitySchemes"].keys() == {"apiKey", "session"}


@pytest.mark.django_db
@pytest.mark.parametrize("path", [SCHEMA, DOCS])
def test_members_see_it_and_nobody_else(client, path):
    assert client.get(path).status_code == 401
    assert signed_in(UserFactory(is_superuser=True)).get(path).status_code == 403
    assert signed_in(member(WorkspaceFactory(), "member")).get(path).status_code == 200


@pytest.mark.django_db
def test_a_browser_in_which_nobody_is_signed_in_is_led_to_the_login(client):
    answer = client.get(DOCS, headers={"Accept": "text/html"})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/admin/login/?next=/api/docs")


@pytest.mark.django_db
def test_the_page_names_every_route_and_obeys_the_policy_of_all_pages(schema):
    answer = signed_in(member(WorkspaceFactory())).get(DOCS)
    page = answer.content.decode()
    assert [path for path in schema["paths"] if path not in page] == []
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert "<style" not in page
    assert ' style="' not in page
