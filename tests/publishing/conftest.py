"""What the tests of the queue over HTTP begin with."""

import pytest

from tests.api import member, signed_in
from tests.factories import QueueItemFactory, WorkspaceFactory, XAccountFactory


@pytest.fixture
def cafe():
    """A workspace with an account."""
    workspace = WorkspaceFactory(slug="cafe")
    XAccountFactory(workspace=workspace)
    return workspace


@pytest.fixture
def owner(cafe):
    """Its owner, in a browser."""
    return signed_in(member(cafe))


@pytest.fixture
def item(cafe):
    """A pending reply."""
    return QueueItemFactory(workspace=cafe, text="Thank you, Lia!")
