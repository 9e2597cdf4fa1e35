"""What each command is given in the sweep."""

from __future__ import annotations

from collections.abc import Callable

from tests.doors.field import Field

Words = Callable[[Field], tuple[str, ...]]


def _plain(*words: str) -> Words:
    return lambda world: words


def _of(*words: str) -> Words:
    """The words, with the workspace's slug for `SLUG`."""
    return lambda world: tuple(world.cafe.slug if word == "SLUG" else word for word in words)


WORDS: dict[str, list[Words]] = {
    "audit_export": [_plain("--output", "/dev/null"), _plain()],
    "audit_verify": [_plain()],
    "compare_counters": [_plain()],
    "create_workspace": [_plain("tea", "--name", "Tea", "--owner", "owner-of-cafe")],
    "demo_data": [_plain()],
    "demo_once": [_plain()],
    "demo_prepare": [_plain()],
    "kill_switch": [
        _plain("status"),
        _plain("on", "--reason", "because"),
        _plain("off", "--reason", "because"),
    ],
    "qmemory": [_plain("--run-once")],
    "qmonitor": [_plain("--run-once")],
    "qinfo": [_plain("--config"), _plain("--ids")],
    "release_hold": [
        _plain("no_credits", "--reason", "because"),
        _of("account", "SLUG", "--reason", "because"),
        _of("containment", "SLUG", "--reason", "because"),
    ],
    "rotate_token_keys": [_plain()],
    "run_cycle": [_plain(), _of("SLUG")],
    "states_page": [_plain()],
    "sweep": [_plain()],
    "sync_schedules": [_plain()],
}
AWAY: dict[str, tuple[str, ...]] = {
    "demo": ("--help",),
    "x_simulator": ("--", "--help"),
    "qcluster": (),  # a test of its own
}
