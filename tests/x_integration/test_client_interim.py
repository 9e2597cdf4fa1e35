"""Answers that are not the last word: interim ones, and those that point elsewhere."""

import itertools
import socket
import threading
from contextlib import suppress

import pytest

from tests.x_integration.conftest import NEVER
from tests.x_integration.peers import answer, says, trickles
from x_integration import client
from x_integration.client import XClient
from x_integration.errors import XOutcomeUnknown

pytestmark = pytest.mark.django_db
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"


def created(post_id: str) -> bytes:
    whole = answer("201 Created", {"data": {"id": post_id, "text": "hi"}})
    return whole.replace(b"Connection: close\r\n", b"")


def write(x: XClient, text: str = "hi") -> str:
    return x.create_post(text, in_reply_to=None, access_token="t", begin_before=NEVER)


@pytest.mark.parametrize("interim", [HINTS, b"HTTP/1.1 102 Processing\r\n\r\n", HINTS * 3])
def test_what_comes_after_an_interim_answer_counts(peer, interim):
    peer(says(interim + created("77")))
    assert write(XClient()) == "77"


def test_an_answer_is_never_taken_for_that_to_the_next_request(peer):
    """The first answer comes late, behind an interim one: another post must not get its id."""

    ids = itertools.count(1)

    def late(connection: socket.socket, _: threading.Event) -> None:
        connection.sendall(HINTS)
        connection.settimeout(0.5)
        with suppress(TimeoutError):
            connection.recv(65_536)  # of a client that asks on
        connection.sendall(created(str(next(ids))))

    peer(late)
    x, got = XClient(), {}
    for text in ("first", "second"):
        with suppress(XOutcomeUnknown):
            got[text] = write(x, text)
    # The peer has hung up by now: where the client learns that only from the second request, that is a doubt.
    assert (got["first"], got.get("second", "2")) == ("1", "2")


def test_switching_protocols_is_a_doubt_and_ends_the_connection(peer):
    odd = peer(says(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: tea\r\n\r\n"))
    x = XClient()
    for _ in range(2):
        with pytest.raises(XOutcomeUnknown):
            write(x)
    assert odd.connections == 2


def test_endless_interim_answers_are_a_doubt(peer, monkeypatch):
    monkeypatch.setattr(client, "TOTAL_SECONDS", 0.6)
    peer(trickles(HINTS * 1000, at_once=len(HINTS) * 3, every=0.001))
    with pytest.raises(XOutcomeUnknown):
        write(XClient())


@pytest.mark.parametrize(
    "where", [b"https://elsewhere.example/", b"//[::1", b"\xff\xfe", b"gopher://x", b""]
)
def test_wherever_an_answer_points_it_is_a_doubt(peer, where):
    told = peer(
        says(b"HTTP/1.1 302 Found\r\nLocation: " + where + b"\r\nContent-Length: 0\r\n\r\n")
    )
    with pytest.raises(XOutcomeUnknown) as raised:
        write(XClient())
    assert (raised.value.code, len(told.requests)) == ("x_302", 1)


def test_an_endless_answer_that_points_elsewhere_is_not_read_to_its_end(peer, monkeypatch):
    monkeypatch.setattr(client, "MAX_BODY_BYTES", 100_000)
    sent: list[int] = []

    def endless(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\n\r\n")
        while not over.is_set() and len(sent) < 200:
            connection.sendall(b" " * 65_536)
            sent.append(65_536)

    peer(endless)
    with pytest.raises(XOutcomeUnknown):
        write(XClient())
    assert len(sent) < 200
