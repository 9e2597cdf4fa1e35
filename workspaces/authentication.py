"""Who calls the API: a program with a key of ours, or a person who is signed in."""

from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from workspaces.models import ApiKey, User
from workspaces.services import live_api_key


class ApiKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer rf_…`: the key's maker, narrowed to the key."""

    def authenticate(self, request: Request) -> tuple[User, ApiKey] | None:
        """Maker and key, or None where no bearer is given. Raises AuthenticationFailed.

        Unknown, revoked and orphaned keys get one answer: it tells nobody which they hold.
        """
        scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        key = live_api_key(secret.strip(), now=timezone.now())
        if key is None:
            raise AuthenticationFailed("The API key is not valid.", code="invalid_api_key")
        return key.user, key

    def authenticate_header(self, request: Request) -> str:
        """What a stranger may come with: this makes the answer a 401."""
        return 'Bearer realm="RevFirst"'
