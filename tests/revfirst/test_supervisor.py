"""The supervisor, with real processes: restarts, order of the end, nothing left behind."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from signal import SIGKILL, SIGTERM
from time import monotonic

import pytest

from revfirst import processes, supervisor
from revfirst.processes import Identity
from revfirst.records import read_record, write_record
from revfirst.supervisor import Child, GaveUp, Interruptions, Supervisor, end_leftovers
from revfirst.wait import wait_until

REPOSITORY = Path(__file__).resolve().parents[2]
SLEEPER = "import time; print('up', flush=True); time.sleep(600)"
# Writes its name when told to stop; its helper in the same session writes too, if told.
TEAM = """
import os, signal, sys, time
team, journal = sys.argv[1], sys.argv[2]
name = team if os.fork() else team + "'s helper"
def note(*_):
    with open(journal, "a") as file:
        file.write(name + "\\n")
    sys.exit()
signal.signal(signal.SIGTERM, note)
print("up", flush=True)
time.sleep(600)
"""
STUBBORN = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"


class Crew:
    """A supervisor in a folder of its own, and what it said."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said: list[str] = []
        self.interruptions = Interruptions()
        self.supervisor = Supervisor(
            interruptions=self.interruptions,
            record=folder / "supervisor.json",
            say=self.said.append,
            stop_order=["first", "second", "third"],
        )

    def child(self, name: str, script: str, *words: str, patience: float = 10) -> Child:
        return Child(
            name=name,
            command=[sys.executable, "-c", script, *words],
            env=dict(os.environ),
            cwd=self.folder,
            log=self.folder / f"{name}.log",
            patience=patience,
        )

    def start(self, child: Child) -> Child:
        """Start a child and wait for its first words."""
        self.supervisor.start(child)
        self.supervisor.wait_ready(child, lambda: "up" in child.log.read_text(), seconds=10)
        return child

    def watch(self, until: Callable[[], bool], *, seconds: float = 15) -> None:
        """Watch until something holds, but not for ever."""
        ends = monotonic() + seconds
        self.supervisor.watch(until=lambda: until() or monotonic() > ends)
        assert until()


@pytest.fixture
def crew(tmp_path: Path) -> Iterator[Crew]:
    found = Crew(tmp_path)
    yield found
    found.interruptions.count = 2
    found.supervisor.stop()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "LONGEST_BACK_OFF", 0.05)
    monkeypatch.setattr(supervisor, "TICK", 0.02)


def pid_of(child: Child) -> int:
    assert child.identity
    return child.identity.pid


# --- Restarts -----------------------------------------------------------------------------------


def test_what_dies_is_started_again(crew, impatient):
    child = crew.start(crew.child("first", SLEEPER))
    dead = pid_of(child)
    os.kill(dead, SIGKILL)
    crew.watch(until=lambda: child.is_alive() and pid_of(child) != dead)


def test_a_restart_is_said_in_one_line(crew, impatient):
    child = crew.start(crew.child("first", SLEEPER))
    os.kill(pid_of(child), SIGKILL)
    crew.watch(until=lambda: bool(crew.said))
    assert crew.said == [f"first ended; starting it again in 0.05 s ({child.log})"]


def test_helpers_of_a_dead_process_end_before_it_starts_again(crew, impatient, tmp_path):
    child = crew.start(crew.child("first", TEAM, "first", str(tmp_path / "journal")))
    dead = pid_of(child)
    os.kill(dead, SIGKILL)
    crew.watch(until=lambda: child.is_alive() and pid_of(child) != dead)
    assert processes.members(dead) == []


def test_one_that_never_stays_up_is_given_up_with_its_last_words(crew, impatient):
    child = crew.child("first", "import sys; sys.exit('no bread today')")
    crew.supervisor.start(child)
    with pytest.raises(GaveUp, match="ended 5 times right after its start: no bread today"):
        crew.supervisor.watch(until=lambda: False)


def test_the_pause_before_a_restart_doubles(crew):
    health = supervisor._Health(started=100.0)
    part = crew.child("first", SLEEPER)
    pauses = [crew.supervisor._pause_after_death(part, health, 101.0) for _ in range(4)]
    assert pauses == [0.5, 1.0, 2.0, 4.0]


def test_an_end_after_a_good_life_begins_the_count_anew(crew):
    health = supervisor._Health(started=100.0, quick_deaths=4)
    assert crew.supervisor._pause_after_death(crew.child("first", SLEEPER), health, 200.0) == 0.5


def test_one_that_ends_before_it_is_ready_is_told_with_its_last_words(crew):
    child = crew.child("first", "import sys; sys.exit('the port is taken')")
    crew.supervisor.start(child)
    with pytest.raises(GaveUp, match="ended right after its start: the port is taken"):
        crew.supervisor.wait_ready(child, lambda: False, seconds=10)


# --- The end ------------------------------------------------------------------------------------


def test_parts_are_stopped_in_the_given_order(crew, tmp_path):
    journal = tmp_path / "journal"
    for name in ("third", "first", "second"):
        crew.start(crew.child(name, TEAM, name, str(journal)))
    crew.supervisor.stop()
    assert journal.read_text().split("\n")[:3] == ["first", "second", "third"]


def test_only_the_main_process_is_asked_to_stop(crew, tmp_path):
    crew.start(crew.child("first", TEAM, "first", str(tmp_path / "journal")))
    crew.supervisor.stop()
    assert (tmp_path / "journal").read_text() == "first\n"


