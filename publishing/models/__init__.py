"""What we might publish, who said yes to exactly what, and each try to publish it."""

from publishing.models.attempts import (
    CircuitBreaker,
    DirectRequest,
    PublishAttempt,
    PublishAttemptQuerySet,
)
from publishing.models.budgets import ReadingReservation
from publishing.models.candidates import Candidate, CandidateQuerySet, OptOut
from publishing.models.items import Approval, Edit, Kind, QueueItem, QueueItemQuerySet
from publishing.models.plans import OwnPost, PostingPlan, PublishWindow

__all__ = [
    "Approval",
    "Candidate",
    "CandidateQuerySet",
    "CircuitBreaker",
    "DirectRequest",
    "Edit",
    "Kind",
    "OptOut",
    "OwnPost",
    "PostingPlan",
    "PublishAttempt",
    "PublishAttemptQuerySet",
    "PublishWindow",
    "QueueItem",
    "QueueItemQuerySet",
    "ReadingReservation",
]
