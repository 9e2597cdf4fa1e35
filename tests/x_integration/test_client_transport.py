"""What the wire does to a write: what was proven not sent, what is in doubt, and for how long."""

import logging
import socket
import threading
import time
from contextlib import contextmanager

import pytest
from django.db import connection, transaction

from revfirst.errors import RevFirstError
from tests.x_integration.conftest import NEVER
from tests.x_integration.peers import answer, is_silent, resets, says, self_signed, trickles
from x_integration import client
from x_integration.client import XClient
from x_integration.errors import XNotSent, XOutcomeUnknown, XReadFailed

pytestmark = pytest.mark.django_db
CREATED = answer("201 Created", {"data": {"id": "77", "text": "hi"}})
CANARY = "canary-4f1d8c"


def write(**more):
    given = {"in_reply_to": None, "access_token": CANARY, "begin_before": NEVER, **more}
    return XClient().create_post("hi", **given)


def not_sent(base_url, settings, **more):
    """The error of a write to that address, which must be one of what was never sent."""
    settings.X_API_BASE_URL = base_url
    with pytest.raises(XNotSent) as raised:
        write(**more)
    return raised.value


@pytest.fixture
def short(monkeypatch):
    """A deadline that a test can wait for."""
    monkeypatch.setattr(client, "TOTAL_SECONDS", 0.6)


@contextmanager
def within(seconds):
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < seconds


def test_a_peer_that_answers_well_is_heard(peer):
    peer(says(CREATED))
    assert write() == "77"


# --- proven not sent ----------------------------------------------------------------------------


def test_a_refused_connection_was_not_sent(settings, free_port):
    error = not_sent(f"http://127.0.0.1:{free_port}", settings)
    assert (error.code, error.counts, error.holds_account) == ("x_unreachable", True, False)


def test_a_name_that_nobody_knows_was_not_sent(settings):
    assert not_sent("http://no-such-host.invalid", settings).code == "x_unreachable"


