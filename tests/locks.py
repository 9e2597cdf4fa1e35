"""Rows that somebody else holds: a connection of its own with an open transaction."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer

import psycopg
from django.db import connection
from django.db.models import Model

from revfirst.wait import wait_until


@contextmanager
def held(row: Model, *, seconds: float | None = None) -> Iterator[None]:
    """Hold the row's lock until the block ends, or for so many seconds."""
    known = connection.settings_dict
    with psycopg.connect(
        host=known["HOST"],
        port=known["PORT"],
        user=known["USER"],
        password=known["PASSWORD"],
        dbname=known["NAME"],
    ) as other:
        table, column = row._meta.db_table, row._meta.pk.column
        other.execute(f"SELECT FROM {table} WHERE {column} = %s FOR UPDATE", [row.pk])
        timer = Timer(seconds or 0, other.rollback)
        if seconds is not None:
            timer.start()
        try:
            yield
        finally:
            timer.cancel()
            if seconds is not None:
                timer.join()
            other.rollback()


def waiting() -> int:
    """How many connections to this database wait for a lock."""
    asked = """SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'"""
    with connection.cursor() as cursor:
        cursor.execute(asked)
        return int(cursor.fetchone()[0])


def wait_for_waiting(number: int) -> None:
    """Until so many wait for a lock."""
    assert wait_until(lambda: waiting() >= number, seconds=10, every=0.02)


def is_locked(row: Model) -> bool:
    """Whether somebody holds the row."""
    table, column = row._meta.db_table, row._meta.pk.column
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT FROM {table} WHERE {column} = %s FOR UPDATE SKIP LOCKED",
            [row.pk],
        )
        return cursor.fetchone() is None
