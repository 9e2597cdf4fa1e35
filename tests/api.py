"""Callers of the API: people in a browser, and programs with a key."""

from typing import Any

from django.utils import timezone
from rest_framework.test import APIClient

from publishing.models import QueueItem
from publishing.services import approve_item
from tests.factories import MembershipFactory, UserFactory
from workspaces.actors import Actor
from workspaces.models import ApiKey, User, Workspace
from workspaces.services import create_api_key


def member(workspace: Workspace, role: str = "owner", **user: Any) -> User:
    """Somebody with that role."""
    person = UserFactory(**user)
    MembershipFactory(workspace=workspace, user=person, role=role)
    return person


def signed_in(user: User) -> APIClient:
    """A browser of theirs; it minds CSRF no more than a test has to."""
    client = APIClient()
    client.force_login(user)
    return client


def with_key(secret: str) -> APIClient:
    """A program that bears this key."""
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    return client


def make_key(workspace: Workspace, user: User, *scopes: str) -> tuple[ApiKey, str]:
    """A key of theirs."""
    actor = Actor.operator(user, door="admin")
    return create_api_key(
        workspace, name="a program", scopes=scopes, actor=actor, now=timezone.now()
    )


def program(workspace: Workspace, user: User, *scopes: str) -> APIClient:
    """A program with such a key."""
    return with_key(make_key(workspace, user, *scopes)[1])


def queue_path(workspace: Workspace, *more: object) -> str:
    """An address of the queue."""
    return "/".join(["/publishing/queue", str(workspace.pk), *map(str, more)])


def send(client: APIClient, method: str, address: str, **body: Any) -> tuple[int, Any, Any]:
    """A request with a JSON body: status, code, and what came back."""
    answer = getattr(client, method)(address, body, format="json")
    return answer.status_code, answer.json().get("code"), answer.json()


def approve(item: QueueItem, user: User) -> QueueItem:
    """Approve it, as it is."""
    actor = Actor.operator(user, door="admin")
    return approve_item(item.pk, version=item.version, actor=actor, now=timezone.now())
