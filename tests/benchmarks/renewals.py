"""The two runs of tests.benchmarks.tokens; imported when the stage stands."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from io import StringIO
from statistics import median

from django.core.management import call_command
from django.db.models import Min, QuerySet
from django.utils import timezone
from django_q.models import Success
from django_q.tasks import async_task

from revfirst.wait import wait_out, wait_until
from tests.benchmarks.figures import Figures
from tests.benchmarks.seeding import seed_accounts
from tests.benchmarks.stage import Effort, Stage
from workspaces.models import AuditEvent
from x_integration.client import XClient
from x_integration.errors import XReadFailed
from x_integration.models import XAccount
from x_integration.services.renewal_schedule import renew_at

LATENCY_MS = 200
BURST_SECONDS = 60  # the promise for a thousand
LIFE_SECONDS = 7200  # of an access token: X docs, OAuth 2.0
LATE_SECONDS = 300  # half of what a token still lives when it is due at the latest
SAMPLE_SECONDS = 5
SEED_PER_SECOND = 500  # accounts: so much later does a steady run begin
_RENEW_DUE = "x_integration.tasks.renew_due"
_TROUBLE = ("task_failed", "batch_item_failed", "batch_item_refused", "renewal_not_stored")


def burst(stage: Stage, figures: Figures, *, accounts: int) -> None:
    """Every token has expired; one task, and what it enqueues, renews them all."""
    figures.title(f"Burst: {accounts:,} expired tokens, X answers in {LATENCY_MS} ms")
    first = _next_pk()
    expired_at = timezone.now() - timedelta(minutes=1)
    seed_accounts(stage.simulator, dict.fromkeys(range(first, first + accounts), expired_at))
    ours, witness = XAccount.objects.filter(pk__gte=first), _Witness(stage)
    with stage.worker():
        _wait_for_the_worker()
        before = stage.effort()
        async_task(_RENEW_DUE)
        wait_until(
            lambda: not ours.exclude(token_version=2).exists(),
            seconds=3 * BURST_SECONDS,
            every=0.1,
        )
        ended, effort = timezone.now(), stage.effort()
        wait_until(Success.objects.filter(func=_RENEW_DUE).exists, seconds=60)
    begun = min(task.started for task in Success.objects.filter(func=_RENEW_DUE))
    seconds = (ended - begun).total_seconds()
    valid = [account for account in ours if account.access_token_valid(timezone.now())]
    figures.hold("task's start to last renewal", seconds, at_most=BURST_SECONDS, unit="s")
    figures.show("renewals per second", f"{len(valid) / seconds:.1f}")
    figures.hold("accounts without a valid token", accounts - len(valid), at_most=0)
    figures.hold("accounts not renewed exactly once", _not_once(ours), at_most=0)
    witness.show(figures, renewed=len(valid))
    sample = valid[:: max(1, accounts // 20)]
    figures.hold(f"of {len(sample)} new tokens, X refuses", _refused(stage, sample), at_most=0)
    _show_effort(figures, effort, before, renewed=len(valid))


def steady(stage: Stage, figures: Figures, *, accounts: int, seconds: float) -> None:
    """Accounts fall due evenly over `seconds`; the schedule, each minute, renews them in time."""
    rate = accounts / seconds
    figures.title(
        f"Steady: {accounts:,} accounts fall due within {seconds / 60:g} min ({rate:.1f}/s, "
        f"{LIFE_SECONDS / seconds:.0f} times the pace of {LIFE_SECONDS // 3600} h of life)"
    )
    begin = timezone.now() + timedelta(seconds=5 + accounts / SEED_PER_SECOND)
    first = _next_pk()
    run = _Run({first + n: begin + timedelta(seconds=n / rate) for n in range(accounts)})
    seed_accounts(stage.simulator, run.expiries)
    call_command("sync_schedules", stdout=StringIO())
    with stage.worker():
        wait_out(max(0.0, (begin - timezone.now()).total_seconds()))
        witness, before = _Witness(stage), stage.effort()
        while timezone.now() < begin + timedelta(seconds=seconds):
            run.sample()
            wait_out(SAMPLE_SECONDS)
        run.sample()
        effort = stage.effort()
    renewed = run.show(figures, seconds=seconds)
    witness.show(figures, renewed=renewed)
    _show_effort(figures, effort, before, renewed=renewed)
    figures.show("worker's log lines of trouble", _trouble(stage))


@dataclass
class _Run:
    """The accounts of a steady run: when each is due, and the worst that was seen of them."""

    due: dict[int, datetime]
    backlog: int = 0
    backlog_now: int = 0
    expired: int = 0
    least_life: float = field(default=float("inf"))

    def __post_init__(self) -> None:
        self.expiries = {pk: _expiry_of(pk, at) for pk, at in self.due.items()}
        self.rows = XAccount.objects.filter(pk__gte=min(self.due), pk__lte=max(self.due))

    def sample(self) -> None:
        """Look once."""
        now = self.sampled_at = timezone.now()
        waiting = self.rows.filter(token_version=1).values_list("pk", flat=True)
        self.backlog_now = sum(self.due[pk] <= now for pk in waiting)
        self.backlog = max(self.backlog, self.backlog_now)
        self.expired = max(self.expired, self.rows.filter(expires_at__lte=now).count())
        soonest = self.rows.aggregate(at=Min("expires_at"))["at"]
        self.least_life = min(self.least_life, (soonest - now).total_seconds())

    def show(self, figures: Figures, *, seconds: float) -> int:
        """What became of them; returns how many were renewed."""
        renewed = self.rows.filter(token_version__gt=1)
        begun = {pk: at for pk, at in renewed.values_list("pk", "last_refresh_at") if at}
        too_late = sum(at >= self.expiries[pk] for pk, at in begun.items())
        waits = sorted(
            (begun.get(pk, self.sampled_at) - at).total_seconds() for pk, at in self.due.items()
        )
        again = renewed.exclude(token_version=2).count()
        in_time = sum(at <= self.sampled_at for at in begun.values())
        figures.show("renewals begun in that time", f"{in_time:,}")
        figures.show("renewals per second", f"{in_time / seconds:.1f}")
        figures.show("largest backlog of due accounts", f"{self.backlog:,}")
        figures.show("backlog at the end", f"{self.backlog_now:,}")
        figures.show("from due to renewed, median", f"{median(waits):.0f} s")
        figures.hold("from due to renewed, longest", waits[-1], at_most=LATE_SECONDS, unit="s")
        figures.show("least life left of any token", f"{self.least_life:.0f} s")
        figures.hold("accounts whose token expired", max(self.expired, too_late), at_most=0)
        figures.hold("accounts renewed more than once", again, at_most=0)
        return len(begun)


class _Witness:
    """What X saw since this was made."""

    def __init__(self, stage: Stage) -> None:
        self._simulator, self._before = stage.simulator, stage.simulator.overview()

    def show(self, figures: Figures, *, renewed: int) -> None:
        """Rotations, reuses and calls, as X counted them."""
        now = self._simulator.overview()
        grown = {
            name: now[name] - self._before[name] for name in now if name.startswith("refresh_")
        }
        calls = self._simulator.requests(since=self._before["requests"])
        by_path = Counter(call["path"].rpartition("/")[2] for call in calls)
        figures.show("X: refresh_rotations", f"{grown['refresh_rotations']:,}")
        figures.hold("X: rotations that nobody stored", grown["refresh_rotations"] - renewed, at_most=0)  # fmt: skip
        figures.hold("X: refresh_reuses", grown["refresh_reuses"], at_most=0)
        figures.show("X: token calls", f"{by_path['token']:,}")
        if others := by_path.total() - by_path["token"]:
            figures.show("X: other calls (the cycle reads mentions)", f"{others:,}")


def _next_pk() -> int:
    newest = XAccount.objects.order_by("-pk").first()
    return newest.pk + 1 if newest else 1


def _expiry_of(pk: int, due: datetime) -> datetime:
    """When the token of account `pk` must expire for its renewal to be due at `due`."""
    from_due = renew_at(XAccount(pk=pk, expires_at=due))
    assert from_due is not None
    return due + (due - from_due)


def _wait_for_the_worker() -> None:
    async_task("control.tasks.beat")
    if not wait_until(Success.objects.filter(func="control.tasks.beat").exists, seconds=30):
        raise RuntimeError("The worker does not work.")


def _not_once(accounts: QuerySet[XAccount]) -> int:
    """Accounts with another version than 2, and surplus audit rows of successes."""
    rows = AuditEvent.objects.filter(type="token.refresh", data__outcome="success")
    other_versions = accounts.exclude(token_version=2).count()
    return other_versions + abs(rows.count() - accounts.count())


def _refused(stage: Stage, accounts: list[XAccount]) -> int:
    """To how many of these X does not answer who they are."""
    stage.simulator.settings(latency_ms=0)
    known = [_is_known(account) for account in accounts]
    stage.simulator.settings(latency_ms=LATENCY_MS)
    return known.count(False)


def _is_known(account: XAccount) -> bool:
    token = account.access_token
    try:
        return token is not None and XClient().me(token.open())[0] == account.x_user_id
    except XReadFailed:
        return False


def _show_effort(figures: Figures, now: Effort, before: Effort, *, renewed: int) -> None:
    """Strangers are what else ran on this machine: with many of them, measure again."""
    worker = now.seconds["worker"] - before.seconds["worker"]
    figures.show("worker's CPU time per renewal", f"{worker / max(renewed, 1) * 1000:.1f} ms")
    for name, share in sorted(now.shares_since(before).items(), key=lambda found: -found[1]):
        figures.show(f"CPU of all cores: {name}", f"{share:.0f} %")


def _trouble(stage: Stage) -> str:
    words = stage.log.read_text()
    found = {name: words.count(f'"{name}"') for name in _TROUBLE}
    return ", ".join(f"{count} {name}" for name, count in found.items() if count) or "none"
