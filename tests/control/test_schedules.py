"""The timetable, signs of life, and one turn of the cycle."""

from datetime import timedelta
from decimal import Decimal
from importlib import import_module
from inspect import signature

import pytest
from django.core.management import call_command
from django.utils import timezone
from django_q.models import OrmQ, Success
from django_q.models import Schedule as ScheduleRow

from control import schedules, services
from control.models import Heartbeat
from control.tasks import beat, cycle
from publishing.services import propose_replies
from revfirst.health import run_checks
from tests.factories import SourcePostFactory, XAccountFactory
from tests.worlds import WORKER, environment, manage
from workspaces.models import Workspace
from x_integration.models import Feed, Spend
from x_integration.services import mentions_feed

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_database_has_the_schedules_of_the_code_and_no_other():
    ScheduleRow.objects.create(name="planted", func="os.system", schedule_type="I", minutes=1)
    call_command("sync_schedules", verbosity=0)
    assert set(ScheduleRow.objects.values_list("name", flat=True)) == set(schedules.from_code())


def test_syncing_again_does_not_make_everything_due_at_once():
    call_command("sync_schedules")
    later = timezone.now() + timedelta(hours=1)
    ScheduleRow.objects.update(next_run=later)
    call_command("sync_schedules")
    assert set(ScheduleRow.objects.values_list("next_run", flat=True)) == {later}


@pytest.mark.parametrize("schedule", schedules.from_code().values(), ids=lambda s: s.func)
def test_every_schedule_names_a_function_that_needs_no_argument(schedule):
    module, _, name = schedule.func.rpartition(".")
    signature(getattr(import_module(module), name).__wrapped__).bind()


def test_a_beat_makes_worker_and_scheduler_healthy():
    assert not run_checks()["worker"].ok
    beat()
    assert run_checks()["worker"].ok
    assert run_checks()["scheduler"].ok


def test_a_beat_of_four_minutes_ago_is_no_life():
    services.beat("worker", now=timezone.now() - timedelta(minutes=4))
    assert not run_checks()["worker"].ok
    assert Heartbeat.objects.count() == 1


def test_old_successes_are_forgotten_and_young_ones_kept():
    now = timezone.now()
    for age in (1, 30):
        Success.objects.create(
            id=str(age),
            name=str(age),
            func="f",
            started=now,
            stopped=now - timedelta(days=age),
            success=True,
        )
    assert services.purge_task_results(now=now) == 1


def test_one_cycle_reads_and_proposes_and_a_second_finds_nothing_new(x):
    workspace = x.connected()
    x.mention(workspace)
    env = environment(x.simulator)
    first = manage("run_cycle", workspace.slug, env=env)
    second = manage("run_cycle", env=env)
    assert "1 posts stored, 1 replies proposed" in first.stdout
    assert "0 posts stored, 0 replies proposed" in second.stdout


def test_a_workspace_that_fails_does_not_stop_the_others(x):
    broken, well = x.connected("broken"), x.connected("well")
    x.mention(well)
    path = f"/2/users/{broken.x_account.x_user_id}/mentions"
    x.fault("html", method="GET", path=path, times=5)
    done = manage("run_cycle", env=environment(x.simulator))
    assert done.returncode == 1
    assert f"{well.slug}: 1 posts stored" in done.stdout
    assert "X answered 503" in done.stderr


def test_a_workspace_whose_account_was_read_a_moment_ago_is_left_alone(x):
    x.connected()
    assert cycle() == "1 workspaces, 0 left"
    assert cycle() == "0 workspaces, 0 left"


def test_305_workspaces_get_their_turn_within_two_cycles_of_200():
    """Whether it can be read or not: nobody has a token that X takes."""
    slugs = [XAccountFactory(access="", refresh="").workspace.slug for _ in range(305)]
    for _ in range(2):
        cycle_with_what_time_cut_off()
    assert set(Feed.objects.values_list("workspace__slug", flat=True)) == set(slugs)


def test_a_cycle_takes_no_more_than_200_workspaces():
    for _ in range(201):
        XAccountFactory()
    assert len(services.workspaces_to_cycle(due_at=timezone.now())) == 200


def cycle_with_what_time_cut_off():
    """A cycle as a worker runs it: on a slow machine the rest goes on at once, until the next one."""
    cycle()
    while rest := OrmQ.objects.first():
        rest.delete()
        cycle(*rest.task()["args"])


