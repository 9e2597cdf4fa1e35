"""An account at X without any row of ours, and peers that stand in X's place."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from tests.worlds import World
from tests.x_integration.peers import Act, Peer
from workspaces.models import Workspace
from x_integration.client import XClient
from x_integration.crypto import Secret
from x_integration.simulator.process import SimulatorProcess, TokenPair

StartPeer = Callable[..., Peer]
NEVER = float("inf")
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


@dataclass
class Voice:
    """An account at X, the client that speaks for it, and what X saw of it."""

    simulator: SimulatorProcess
    tokens: TokenPair
    client: XClient

    def says(self, text: str = "Good morning!", **more: Any) -> str:
        """Publish."""
        given = {"in_reply_to": None, "begin_before": NEVER, **more}
        return self.client.create_post(text, access_token=self.tokens.access_token, **given)

    def calls(self) -> list[tuple[str, str]]:
        """The requests that X saw."""
        return [(row["method"], row["path"]) for row in self.simulator.requests()]

    def posts(self) -> list[dict[str, Any]]:
        """What stands on X that no person made."""
        return self.simulator.posts(source="api")


def opened(secret: Secret | None) -> str:
    """What is in a secret that must be there."""
    assert secret is not None
    return secret.open()


def point_at(settings: Any, base_url: str) -> None:
    """Let the settings name this X."""
    settings.X_API_BASE_URL = base_url
    settings.X_TOKEN_URL = f"{base_url}/2/oauth2/token"
    settings.X_REVOKE_URL = f"{base_url}/2/oauth2/revoke"


@pytest.fixture
def voice(simulator: SimulatorProcess, settings: Any, db: None) -> Voice:
    """A connected account at an otherwise empty X. Nothing here is committed: it is quick."""
    simulator.reset()
    point_at(settings, simulator.base_url)
    settings.X_CLIENT_ID = simulator.client_id
    settings.X_CLIENT_SECRET = simulator.client_secret
    settings.X_REDIRECT_URI = simulator.redirect_uri
    return Voice(simulator, simulator.connect("cafe"), XClient())


@pytest.fixture
def cafe(x: World) -> Workspace:
    """A connected workspace whose token lives for two hours."""
    return x.connected("cafe")


@pytest.fixture
def expired(x: World) -> Workspace:
    """A connected workspace whose token ran out an hour ago."""
    return x.connected("cafe", expires_at=timezone.now() - HOUR)


@pytest.fixture
def ending(x: World) -> Workspace:
    """A workspace whose token lives for eight more minutes: it is due, and good."""
    return x.connected("cafe", expires_at=timezone.now() + 8 * MINUTE)


@pytest.fixture
def peer(settings: Any) -> Iterator[StartPeer]:
    """Starts a peer that the settings point to: `peer(act)`."""
    with ExitStack() as stack:

        def start(act: Act, **options: Any) -> Peer:
            started = stack.enter_context(Peer(act, **options))
            point_at(settings, started.base_url)
            return started

        yield start
