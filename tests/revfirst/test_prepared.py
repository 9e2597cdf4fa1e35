"""Querysets whose SQL is built once: the same rows as ever, whatever the values and the thread."""

from datetime import timedelta
from threading import Thread

import pytest
from django.db import connection, transaction
from django.db.models import Q
from django.db.transaction import TransactionManagementError
from django.utils import timezone

from publishing.models import QueueItem
from revfirst.prepared import Prepared
from tests.factories import QueueItemFactory, WorkspaceFactory
from workspaces.models import Workspace

pytestmark = pytest.mark.django_db(transaction=True)


def test_each_call_reads_by_its_own_values():
    by_slug = Prepared(lambda slug: Workspace.objects.filter(slug=slug))
    rows = [WorkspaceFactory() for _ in range(3)]
    assert [by_slug.first(slug=row.slug) for row in rows] == rows
    assert by_slug.first(slug="nobody") is None


def test_what_is_joined_comes_along(django_assert_num_queries):
    with_all = Prepared(
        lambda pk: QueueItem.objects.filter(pk=pk).select_related("source_post", "workspace")
    )
    items = [QueueItemFactory() for _ in range(2)]
    for item in items:
        with django_assert_num_queries(1):
            found = with_all.first(pk=item.pk)
            assert found
            assert (found.source_post, found.workspace) == (item.source_post, item.workspace)


def test_a_value_that_stands_in_two_places_is_sent_to_both():
    now = timezone.now()
    due = Prepared(lambda pk, now: QueueItem.objects.due(now).filter(pk=pk))
    item = QueueItemFactory(state="approved", not_before=now, scheduled_for=now)
    assert due.first(pk=item.pk, now=now - timedelta(seconds=1)) is None
    assert due.first(pk=item.pk, now=now) == item


def test_another_thread_reads_over_its_own_connection():
    by_pk = Prepared(lambda pk: Workspace.objects.filter(pk=pk))
    row, found = WorkspaceFactory(), []
    by_pk.first(pk=row.pk)

    def read() -> None:
        found.append(by_pk.first(pk=row.pk))
        connection.close()

    thread = Thread(target=read)
    thread.start()
    thread.join()
    assert found == [row]


def test_a_value_that_is_computed_with_is_refused_it_would_be_stale():
    late = Prepared(lambda now: QueueItem.objects.filter(moved_at__lt=now - timedelta(seconds=1)))
    with pytest.raises(ValueError, match="compute in the database"):
        late.first(now=timezone.now())


def test_a_value_that_the_queryset_does_not_ask_for_is_refused():
    careless = Prepared(lambda slug, pk: Workspace.objects.filter(slug=slug))
    with pytest.raises(ValueError, match="does not ask for pk"):
        careless.first(slug="a", pk=1)


def test_none_is_no_value():
    by_state = Prepared(lambda state: QueueItem.objects.filter(Q(state=state)))
    with pytest.raises(TypeError, match="NoneType"):
        by_state.first(state=None)


def test_rows_are_locked_inside_a_transaction_or_not_read():
    """As Django has it of a queryset: outside, the lock would be gone before anybody looks."""
    locked = Prepared(lambda pk: Workspace.objects.filter(pk=pk).select_for_update())
    row = WorkspaceFactory()
    with transaction.atomic():
        assert locked.first(pk=row.pk) == row
    with pytest.raises(TransactionManagementError):
        locked.first(pk=row.pk)


def test_a_value_that_is_missing_finds_nothing():
    by_pk = Prepared(lambda pk: Workspace.objects.filter(pk=pk))
    by_pk.first(pk=WorkspaceFactory().pk)
    assert by_pk.first(pk=None) is None
