"""python -m tests.benchmarks.first_look: what a first look costs, each figure beside its bound.

Runs the demo twice on data of its own under the temporary folder, and stops it. Memory is PSS, the
proportional share of each process, as Linux counts it.
"""

import re
from collections import Counter
from pathlib import Path
from time import monotonic

import psutil
import requests

from revfirst.generated import load_or_create
from revfirst.wait import wait_out
from tests.demos import RunningDemo, a_demo, demo, temporary_var

IDLE_SECONDS = 20  # what start-up took is given back by then
_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


def main() -> None:
    """Measure, and print a line per figure."""
    with temporary_var() as var_dir:
        begun = monotonic()
        with a_demo(var_dir) as running:
            _show("first start to banner", f"{monotonic() - begun:.1f} s", "-")
            _show("banner to the queue, signed in", f"{_first_page(running):.2f} s", "3 s")
            wait_out(IDLE_SECONDS)
            _show_memory(running)
        begun = monotonic()
        with a_demo(var_dir):
            _show("second start to banner", f"{monotonic() - begun:.1f} s", "-")
        _show_round(var_dir)


def _first_page(running: RunningDemo) -> float:
    """Seconds for a person's first three pages: login, the index, the queue."""
    begun, login = monotonic(), f"{running.web}/admin/login/?next=/admin/"
    with requests.Session() as browser:
        browser.trust_env = False
        token = _TOKEN.search(browser.get(login, timeout=30).text)
        if token is None:
            raise RuntimeError("The login page has no form.")
        password = load_or_create(running.var_dir)["DEMO_PASSWORD"]
        form = {"username": "demo", "password": password, "csrfmiddlewaretoken": token[1]}
        browser.post(login, data=form, timeout=30).raise_for_status()
        queue = browser.get(f"{running.web}/admin/publishing/queueitem/", timeout=30)
    if "state-pending" not in queue.text:
        raise RuntimeError("The queue shows no item.")
    return monotonic() - begun


def _show_memory(running: RunningDemo) -> None:
    used: Counter[str] = Counter()
    for process in running.family():
        used[_name(process)] += process.memory_full_info().pss
    for name, size in used.most_common():
        _show(f"  {name}", f"{size / 1e6:.0f} MB", "-")
    _show("idle memory of all processes", f"{used.total() / 1e6:.0f} MB", "450 MB")


def _name(process: psutil.Process) -> str:
    words = " ".join(process.cmdline())
    for word in ("gunicorn", "qcluster", "x_integration.simulator", "revfirst.demo", "valkey"):
        if word in words:
            return word
    return process.name()


def _show_round(var_dir: Path) -> None:
    begun = monotonic()
    told = demo(var_dir, "--once")
    if told.returncode != 0:
        raise RuntimeError(told.stderr)
    _show("one round, environment made", f"{monotonic() - begun:.1f} s", "15 s")


def _show(what: str, figure: str, bound: str) -> None:
    print(f"{what:<34}{figure:>9}   at most {bound}" if bound != "-" else f"{what:<34}{figure:>9}")


if __name__ == "__main__":
    main()
