"""What the engine keeps of a task: its result, or the class of what went wrong and nothing else."""

import json
import logging
from importlib import import_module

import pytest
from django_q.models import OrmQ, Task
from django_q.tasks import async_task

from control import schedules
from revfirst.errors import Conflict
from revfirst.tasks import TaskFailed, task
from tests.clusters import Cluster, eventually
from tests.environments import on_our_servers

CANARY = "cAnArY-0123"


@task
def add(one: int, two: int) -> int:
    """Works."""
    return one + two


@task
def refuse() -> None:
    """Fails with a secret in its words."""
    raise ValueError(f"X refused the bearer {CANARY}")


@task
def conflict() -> None:
    """Fails on top of another failure."""
    try:
        raise ValueError(CANARY)
    except ValueError as error:
        raise Conflict(CANARY) from error


@pytest.fixture
def kept(transactional_db, tmp_path) -> dict[str, Task]:
    """What a real worker keeps of each of these tasks."""
    for name, args in {"add": (2, 3), "refuse": (), "conflict": ()}.items():
        async_task(f"tests.revfirst.test_tasks.{name}", *args, task_name=name)
    with Cluster(on_our_servers(tmp_path)):
        assert eventually(lambda: Task.objects.count() == 3)
        assert eventually(lambda: not OrmQ.objects.exists())  # a failure is not tried again
    return {row.name: row for row in Task.objects.all()}


def test_a_worker_keeps_a_result_as_text_and_a_failure_by_its_class_alone(kept):
    assert (kept["add"].success, kept["add"].result) == (True, "5")
    assert kept["refuse"].result.startswith("refuse: ValueError : ")
    assert kept["conflict"].result.startswith("conflict: Conflict : ")
    assert not kept["refuse"].success
    assert not kept["conflict"].success


def test_the_words_of_a_failure_are_in_no_column_of_the_stored_task(kept):
    rows = json.dumps(list(Task.objects.values()), default=str)
    assert "TaskFailed" in rows
    assert CANARY not in rows


def test_one_line_says_what_was_done_and_how_long_it_took(caplog):
    caplog.set_level(logging.INFO)
    add(2, 3)
    (record,) = caplog.records
    assert (record.message, record.task, record.result) == ("task_done", "add", 5)
    assert record.args_given == [2, 3]
    assert record.seconds >= 0


def test_a_failure_is_logged_with_its_whole_story(caplog):
    with pytest.raises(TaskFailed):
        refuse()
    (record,) = caplog.records
    assert (record.message, record.levelname) == ("task_failed", "ERROR")
    assert record.exc_info[0] is ValueError


def test_a_failure_is_reported_where_it_happened(monkeypatch):
    reported: list[BaseException] = []
    monkeypatch.setattr("sentry_sdk.capture_exception", reported.append)
    with pytest.raises(TaskFailed):
        refuse()
    (error,) = reported
    assert isinstance(error, ValueError)
    assert error.__traceback__ is not None


def test_the_engine_is_told_not_to_try_again(settings):
    engine = settings.Q_CLUSTER
    assert engine["ack_failures"]
    assert engine["max_attempts"] == 1
    assert engine["timeout"] < engine["retry"]


def test_every_schedule_names_a_task_that_can_be_imported():
    for schedule in schedules.from_code().values():
        module, _, name = schedule.func.rpartition(".")
        assert callable(getattr(import_module(module), name))
        assert schedule.minutes >= 1
