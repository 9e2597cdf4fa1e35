"""Who uses the doors: nobody, people of every role in a browser, and keys of every scope."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import SimpleCookie
from django.test import Client

from tests.doors.field import Field
from workspaces.models import User


@dataclass
class Caller:
    """Somebody, and whether their yes counts in the workspace and is given through the admin."""

    name: str
    client: Client
    user: User | None = None
    may_approve: bool = False
    session: str = ""
    is_a_key: bool = False

    def call(self, method: str, path: str, body: bytes, kind: str, headers: dict[str, Any]) -> int:
        """One request as the first of a browser's day; the status."""
        self.client.cookies = SimpleCookie({"sessionid": self.session} if self.session else {})
        answer = self.client.generic(method, path, body, kind, **headers)
        answer.close()
        return answer.status_code


def callers(world: Field) -> list[Caller]:
    """Everybody. Nobody's request is stopped by a missing CSRF token: that is no question of rights."""
    found = [Caller("nobody", _client())]
    for name, user in world.people.items():
        client = _client()
        client.force_login(user)
        session = client.cookies["sessionid"].value
        # The stranger's yes counts in their own workspace, where an item waits too.
        may = name in ("owner", "admin", "stranger")
        found.append(Caller(name, client, user, may, session))
    for name, secret in world.keys.items():
        found.append(Caller(name, _client(HTTP_AUTHORIZATION=f"Bearer {secret}"), is_a_key=True))
    return found


def _client(**defaults: Any) -> Client:
    return Client(raise_request_exception=False, **defaults)
