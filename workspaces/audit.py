"""The audit log: append-only rows, each chained to the one before by SHA-256.

A row is written in the transaction of the change that it tells of, after every other row lock;
the counters that belong to it come last, sorted, so that no two transactions wait for each other.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db import transaction
from django.db.models import Func, QuerySet, TextField
from django.db.models.functions import Cast

from revfirst.db import one_row
from workspaces import counters
from workspaces.actors import Actor
from workspaces.counters import Count
from workspaces.errors import NotAHead
from workspaces.models import AuditChain, AuditEvent, Counter, Workspace
from workspaces.snapshots import one_snapshot

GENESIS = "0" * 64
CHUNK = 2000
Progress = Callable[[int, int], None]
_KEPT_HEAD = re.compile(r"(?:(?P<chain>[0-9a-z-]+):)?(?P<seq>[0-9]{1,18}):(?P<hash>[0-9a-f]{64})")


# Written in SQL because every change is audited; the next id is drawn with the chain's head, since
# the hash covers it.
_LOCK_HEAD = """SELECT head_seq, head_hash, nextval('workspaces_auditevent_id_seq')
    FROM workspaces_auditchain WHERE name = %s FOR UPDATE"""
_APPEND = """INSERT INTO workspaces_auditevent
    (id, chain, seq, at, type, subject, actor, door, data, prev_hash, hash)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s::jsonb, %s, %s)"""
_MOVE_HEAD = "UPDATE workspaces_auditchain SET head_seq = %s, head_hash = %s WHERE name = %s"


def record(
    type_: str,
    *,
    subject: str,
    actor: Actor,
    now: datetime,
    workspace: Workspace | None = None,
    data: dict[str, Any] | None = None,
    counts: Iterable[Count] = (),
) -> AuditEvent:
    """Append one event to the workspace's chain (or the system's), and add `counts`.

    Call it inside the transaction of the change, once, after the other row locks. `subject` reads
    `item:42` or `account`; `data` holds states, codes and hashes: str, int, bool, None, lists, dicts.
    """
    chain = str(workspace.pk) if workspace else AuditChain.SYSTEM
    head_seq, head_hash, next_id = _locked_head(chain)
    event = AuditEvent(
        id=next_id,
        chain=chain,
        seq=head_seq + 1,
        at=now,
        type=type_,
        subject=subject,
        actor=str(actor),
        door=actor.door,
        data=data or {},
        prev_hash=head_hash,
    )
    event.hash = event_hash(event)
    with transaction.get_connection().cursor() as cursor:
        cursor.execute(_APPEND, _columns(event))
        cursor.execute(_MOVE_HEAD, [event.seq, event.hash, chain])
    counters.add(chain, counts)
    return event


def _locked_head(chain: str) -> tuple[Any, ...]:
    """Sequence number and hash of the chain's head, which stays locked, and the next row's id."""
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("An audit row belongs to the transaction of the change it tells of.")
    try:
        return one_row(_LOCK_HEAD, [chain])
    except LookupError:
        new = [AuditChain(name=chain, head_hash=GENESIS)]
        AuditChain.objects.bulk_create(new, ignore_conflicts=True)
        return one_row(_LOCK_HEAD, [chain])


def _columns(event: AuditEvent) -> list[Any]:
    """The row's values, in the order of `_APPEND`."""
    data = json.dumps(event.data, ensure_ascii=False)
    before = [event.id, event.chain, event.seq, event.at, event.type, event.subject, event.actor]
    return [*before, event.door, data, event.prev_hash, event.hash]


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")


class _InstantAsText(Func):
    """`at` as `_instant` writes it, by PostgreSQL: it holds instants that Python cannot.

    Its years before Christ count up again, so they say that they are.
    """

    template = (
        "to_char(%(expressions)s AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"+00:00\"')"
        " || CASE WHEN %(expressions)s < '0001-01-01T00:00:00Z' THEN ' BC' ELSE '' END"
    )
    output_field = TextField()


def event_hash(event: AuditEvent) -> str:
    """SHA-256, in hex, of every other column of the row as canonical JSON."""
    return _hash(event, at=_instant(event.at), data=event.data)


