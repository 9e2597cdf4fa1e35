"""Starting and stopping: one clear sentence, or a line that says where it listens."""

import contextlib
import http.client
import os
import socket
import subprocess
import sys
import time

import pytest
import requests

from x_integration.simulator.instants import now_ms
from x_integration.simulator.process import SimulatorFailed, SimulatorProcess
from x_integration.simulator.state import State

CLIENT = {
    "X_CLIENT_ID": "a",
    "X_CLIENT_SECRET": "b",
    "X_REDIRECT_URI": "http://127.0.0.1:1/callback",
}


def run(*arguments, environment=CLIENT):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("X_")}
    return subprocess.run(
        [sys.executable, "-m", "x_integration.simulator", *arguments],
        env=kept | environment,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def one_sentence(ended):
    assert ended.returncode == 2, ended
    assert ended.stdout == ""
    lines = ended.stderr.strip().splitlines()
    assert len(lines) == 1, ended.stderr
    return lines[0]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--state", "x", "--host", "192.0.2.1"], "not a loopback address"),
        (["--state", "x", "--port", "99999"], "not a port"),
        (["--state", "x", "--dialect", "klingon"], "invalid choice"),
        (["--state", "x", "--nonsense"], "--nonsense"),
        ([], "--state"),
    ],
)
def test_bad_arguments_end_in_one_sentence(tmp_path, arguments, told):
    arguments = [str(tmp_path) if each == "x" else each for each in arguments]
    assert told in one_sentence(run(*arguments))


def test_a_missing_client_is_named(tmp_path):
    sentence = one_sentence(run("--state", str(tmp_path), environment={}))
    assert "X_CLIENT_ID, X_CLIENT_SECRET, X_REDIRECT_URI" in sentence


def test_a_port_in_use_is_named(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert port in one_sentence(run("--state", str(tmp_path), "--port", port))


def test_an_unusable_state_folder_is_named(tmp_path):
    (tmp_path / "file").touch()
    sentence = one_sentence(run("--state", str(tmp_path / "file" / "inside")))
    assert "cannot be written" in sentence


def test_a_damaged_journal_is_named_with_its_line(tmp_path):
    (tmp_path / "journal.jsonl").write_text("{}\nnonsense\n{}\n")
    assert "line" in one_sentence(run("--state", str(tmp_path)))


def test_an_event_of_another_shape_is_named_with_its_line(tmp_path):
    event = '{"e":"user","id":1,"username":5,"name":"n","protected":false,"profile":{}}'
    (tmp_path / "journal.jsonl").write_text(f"{event}\n")
    assert "line 1 is not an event" in one_sentence(run("--state", str(tmp_path)))


def test_the_sample_is_said_whole_or_not_at_all(tmp_path, monkeypatch):
    """A kill while it is being said leaves a new simulator, which says it at the next start."""
    state = State(tmp_path)
    monkeypatch.setattr(state.world, "say", _killed)
    with pytest.raises(KeyboardInterrupt):
        state.load_sample(now=now_ms())
    state.journal.close()
    again = State(tmp_path)
    assert again.is_new()
    again.load_sample(now=now_ms())
    again.journal.close()
    assert len(State(tmp_path).world.posts) == len(again.world.posts) > 30


def _killed(*args, **kwargs):
    raise KeyboardInterrupt


def test_two_simulators_do_not_share_a_folder(own_simulator):
    with own_simulator, pytest.raises(SimulatorFailed, match="still running"):
        SimulatorProcess(own_simulator.state).start()


def test_sigterm_ends_it_at_once_and_cleanly(own_simulator):
    own_simulator.start()
    with requests.Session() as session:  # an idle connection must not hold it up
        session.get(f"{own_simulator.base_url}/", timeout=10)
        begun = time.monotonic()
        assert own_simulator.stop() == 0
    assert time.monotonic() - begun < 1


def test_sigterm_does_not_wait_for_a_delayed_answer(own_simulator):
    own_simulator.start()
    own_simulator.fault("delay", "GET", "/", ms=60_000)
    with socket.create_connection(("127.0.0.1", own_simulator.port)) as waiting:
        waiting.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        while not own_simulator.requests():
            time.sleep(0.01)
        begun = time.monotonic()
        assert own_simulator.stop() == 0
    assert time.monotonic() - begun < 1


def test_a_restart_keeps_the_port(own_simulator):
    with own_simulator:
        port = own_simulator.port
        own_simulator.kill()
        assert own_simulator.start().port == port


def test_connections_stay_open(simulator, brand):
    connection = http.client.HTTPConnection("127.0.0.1", simulator.port, timeout=10)
    with contextlib.closing(connection):
        connection.connect()
        ours = connection.sock
        for _ in range(3):
            connection.request("GET", "/2/users/me", headers=brand.tokens.headers)
            assert connection.getresponse().read()
            assert connection.sock is ours


def test_it_stays_lean(own_simulator):
    own_simulator.sample = True
    with own_simulator:
        requests.get(f"{own_simulator.base_url}/", timeout=10)
        process = own_simulator.process
        assert process is not None
        with open(f"/proc/{process.pid}/smaps_rollup") as rollup:
            pss = next(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
    assert pss < 30_000


def test_it_imports_nothing_of_the_product():
    code = (
        "import sys, x_integration.simulator.__main__\n"
        "ours = {'revfirst', 'workspaces', 'publishing', 'control', 'django'} & set(sys.modules)\n"
        "ours |= {name for name in sys.modules if name.startswith('x_integration.')"
        " and not name.startswith('x_integration.simulator')}\n"
        "print(sorted(ours))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"