def test_a_connection_that_takes_too_long_was_not_sent(settings, monkeypatch):
    monkeypatch.setattr(client, "CONNECT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, within(3):
        port = full.getsockname()[1]
        waiting = [socket.create_connection(("127.0.0.1", port))]  # the queue is full with it
        error = not_sent(f"http://127.0.0.1:{port}", settings)
        waiting[0].close()
    assert error.code == "x_unreachable"


def test_a_certificate_that_nobody_trusts_was_not_sent(peer, settings, tmp_path):
    stranger = peer(says(CREATED), tls=self_signed(tmp_path))
    assert not_sent(stranger.base_url, settings).code == "x_unreachable"
    assert stranger.requests == []


def test_tls_to_a_plain_port_was_not_sent(peer, settings):
    plain = peer(says(CREATED), reads=False)
    error = not_sent(plain.base_url.replace("http:", "https:"), settings)
    assert error.code == "x_unreachable"
    assert plain.connections == 1


def test_a_reset_in_the_greeting_of_tls_was_not_sent(peer, settings):
    def hears_the_greeting_and_resets(connection, over):
        connection.recv(1)
        resets(connection, over)

    rude = peer(hears_the_greeting_and_resets, reads=False)
    assert not_sent(rude.base_url.replace("http:", "https:"), settings).code == "x_unreachable"


def test_a_greeting_of_tls_without_an_answer_was_not_sent(peer, settings, monkeypatch):
    monkeypatch.setattr(client, "CONNECT_SECONDS", 0.2)
    silent = peer(is_silent)
    with within(3):
        error = not_sent(silent.base_url.replace("http:", "https:"), settings)
    assert error.code == "x_unreachable"


# --- a claim that ran out -----------------------------------------------------------------------


def test_a_claim_that_ran_out_sends_nothing(voice):
    with pytest.raises(XNotSent) as raised:
        voice.says(begin_before=time.monotonic() - 0.001)
    assert raised.value.code == "claim_ran_out"
    assert voice.calls() == []


def test_a_claim_that_ran_out_does_not_even_knock(peer, settings):
    open_ = peer(says(CREATED))
    assert not_sent(open_.base_url, settings, begin_before=0).code == "claim_ran_out"
    assert open_.connections == 0


def test_a_claim_that_runs_out_while_connecting_sends_nothing(peer, settings, monkeypatch):
    slow = peer(says(CREATED))
    resolve = socket.getaddrinfo

    def resolve_slowly(*args, **kwargs):
        time.sleep(0.3)
        return resolve(*args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", resolve_slowly)
    error = not_sent(slow.base_url, settings, begin_before=time.monotonic() + 0.1)
    assert error.code == "claim_ran_out"
    assert slow.requests in ([], [b""])


def test_a_connection_that_is_kept_open_asks_for_the_claim_too(voice):
    voice.says("Good morning!")
    with pytest.raises(XNotSent):
        voice.says("Too late.", begin_before=0)
    assert [post["text"] for post in voice.posts()] == ["Good morning!"]


# --- in doubt -----------------------------------------------------------------------------------


def doubt(**more):
    """The code of a write of which nobody can tell."""
    with pytest.raises(XOutcomeUnknown) as raised:
        write(**more)
    return raised.value.code


@pytest.mark.parametrize("fault", ["drop", "lost_answer"])
def test_a_lost_answer_is_a_doubt_and_not_sent_again(voice, fault):
    voice.simulator.fault(fault, "POST", "/2/tweets")
    with pytest.raises(XOutcomeUnknown) as raised:
        voice.says()
    assert raised.value.code == "x_answer_lost"
    assert voice.calls() == [("POST", "/2/tweets")]
    assert len(voice.posts()) == (fault == "lost_answer")


def test_a_lost_answer_on_a_kept_connection_is_not_sent_again(voice):
    voice.says("One.")
    voice.simulator.fault("lost_answer", "POST", "/2/tweets")
    with pytest.raises(XOutcomeUnknown):
        voice.says("Two.")
    assert [post["text"] for post in voice.posts()] == ["One.", "Two."]


def test_a_reset_after_the_request_is_a_doubt(peer):
    rude = peer(resets)
    assert doubt() == "x_answer_lost"
    assert len(rude.requests) == 1


def test_silence_is_a_doubt(peer, monkeypatch):
    monkeypatch.setattr(client, "READ_SECONDS", 0.2)
    quiet = peer(is_silent)
    with within(3):
        assert doubt() == "x_answer_lost"
    assert len(quiet.requests) == 1


@pytest.mark.parametrize("cut", [5, 20, len(CREATED) - 5])
def test_an_answer_that_breaks_off_is_a_doubt(peer, cut):
    broken = peer(says(CREATED[:cut]))
    with pytest.raises(XOutcomeUnknown):
        write()
    assert len(broken.requests) == 1


@pytest.mark.parametrize(
    "noise", [b"", b"\x00\xff\n\n", b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1\r\n\r\n"]
)
def test_what_is_no_http_is_a_doubt(peer, noise):
    peer(says(noise))
    assert doubt() == "x_answer_lost"


def test_an_answer_that_is_wrongly_packed_is_a_doubt(peer):
    peer(says(answer("201 Created", b"not gzip", Content_Encoding="gzip")))
    assert doubt() == "x_answer_lost"


def test_an_endless_answer_is_a_doubt(peer, monkeypatch):
    monkeypatch.setattr(client, "MAX_BODY_BYTES", 100_000)
    peer(says(answer("201 Created", b'{"data": {"id": "77"}}' + b" " * 200_000)))
    assert doubt() == "x_answer_lost"


@pytest.mark.parametrize(
    "body", [b"[" * 200_000, b'{"data": ' + b"1" * 5000, "\ufeff{}".encode(), b"\xff\xfe{"]
)
def test_json_that_cannot_be_read_is_a_doubt(peer, body):
    peer(says(answer("201 Created", body)))
    assert doubt() == "x_201"


# --- the deadline of the whole call -----------------------------------------------------------------


@pytest.mark.usefixtures("short")
class TestDeadline:
    """However slowly an answer comes."""

    def test_an_answer_later_than_the_deadline_is_a_doubt(self, voice):
        voice.simulator.fault("delay", "POST", "/2/tweets", ms=8000)
        with within(4), pytest.raises(XOutcomeUnknown):
            voice.says()

    def test_an_answer_before_the_deadline_counts(self, voice):
        voice.simulator.fault("delay", "POST", "/2/tweets", ms=200)
        assert voice.says()

    @pytest.mark.parametrize(
        "at_once", [0, 12, 60, len(CREATED) - 20], ids=["status", "headers", "later", "body"]
    )
    def test_a_byte_at_a_time_does_not_hold_a_write_beyond_the_deadline(self, peer, at_once):
        peer(trickles(CREATED + b" " * 1000, at_once=at_once, every=0.1))
        with within(4):
            assert doubt() == "x_answer_lost"

    def test_a_chunk_at_a_time_does_not_hold_a_write_beyond_the_deadline(self, peer):
        head = b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n"
        peer(trickles(head + b"1\r\n \r\n" * 1000, at_once=len(head), every=0.05))
        with within(4):
            assert doubt() == "x_answer_lost"

    def test_endless_interim_answers_do_not_hold_a_write_beyond_the_deadline(self, peer):
        peer(trickles(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, every=0.02))
        with within(4):
            assert doubt() == "x_answer_lost"

    def test_a_byte_at_a_time_does_not_hold_a_write_over_tls_either(
        self, peer, tmp_path, monkeypatch
    ):
        peer(trickles(CREATED + b" " * 1000, at_once=20, every=0.1), tls=self_signed(tmp_path))
        x = XClient()
        x._session.verify = str(tmp_path / "pair.pem")
        with within(4), pytest.raises(XOutcomeUnknown):
            x.create_post("hi", in_reply_to=None, access_token="t", begin_before=NEVER)

    def test_a_byte_at_a_time_does_not_hold_a_read_beyond_the_deadline(self, peer):
        peer(trickles(answer("200 OK", {"data": {}}), every=0.1))
        with within(4), pytest.raises(XReadFailed):
            XClient().me("token")

    def test_a_byte_at_a_time_does_not_hold_a_renewal_beyond_the_deadline(self, peer):
        peer(trickles(answer("200 OK", {"access_token": "a"}), every=0.1))
        with within(4), pytest.raises(XReadFailed):
            XClient().refresh_token("token")


def test_each_of_two_threads_keeps_its_own_deadline(peer, monkeypatch):
    peer(trickles(CREATED, every=0.005))
    codes = []
    threads = [threading.Thread(target=lambda: codes.append(_outcome())) for _ in range(2)]
    for thread, seconds in zip(threads, (0.1, 25), strict=True):
        monkeypatch.setattr(client, "TOTAL_SECONDS", seconds)
        thread.start()
        time.sleep(0.05)  # its deadline is set by now
    for thread in threads:
        thread.join(10)
    assert codes == ["x_answer_lost", "77"]


def _outcome():
    """The code of a write, or the id that it brought."""
    try:
        return write()
    except XOutcomeUnknown as error:
        return error.code
    finally:
        connection.close()


# --- what a write never does --------------------------------------------------------------------


def test_a_write_inside_a_transaction_is_a_bug_and_sends_nothing(voice):
    with pytest.raises(RuntimeError), transaction.atomic():
        voice.says()
    assert voice.calls() == []


@pytest.mark.parametrize("ask", ["me", "refresh_token", "revoke_token"])
def test_a_question_inside_a_transaction_is_a_bug_and_sends_nothing(voice, ask):
    with pytest.raises(RuntimeError), transaction.atomic():
        getattr(voice.client, ask)("token")
    assert voice.calls() == []


def test_neither_proxies_nor_netrc_of_the_environment_are_asked(
    voice, peer, settings, monkeypatch, tmp_path
):
    proxy = peer(says(CREATED))
    settings.X_API_BASE_URL = voice.simulator.base_url
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.base_url)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert voice.says() == voice.posts()[0]["id"]
    assert proxy.requests == []


def test_cookies_of_one_account_do_not_travel_with_another(voice):
    voice.simulator.fault(
        "status",
        "GET",
        "/2/users/me",
        status=200,
        body={"data": {"id": "1", "username": "cafe"}},
        headers={"Set-Cookie": "guest_id=1; Path=/"},
    )
    voice.client.me(voice.tokens.access_token)
    assert list(voice.client._session.cookies) == []


@pytest.fixture
def everything(caplog):
    """Every line that anybody would log."""
    for name in (None, "urllib3", "requests", "http", "x_integration"):
        caplog.set_level(logging.DEBUG, logger=name)
    return caplog


@pytest.mark.parametrize(
    "act",
    [
        says(answer("401 Unauthorized", {"detail": "No."})),
        says(answer("403 Forbidden", {"detail": "No."})),
        says(answer("500 Oops", b"<html>")),
        resets,
    ],
    ids=["unauthorized", "refused", "html", "reset"],
)
def test_the_token_is_in_no_error_and_in_no_log(peer, everything, act):
    heard = peer(act)
    with pytest.raises(RevFirstError) as raised:
        write()
    assert CANARY.encode() in heard.requests[0]
    assert CANARY not in f"{raised.value} {raised.value!r} {raised.value.args}"
    assert CANARY not in "".join(str(vars(record)) for record in everything.records)


def test_the_token_is_in_no_log_of_a_success(peer, everything):
    peer(says(CREATED))
    write()
    assert "POST /2/tweets" in everything.text  # the log is awake
    assert CANARY not in "".join(str(vars(record)) for record in everything.records)


def test_a_token_that_no_header_can_carry_is_in_no_error(voice):
    with pytest.raises(RevFirstError) as raised:
        voice.client.create_post(
            "hi", in_reply_to=None, access_token=f"{CANARY}\n", begin_before=NEVER
        )
    assert CANARY not in f"{raised.value} {raised.value!r}"
    assert voice.calls() == []