def _hash(event: AuditEvent, *, at: str, data: Any) -> str:
    columns = [
        event.prev_hash,
        event.id,
        event.chain,
        event.seq,
        at,
        event.type,
        event.subject,
        event.actor,
        event.door,
        data,
    ]
    canonical = json.dumps(columns, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


@dataclass(frozen=True)
class Break:
    """A place where a chain does not hold: what is wrong with which row."""

    chain: str
    seq: int
    problem: str

    def __str__(self) -> str:
        return f"chain {self.chain}, row {self.seq}: {self.problem}"


def verify(progress: Progress | None = None) -> Iterator[Break | AuditChain]:
    """Read every chain once, in order; yields each break, and each chain that was read.

    After a changed row the check goes on from the row's stored hash, so that one change is one
    break. Reads in chunks on one snapshot: memory does not grow with history. `progress` is told
    now and then how many rows were read, and of how many.
    """
    with one_snapshot():
        heads = {head.name: head for head in AuditChain.objects.all()}
        read, of = 0, sum(head.head_seq for head in heads.values())

        def tick() -> None:
            nonlocal read
            read += 1
            if progress and read % CHUNK == 0:
                progress(read, of)

        stray = AuditEvent.objects.exclude(chain__in=heads).values_list("chain", "seq")
        headless = set()
        for chain, seq in stray.order_by("chain", "seq").iterator():
            headless.add(chain)
            yield Break(chain, seq, "belongs to no chain")
        for chain in sorted(_chains_that_must_be() - heads.keys() - headless):
            yield Break(chain, 1, "is missing, and the head of its chain too")
        for head in heads.values():
            yield from _verify_chain(head, tick)
            yield head
        if progress:
            progress(read, of)


def _chains_that_must_be() -> set[str]:
    """Chains that other rows prove: making a workspace is audited, and so is whatever is counted."""
    counted = Counter.objects.values_list("chain", flat=True).distinct()
    return {str(pk) for pk in Workspace.objects.values_list("pk", flat=True)} | set(counted)


def _as_text(events: QuerySet[AuditEvent]) -> Any:
    """The rows with `at_text` and `data_text`: what Python might not be able to hold."""
    as_text = {"at_text": _InstantAsText("at"), "data_text": Cast("data", TextField())}
    return events.defer("at", "data").annotate(**as_text)


def _verify_chain(head: AuditChain, tick: Callable[[], None]) -> Iterator[Break]:
    seq, last_hash = 0, GENESIS
    rows = _as_text(AuditEvent.objects.filter(chain=head.name)).order_by("seq", "id")
    for event in rows.iterator(CHUNK):
        tick()
        for missing in range(seq + 1, min(event.seq, seq + 11)):
            yield Break(head.name, missing, "is missing")
        if event.seq <= seq:
            yield Break(head.name, event.seq, "stands there twice")
        elif event.prev_hash != last_hash and event.seq == seq + 1:
            yield Break(head.name, event.seq, "does not follow the row before")
        if not _is_as_written(event):
            yield Break(head.name, event.seq, "was changed")
        seq, last_hash = event.seq, event.hash
    if (seq, last_hash) != (head.head_seq, head.head_hash):
        yield Break(head.name, head.head_seq, f"is the head, but the rows end at {seq}")


def _is_as_written(row: Any) -> bool:
    """Whether the row has its own hash; what cannot even be read was not written by us."""
    try:
        return _hash(row, at=row.at_text, data=json.loads(row.data_text)) == str(row.hash)
    except (ValueError, RecursionError):
        return False


def kept_head(text: str) -> dict[str, Any]:
    """`SEQ:HASH` or `CHAIN:SEQ:HASH`, as it was printed, by column. Raises NotAHead."""
    found = _KEPT_HEAD.fullmatch(text)
    if found is None:
        raise NotAHead
    return {name: value for name, value in found.groupdict().items() if value is not None}


def chains_holding(head: Mapping[str, Any]) -> list[str]:
    """The chains that still have the row of a head that was kept elsewhere."""
    rows = AuditEvent.objects.filter(**head)
    return sorted(rows.values_list("chain", flat=True))


def export(chain: str | None = None, progress: Progress | None = None) -> Iterator[str]:
    """The log, or one chain, as lines of JSON: an object per row, then the head of each chain.

    Every column that the hash covers is there as the hash has it (docs/AUDIT-EXPORT.md), and nothing
    is judged: a row that somebody changed is told as it stands. One snapshot, read in chunks.
    """
    narrowed: dict[str, Any] = {} if chain is None else {"chain": chain}
    with one_snapshot():
        heads = AuditChain.objects.order_by("name")
        heads = heads if chain is None else heads.filter(name=chain)
        of = sum(head.head_seq for head in heads)
        read = 0
        rows = _as_text(AuditEvent.objects.filter(**narrowed)).order_by("chain", "seq", "id")
        for read, row in enumerate(rows.iterator(CHUNK), start=1):
            yield _exported(row)
            if progress and read % CHUNK == 0:
                progress(read, of)
        if progress:
            progress(read, of)
        for head in heads:
            last = {"chain": head.name, "head_seq": head.head_seq, "head_hash": head.head_hash}
            yield json.dumps(last, ensure_ascii=False)


def _exported(row: Any) -> str:
    columns = {
        "prev_hash": row.prev_hash,
        "id": row.id,
        "chain": row.chain,
        "seq": row.seq,
        "at": row.at_text,
        "type": row.type,
        "subject": row.subject,
        "actor": row.actor,
        "door": row.door,
        "hash": row.hash,
    }
    # The data as the database has them: JSON already, and perhaps too much for Python to read.
    told = json.dumps(columns, ensure_ascii=False)
    return f'{told[:-1]}, "data": {row.data_text}}}'
