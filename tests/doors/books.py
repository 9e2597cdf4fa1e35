"""The state of the world before the sweep, to which it comes back after each call that changed it."""

from __future__ import annotations

from datetime import timedelta

from django.core.cache import cache
from django.db import connection
from django.utils import timezone

from revfirst.db import one_row
from tests.tables import our_tables
from tests.worlds import World
from x_integration.client import TokenPair
from x_integration.models import XAccount
from x_integration.services.pairs import token_columns

_KEPT_IN = "doors"
TOLD_BY = (
    *("publishing_queueitem", "publishing_approval", "publishing_publishattempt"),
    *("publishing_optout", "publishing_directrequest", "publishing_circuitbreaker"),
    *("publishing_postingplan", "publishing_publishwindow"),
    *("workspaces_workspace", "workspaces_systemswitch", "workspaces_systemhold"),
    *("workspaces_membership", "workspaces_user", "workspaces_user_groups"),
    *("workspaces_user_user_permissions", "auth_group", "auth_group_permissions"),
    *("x_integration_xaccount", "x_integration_sourcepost", "x_integration_spend"),
    "x_integration_pricedcall",
    *("django_q_ormq", "django_q_schedule", "django_session"),
)
"""Whatever may decide what is published, by whom and when."""
APART = (
    *("workspaces_auditevent", "workspaces_auditchain", "workspaces_counter"),  # beside a change
    *("workspaces_alarm", "control_heartbeat", "django_q_task", "django_admin_log"),  # tell people
    "workspaces_apikey",  # notes when each was last used; those that live are counted
    *("x_integration_oauthstate", "x_integration_ratewindow"),  # written whenever X is asked
    *("x_integration_feed", "x_integration_billedread"),  # and so are these
    *("publishing_candidate", "publishing_edit"),  # beside an item; they decide nothing about it
    "publishing_readingreservation",  # only ever holds back
)


class Books:
    """A copy of every table; `restore` is what makes thousands of calls start from the same world."""

    def __init__(self, x: World) -> None:
        self.x = x
        rows = "".join(
            f"CREATE UNLOGGED TABLE {_kept(table)} AS TABLE {table};" for table in our_tables()
        )
        self._run(f"DROP SCHEMA IF EXISTS {_KEPT_IN} CASCADE; CREATE SCHEMA {_KEPT_IN}; {rows}")
        self._tokens = _tokens()
        self.seen, self.told = _clock(), _fingerprint()

    def close(self) -> None:
        """Forget the copy."""
        self._run(f"DROP SCHEMA {_KEPT_IN} CASCADE")

    def nothing_was_written(self) -> bool:
        """Whether no transaction wrote anything since the last look."""
        now = _clock()
        same, self.seen = now == self.seen, now
        return same

    def nothing_that_counts(self) -> bool:
        """Whether everything that may decide what is published is what it was."""
        return _fingerprint() == self.told

    def restore(self) -> None:
        """Every row as it was; tokens that X no longer knows are granted anew."""
        lost = _tokens() != self._tokens
        rows = "".join(
            f"DELETE FROM {table}; INSERT INTO {table} SELECT * FROM {_kept(table)};"  # noqa: S608 - our own names
            for table in our_tables()
        )
        asleep = "SET session_replication_role = replica;"
        self._run(f"{asleep} {rows} SET session_replication_role = origin")
        cache.clear()
        if lost:
            self._reconnect()
        self.seen = _clock()

    def _reconnect(self) -> None:
        for account in XAccount.objects.all():
            pair = self.x.simulator.connect(account.username)
            life = timedelta(seconds=pair.expires_in)
            kept = TokenPair(pair.access_token, pair.refresh_token, life, pair.scope, "bearer")
            columns = token_columns(kept, now=timezone.now())
            XAccount.objects.filter(pk=account.pk).update(**columns)
        table = XAccount._meta.db_table
        copy = _kept(table)
        self._run(f"DELETE FROM {copy}; INSERT INTO {copy} SELECT * FROM {table}")  # noqa: S608 - as above
        self._tokens, self.told = _tokens(), _fingerprint()

    def _run(self, sql: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(sql)


def _kept(table: str) -> str:
    return f"{_KEPT_IN}.{table}"


def _tokens() -> list[tuple[object, ...]]:
    rows = XAccount.objects.order_by("pk")
    return list(rows.values_list("access_token_hash", "refresh_token_hash", "revoked_at"))


def _clock() -> int:
    """Grows with every transaction that writes."""
    return int(one_row("SELECT txid_snapshot_xmax(txid_current_snapshot())", {})[0])


def _fingerprint() -> tuple[object, ...]:
    parts = ", ".join(
        f"(SELECT md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM {table} t)"  # noqa: S608 - as above
        for table in TOLD_BY
    )
    keys = "(SELECT count(*) FROM workspaces_apikey WHERE revoked_at IS NULL)"
    return tuple(one_row(f"SELECT {parts}, {keys}", {}))