def test_nothing_of_a_session_survives_its_stop(crew, tmp_path):
    child = crew.start(crew.child("first", TEAM, "first", str(tmp_path / "journal")))
    group = pid_of(child)
    assert len(processes.members(group)) == 2
    crew.supervisor.stop()
    assert processes.members(group) == []


def test_one_that_does_not_stop_is_killed_after_its_patience(crew):
    group = pid_of(crew.start(crew.child("first", STUBBORN, patience=0.2)))
    crew.supervisor.stop()
    assert processes.members(group) == []


def test_a_second_ctrl_c_hurries(crew):
    crew.start(crew.child("first", STUBBORN, patience=600))
    crew.interruptions.count = 2
    begun = monotonic()
    crew.supervisor.stop()
    assert monotonic() - begun < 5


def test_stopping_twice_is_harmless(crew):
    crew.start(crew.child("first", SLEEPER))
    crew.supervisor.stop()
    crew.supervisor.stop()


# --- A killed supervisor ------------------------------------------------------------------------

WATCHING = """
import sys
from pathlib import Path
from revfirst import processes
if "deaf" in sys.argv:
    processes._die_with_parent = lambda last_signal: None
from tests.revfirst.test_supervisor import TEAM, Crew
crew = Crew(Path(sys.argv[1]))
crew.start(crew.child("first", TEAM, "first", sys.argv[1] + "/journal"))
print("watching", flush=True)
crew.supervisor.watch(until=lambda: False)
"""


def killed_supervisor(folder: Path, *words: str) -> int:
    """Start a supervisor with one child and kill it; the child's process group."""
    command = [sys.executable, "-c", WATCHING, str(folder), *words]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"watching\n"
        process.kill()
    return int(read_record(folder / "supervisor.json")["first"]["pid"])


@pytest.mark.skipif(sys.platform != "linux", reason="a promise of the Linux kernel")
def test_the_kernel_tells_the_parts_of_a_killed_supervisor(tmp_path):
    killed_supervisor(tmp_path)
    assert wait_until(lambda: (tmp_path / "journal").exists(), seconds=10)
    end_leftovers(tmp_path / "supervisor.json")


def test_the_next_run_ends_what_a_killed_supervisor_left(tmp_path):
    group = killed_supervisor(tmp_path, "deaf")
    assert len(processes.members(group)) == 2
    assert end_leftovers(tmp_path / "supervisor.json") == ["first"]
    assert processes.members(group) == []


def test_the_next_run_ends_helpers_whose_main_process_is_gone(tmp_path):
    group = killed_supervisor(tmp_path, "deaf")
    os.kill(group, SIGKILL)
    assert wait_until(lambda: len(processes.members(group)) == 1, seconds=5)
    end_leftovers(tmp_path / "supervisor.json")
    assert processes.members(group) == []


def test_somebody_elses_process_with_a_used_number_is_left_alone(tmp_path):
    with subprocess.Popen([sys.executable, "-c", SLEEPER], stdout=subprocess.DEVNULL) as stranger:
        known = {"pid": stranger.pid, "started": "long ago", "command": "gunicorn"}
        write_record(tmp_path / "supervisor.json", {"web": known})
        assert end_leftovers(tmp_path / "supervisor.json") == []
        assert stranger.poll() is None
        stranger.kill()


# --- Processes and logs -------------------------------------------------------------------------


def test_a_process_is_recognised_by_its_start_too():
    ourselves = processes.identify(os.getpid())
    assert ourselves
    assert ourselves.is_alive()
    assert not Identity(ourselves.pid, "another time").is_alive()


def test_a_process_that_only_awaits_reaping_is_gone():
    child = subprocess.Popen([sys.executable, "-c", ""])
    assert wait_until(lambda: processes.identify(child.pid) is None, seconds=10)
    child.wait()


def test_what_linux_knows_from_proc_others_learn_from_ps(monkeypatch):
    fast = (processes.command_line(os.getpid()), processes.members(os.getpgrp()))
    monkeypatch.setattr(processes, "_HAS_PROC", False)
    slow = (processes.command_line(os.getpid()), processes.members(os.getpgrp()))
    assert slow[0] == fast[0]
    assert set(fast[1]) <= set(slow[1])
    ourselves = processes.identify(os.getpid())
    assert ourselves
    assert ourselves.is_alive()


def test_ending_goes_from_gentle_to_certain():
    with subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE) as child:
        assert child.stdout
        child.stdout.readline()
        found = processes.identify(child.pid)
        assert found
        assert processes.end(found, (SIGTERM, 0.2), (SIGKILL, 5))


def test_a_log_begins_anew_and_the_last_one_is_kept(tmp_path):
    log = tmp_path / "web.log"
    log.write_text("yesterday")
    supervisor.rotate(log)
    assert not log.exists()
    assert (tmp_path / "web.log.1").read_text() == "yesterday"


def test_a_log_stays_within_bounds_while_it_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(supervisor, "LOG_LIMIT", 10)
    log = tmp_path / "web.log"
    with open(log, "a") as writer:
        writer.write("a long line\n")
        writer.flush()
        supervisor.trim(log)
        writer.write("more\n")
    assert log.read_text() == "more\n"


def test_of_a_traceback_only_the_last_line_is_told(tmp_path):
    log = tmp_path / "web.log"
    log.write_text("Traceback (most recent call last):\n  File x\nKeyError: 'bread'\n")
    assert supervisor.last_words(log) == f"KeyError: 'bread' ({log})"
