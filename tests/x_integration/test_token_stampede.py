"""Fifty processes ask for one expired token at once: one call at X, whatever Redis and X do."""

import hashlib
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from revfirst import programs
from revfirst.local_valkey import LocalValkey
from revfirst.wait import wait_until
from tests.worlds import ROOT, environment
from tests.x_integration.renewals import TOKEN, account_of, pair_of, refreshes, token_of
from workspaces.models import Alarm
from workspaces.models import Counter as StoredCounter
from x_integration.client import XClient
from x_integration.services import get_workspace_x_access_token

pytestmark = pytest.mark.slow
PROCESSES = 50
AFTER_X_ANSWERED = "x_integration.services.renewal:_Renewal._store"
BEFORE_X_WAS_ASKED = "x_integration.client:XClient.refresh_token"


class Stampede:
    """The processes, and what each of them got."""

    def __init__(self, x, workspace, *, processes: int = PROCESSES, **env: Any) -> None:
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.x_integration.stampede",
                str(workspace.pk),
                str(processes),
            ],
            cwd=ROOT,
            env={**environment(x.simulator), **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def got(self) -> Counter[str]:
        """How many got which token, by its hash; `none` for none."""
        told, errors = self.process.communicate(timeout=120)
        assert self.process.returncode == 0, errors
        return Counter(told.split())


def hashed(workspace) -> str:
    return hashlib.sha256(pair_of(workspace)[0].encode()).hexdigest()


def calls_and_reuses(x) -> tuple[int, int]:
    return len(x.calls("POST", TOKEN)), x.simulator.overview()["refresh_reuses"]


@pytest.fixture
def own_redis(tmp_path: Path, free_port: int) -> Iterator[LocalValkey]:
    """A Valkey that this test may kill."""
    program = programs.valkey_program(os.environ, home=tmp_path, account=None)
    assert program is not None
    folder = tmp_path / "valkey"
    folder.mkdir()
    server = LocalValkey(
        program, folder=folder, log=tmp_path / "valkey.log", account=None, password="local"
    )
    server.start(free_port)
    yield server
    server.stop()


def test_fifty_processes_make_one_call_and_all_get_the_new_token(x, expired):
    x.fault("delay", path=TOKEN, ms=500)
    assert Stampede(x, expired).got() == {hashed(expired): PROCESSES}
    assert calls_and_reuses(x) == (1, 0)
    assert XClient().me(token_of(expired))[1] == "cafe"
    # Who came second is counted once, and not 49 times.
    assert refreshes() == {"outcome=success": 1, "outcome=skipped_locked": 1}


def test_the_same_with_redis_unreachable_from_the_start(x, expired, free_port):
    x.fault("delay", path=TOKEN, ms=500)
    got = Stampede(x, expired, REDIS_URL=f"redis://127.0.0.1:{free_port}/0").got()
    assert got == {hashed(expired): PROCESSES}
    assert calls_and_reuses(x) == (1, 0)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "frozen"])
def test_the_same_with_redis_killed_or_frozen_in_the_middle(x, expired, own_redis, end):
    x.fault("slow_answer", path=TOKEN, ms=1500)
    stampede = Stampede(x, expired, REDIS_URL=own_redis.url)
    assert wait_until(lambda: len(x.calls("POST", TOKEN)) == 1, seconds=20)
    os.kill(own_redis.identity.pid, end)
    got = stampede.got()
    with suppress(ProcessLookupError):
        os.kill(own_redis.identity.pid, signal.SIGCONT)
    assert got == {hashed(expired): PROCESSES}
    assert calls_and_reuses(x) == (1, 0)


def test_an_x_slower_than_the_lock_is_still_asked_once(x, expired):
    x.fault("slow_answer", path=TOKEN, ms=3500)
    got = Stampede(x, expired, X_REFRESH_LOCK_TTL_SECONDS="1").got()
    assert got == {hashed(expired): PROCESSES}
    assert calls_and_reuses(x) == (1, 0)
    assert account_of(expired).token_version == 2


@pytest.mark.parametrize("url", ["", "redis://127.0.0.1:1/0"], ids=["redis", "no redis"])
def test_a_holder_killed_after_x_answered_costs_one_more_call_and_is_told(x, expired, url):
    env: dict[str, Any] = {"X_REFRESH_LOCK_TTL_SECONDS": "1", "STAMPEDE_WAITS": "2"}
    env |= {"REDIS_URL": url} if url else {}
    first = Stampede(x, expired, STAMPEDE_DIES_AT=AFTER_X_ANSWERED, **env).got()
    assert first == {"none": PROCESSES - 1}
    assert calls_and_reuses(x) == (1, 0)
    later = Stampede(x, expired, STAMPEDE_LATER="121", **env).got()
    assert later == {"none": PROCESSES}
    assert calls_and_reuses(x) == (2, 1)
    account = account_of(expired)
    assert account.connected_reason(timezone.now()) == "reauthorization_required"
    assert Alarm.objects.get().kind == "token_refused"
    assert StoredCounter.objects.get(labels="outcome=refused").value == 1


def test_a_holder_killed_before_x_was_asked_loses_nothing(x, expired):
    env: dict[str, Any] = {"X_REFRESH_LOCK_TTL_SECONDS": "1", "STAMPEDE_WAITS": "1"}
    Stampede(x, expired, processes=5, STAMPEDE_DIES_AT=BEFORE_X_WAS_ASKED, **env).got()
    assert calls_and_reuses(x) == (0, 0)
    later = timezone.now() + timedelta(seconds=121)
    assert get_workspace_x_access_token(expired, now=later) == pair_of(expired)[0]
    assert calls_and_reuses(x) == (1, 0)