def test_who_has_waited_longest_is_read_first_and_a_failure_waits_like_everybody():
    accounts = [XAccountFactory(access="", refresh="") for _ in range(3)]
    now = timezone.now()
    for minutes, account in enumerate(accounts, start=1):
        mentions_feed(account.workspace, now=now - timedelta(minutes=minutes))
    waiting = [account.workspace.slug for account in reversed(accounts)]
    assert [each.slug for each in services.workspaces_to_cycle(due_at=now)] == waiting
    cycle()
    assert services.workspaces_to_cycle(due_at=now + timedelta(minutes=1)) == []


def test_a_workspace_with_several_feeds_has_one_turn():
    workspace, now = XAccountFactory().workspace, timezone.now()
    mentions_feed(workspace, now=now)
    Feed.objects.create(
        workspace=workspace, kind=Feed.Kind.SEARCH, query="coffee", next_read_at=now
    )
    assert services.workspaces_to_cycle(due_at=now) == [workspace]


def test_what_is_switched_off_is_not_due():
    workspace, now = XAccountFactory().workspace, timezone.now()
    mentions_feed(workspace, now=now)
    Feed.objects.update(is_on=False)
    assert services.workspaces_to_cycle(due_at=now) == []


def test_who_waits_for_a_turn_has_one_though_nothing_is_read(monkeypatch):
    """The mentions were switched off while more waited than one turn takes."""
    monkeypatch.setattr("publishing.services.candidates.LOOKS_A_CYCLE", 1)
    monkeypatch.setattr("publishing.services.candidates.FOR_THE_OLDEST", 1)
    workspace, now = XAccountFactory().workspace, timezone.now()
    mentions_feed(workspace, now=now)
    Feed.objects.update(is_on=False)
    for _ in range(2):
        SourcePostFactory(workspace=workspace)
    propose_replies(workspace, actor=WORKER, now=now)
    assert services.workspaces_to_cycle(due_at=now) == [workspace]
    cycle()
    assert workspace.items.count() == 2
    assert services.workspaces_to_cycle(due_at=now) == []


def test_what_a_cycle_has_no_time_for_goes_on_at_once(monkeypatch):
    XAccountFactory()
    monkeypatch.setattr("control.tasks.run_batch", lambda things, *args, **kwargs: len(things))
    assert cycle() == "0 workspaces, 1 left"
    assert queued() == ["control.tasks.cycle"]
    OrmQ.objects.all().delete()
    cycle(until=timezone.now().timestamp())
    assert queued() == []


def test_feeds_that_a_turn_has_no_time_for_stay_due(monkeypatch):
    """They have waited longest then, and are the first of the next one."""
    monkeypatch.setattr(services, "READING_SECONDS", 0)
    XAccountFactory(access="", refresh="")
    cycle()
    assert Feed.objects.get().last_read_at is None
    assert Feed.objects.due(timezone.now()).exists()


def test_a_turn_begun_late_in_a_batch_reads_no_longer_than_the_batch_may(monkeypatch):
    monkeypatch.setattr("control.tasks.TURNS_SECONDS", 0)
    XAccountFactory(access="", refresh="")
    cycle()
    assert Feed.objects.get().last_read_at is None


def queued():
    return [task.func() for task in OrmQ.objects.all()]


def test_a_search_that_fails_keeps_neither_mentions_nor_proposals_waiting(x):
    workspace = x.connected()
    x.mention(workspace)
    Feed.objects.create(workspace=workspace, kind=Feed.Kind.SEARCH, query="coffee")
    x.fault("html", method="GET", path="/2/tweets/search/recent")
    done = manage("run_cycle", env=environment(x.simulator))
    assert (done.returncode, workspace.items.count()) == (1, 1)


def test_reading_stops_at_nine_tenths_of_the_budget(x):
    workspace = x.connected()
    Workspace.objects.update(monthly_budget_usd=Decimal(1))
    for _ in range(200):
        x.mention(workspace)
    manage("run_cycle", env=environment(x.simulator))
    assert Spend.objects.get(kind="post_read").usd == Decimal("0.9")
    assert "0 posts stored" in manage("run_cycle", env=environment(x.simulator)).stdout


def test_a_paused_workspace_is_not_cycled(x):
    workspace = x.connected()
    Workspace.objects.update(paused_at=timezone.now(), paused_reason="test")
    assert cycle() == "0 workspaces, 0 left"
    assert manage("run_cycle", workspace.slug, env=environment(x.simulator)).returncode == 1
