"""The frozen content of an approval, and whether it still stands."""

import hashlib
import json
from datetime import datetime
from typing import Any

from publishing.errors import WrongState
from publishing.models import Approval, QueueItem
from revfirst.prepared import Prepared
from workspaces.models import User
from workspaces.policy import policy_of
from x_integration.models import XAccount


def snapshot_of(item: QueueItem, account: XAccount) -> dict[str, Any]:
    """Exactly what would be sent, and from which account."""
    return {
        "account": account.x_user_id,
        "kind": item.kind,
        "text": item.text,
        "target": item.source_post.x_post_id if item.source_post else None,
        "scheduled_for": item.scheduled_for.isoformat() if item.scheduled_for else None,
    }


def content_hash(snapshot: dict[str, Any]) -> str:
    """SHA-256, in hex, of the snapshot as canonical JSON."""
    canonical = json.dumps(snapshot, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def freeze(item: QueueItem, *, by: User, door: str, now: datetime) -> Approval:
    """Write down what was approved. Raises WrongState when no account is connected."""
    account = XAccount.objects.live().filter(workspace=item.workspace).first()
    if account is None:
        raise WrongState("Connect the account first: an approval names the account that will post.")
    snapshot = snapshot_of(item, account)
    start = max(now, item.scheduled_for or now)
    return Approval.objects.create(
        item=item,
        version=item.version,
        snapshot=snapshot,
        content_hash=content_hash(snapshot),
        approved_by=by,
        door=door,
        approved_at=now,
        expires_at=start + policy_of(item.workspace).approval_ttl,
    )


_LIVE = Prepared(
    lambda item_id: Approval.objects.filter(item_id=item_id, voided_at=None, used_at=None)
)


def live_approval(item: QueueItem) -> Approval | None:
    """The approval that is neither void nor used up; expired ones included."""
    return _LIVE.first(item_id=item.pk) if item.pk else None


def void(item: QueueItem, *, now: datetime) -> None:
    """The content changed or the decision was taken back: the yes no longer counts."""
    item.approvals.filter(voided_at=None, used_at=None).update(voided_at=now)


def covers(approval: Approval, item: QueueItem, account: XAccount) -> bool:
    """Whether the yes was to exactly what would be sent now, and was not altered since."""
    return (
        approval.version == item.version
        and approval.content_hash == content_hash(approval.snapshot)
        and approval.snapshot == snapshot_of(item, account)
    )
