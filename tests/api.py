"""Callers of the API: people in a browser, and programs with a key."""

from typing import Any

from django.utils import timezone
from rest_framework.test import APIClient

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
