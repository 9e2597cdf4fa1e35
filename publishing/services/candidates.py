"""From what people say to proposals: each post is looked at once per version, and proposed at most once.

The best go first, and a quarter of each cycle belongs to those that have waited longest: nobody starves.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice, takewhile
from typing import Any

from django.conf import settings
from django.db import DatabaseError, models
from django.db.models import F, Q

from publishing import ranking, voice
from publishing.errors import AlreadyProposed, Blocked, NothingToSay
from publishing.models import Candidate, OptOut, PublishAttempt, QueueItem
from publishing.pleas import asks_to_be_left_alone
from publishing.proposers import Asked, Proposal, Proposer, proposers
from publishing.services.attempts import text_hash
from publishing.services.content import RECENT_TEXTS, objections_to
from publishing.services.opt_outs import honour_plea, is_left_alone
from publishing.services.propose import RELEVANT_FOR, add_item, check_can_be_answered
from revfirst.batch import Patience
from revfirst.errors import Unavailable
from revfirst.storable import storable_text
from workspaces.actors import Actor
from workspaces.models import Workspace
from workspaces.services import check_member
from x_integration.models import SourcePost

logger = logging.getLogger(__name__)

LOOKS_A_CYCLE = 100
FOR_THE_OLDEST = LOOKS_A_CYCLE // 4
HEARD_FOR = timedelta(days=30)
"""Posts up to this age are taken in: a plea counts also where its post is too old to be answered."""
_TAKEN_IN_AT_ONCE = 500
_VARIANTS = 50
_NEW, _QUEUED = Candidate.State.NEW, Candidate.State.QUEUED
_SKIPPED, _EXPIRED = Candidate.State.SKIPPED, Candidate.State.EXPIRED
NOT_SUMMONED, OWN_POST, OPTED_OUT = "not_summoned", "own_post", "opted_out"
NO_TEXT, PROPOSER_FAILED, NO_WORDS, GONE = "no_text", "proposer_failed", "no_words", "gone"
_FINAL = {OWN_POST, OPTED_OUT, NO_WORDS, GONE}  # whatever the rules say


def propose_replies(
    workspace: Workspace, *, actor: Actor, now: datetime, patience: Patience | None = None
) -> list[QueueItem]:
    """Take in what was said since, and propose a reply to the candidates whose turn it is.

    Those for whom `patience` is over have theirs the next time.
    Whoever asks to be left alone is, from this moment. Raises NoRanking or NoBrandVoice when a file of the
    operators cannot be used: then nothing is looked at but pleas.
    """
    try:
        mind = _Mind.of(workspace, now)
    except Unavailable:  # what was approved goes out all the same
        _honour_pleas(_unseen(workspace, now).iterator(_TAKEN_IN_AT_ONCE), actor=actor, now=now)
        raise
    _expire(workspace, now)
    _reopen(mind)
    _take_in(mind, actor=actor)
    turns = takewhile(lambda _: patience is None or patience.left(), _whose_turn_it_is(workspace))
    made = (_look_at(each, mind, actor=actor) for each in turns)
    return [item for item in made if item is not None]


def propose_anyway(candidate: Candidate, *, actor: Actor, now: datetime) -> QueueItem:
    """Propose a reply to a post that was passed over, because a person wants one.

    Raises WorkspaceNotFound for a stranger, Blocked when its author is left alone, X shows it no longer or it is
    too old, AlreadyProposed, or NothingToSay when no proposer has a text that is fresh and allowed.
    """
    post = candidate.source_post
    if actor.user:
        check_member(actor.user, candidate.workspace)
    if is_left_alone(post):
        raise Blocked("author_opted_out")
    check_can_be_answered(post)
    if post.posted_at <= now - RELEVANT_FOR:
        raise Blocked("too_late")
    mind = _Mind.of(candidate.workspace, now)
    if candidate.state == _QUEUED:
        raise AlreadyProposed
    found, _ = _proposal(candidate, mind)
    if found is None:
        raise NothingToSay
    return _queue(candidate, found, actor=actor, now=now)


@dataclass(frozen=True)
class _Mind:
    """What every look of one cycle goes by."""

    workspace: Workspace
    us: str
    our_name: str
    ranking: ranking.Ranking
    proposers: list[Proposer]
    rules: str
    now: datetime

    @classmethod
    def of(cls, workspace: Workspace, now: datetime) -> _Mind:
        account, order, asked = workspace.x_account, ranking.current(), proposers()
        told = [settings.X_ACCESS_TIER, repr(order), repr(voice.current())]
        said = "\n".join([*told, *map(_rules_of, asked)])
        rules = hashlib.sha256(said.encode()).hexdigest()
        return cls(workspace, account.x_user_id, account.username, order, asked, rules, now)

    def columns(self, post: SourcePost) -> dict[str, Any]:
        """Intent and score as the rules have them now."""
        intent = self.ranking.intent_of(post)
        parts = self.ranking.parts(post, intent, now=self.now)
        score = sum(points or 0 for points in parts.values())
        return {"intent": intent, "parts": parts, "score": score, "rules": self.rules}

    def why_not(self, post: SourcePost, columns: dict[str, Any], left_alone: set[str]) -> str:
        """Why the post gets no proposal, or nothing; `left_alone` are ids of authors."""
        intent, parts = columns["intent"], columns["parts"]
        if post.author_id == self.us:
            return OWN_POST
        if post.author_id in left_alone or asks_to_be_left_alone(post.text):
            return OPTED_OUT
        if post.gone_at is not None:
            return GONE
        if not post.text.strip():
            return NO_WORDS
        if parts["eligibility"] is None:
            return NOT_SUMMONED
        return str(intent) if parts["intent"] is None else ""


def _rules_of(proposer: Proposer) -> str:
    """Nothing for one that fails: what it has to say now is told by its next proposal."""
    try:
        return str(proposer.rules())
    except DatabaseError:
        raise
    except Exception:
        logger.exception("proposer_failed", extra={"proposer": proposer.name})
        return ""


# --- taking in ----------------------------------------------------------------------------------------


def _expire(workspace: Workspace, now: datetime) -> None:
    """Nobody is answered after a week."""
    old = workspace.candidates.waiting().filter(source_post__posted_at__lt=now - RELEVANT_FOR)
    old.update(state=_EXPIRED, looked_at=now)


def _reopen(mind: _Mind) -> None:
    """What was passed over is new again where the rules changed, or X lets us answer by now."""
    skipped = mind.workspace.candidates.filter(
        state=_SKIPPED, source_post__posted_at__gte=mind.now - RELEVANT_FOR
    )
    answered = [name for name, points in mind.ranking.eligibility.items() if points is not None]
    summoned_since = Q(reason=NOT_SUMMONED, source_post__eligibility__in=answered)
    other_rules = ~Q(rules=mind.rules) & ~Q(reason__in=_FINAL)
    again = skipped.filter(summoned_since | other_rules)
    again.update(
        state=_NEW, reason="", version=F("version") + 1, rules=mind.rules, found_at=mind.now
    )


def _take_in(mind: _Mind, *, actor: Actor) -> None:
    """Make a candidate of each post; pleas are honoured before anything is proposed."""
    answered = QueueItem.objects.filter(source_post=models.OuterRef("pk"))
    unseen = _unseen(mind.workspace, mind.now).annotate(answered=models.Exists(answered))
    posts_left = unseen.iterator(_TAKEN_IN_AT_ONCE)
    while some := list(islice(posts_left, _TAKEN_IN_AT_ONCE)):
        _honour_pleas(some, actor=actor, now=mind.now)
        left_alone = _left_alone(some)
        found = [_candidate(post, mind, left_alone) for post in some]
        Candidate.objects.bulk_create(found, ignore_conflicts=True)


def _unseen(workspace: Workspace, now: datetime) -> models.QuerySet[SourcePost]:
    """Posts that are no candidates yet, in the order in which they were said."""
    posts = SourcePost.objects.filter(workspace=workspace, candidate=None)
    return posts.filter(posted_at__gte=now - HEARD_FOR).order_by("posted_at", "pk")


def _honour_pleas(posts: Iterable[SourcePost], *, actor: Actor, now: datetime) -> None:
    for post in posts:
        honour_plea(post, actor=actor, now=now)


def _left_alone(posts: Sequence[SourcePost]) -> set[str]:
    """Which of the posts' authors want no answer; the posts are of one workspace."""
    authors = {post.author_id for post in posts}
    known = OptOut.objects.filter(workspace=posts[0].workspace_id, author_id__in=authors)
    return set(known.values_list("author_id", flat=True))


def _candidate(post: SourcePost, mind: _Mind, left_alone: set[str]) -> Candidate:
    columns = mind.columns(post)
    reason = mind.why_not(post, columns, left_alone)
    is_old = post.posted_at < mind.now - RELEVANT_FOR
    unanswered = _EXPIRED if is_old else _SKIPPED if reason else _NEW
    state = _QUEUED if post.answered else unanswered  # type: ignore[attr-defined]
    return Candidate(
        source_post=post,
        workspace=mind.workspace,
        state=state,
        reason=reason if state == _SKIPPED else "",
        found_at=mind.now,
        looked_at=None if state == _NEW else mind.now,
        **columns,
    )


def _whose_turn_it_is(workspace: Workspace) -> Iterator[Candidate]:
    """Those that have waited longest, then the best; each once, LOOKS_A_CYCLE at most."""
    waiting = workspace.candidates.waiting().select_related("source_post", "workspace")
    oldest = list(waiting.order_by("found_at", "pk")[:FOR_THE_OLDEST])
    best = waiting.exclude(pk__in=[each.pk for each in oldest])
    yield from oldest
    yield from best.order_by("-score", "source_post__posted_at", "pk")[
        : LOOKS_A_CYCLE - len(oldest)
    ]


# --- looking ------------------------------------------------------------------------------------------


def _look_at(candidate: Candidate, mind: _Mind, *, actor: Actor) -> QueueItem | None:
    """The item that came of it. None when it was passed over, or somebody else looked first."""
    post = candidate.source_post
    if QueueItem.objects.filter(source_post=post).exists():  # made while the post was taken in
        _mine(candidate).update(state=_QUEUED, looked_at=mind.now)
        return None
    columns = mind.columns(post)
    for name, value in columns.items():
        setattr(candidate, name, value)
    reason = mind.why_not(post, columns, _left_alone([post]))
    found = None
    if not reason:
        found, reason = _proposal(candidate, mind)
    if found is None:
        _mine(candidate).update(state=_SKIPPED, reason=reason[:20], looked_at=mind.now, **columns)
        return None
    try:
        return _queue(candidate, found, actor=actor, now=mind.now)
    except AlreadyProposed:  # somebody was faster
        return None


def _mine(candidate: Candidate) -> models.QuerySet[Candidate]:
    """The row, as long as nobody has looked at this version."""
    return Candidate.objects.filter(pk=candidate.pk, state=_NEW, version=candidate.version)


def _queue(
    candidate: Candidate, found: tuple[str, Proposal], *, actor: Actor, now: datetime
) -> QueueItem:
    """The item, with its candidate. Raises AlreadyProposed when somebody else was faster."""
    origin, proposal = found
    return add_item(
        candidate.workspace,
        text=proposal.text,
        source_post=candidate.source_post,
        origin=origin,
        template=proposal.template,
        candidate=candidate,
        actor=actor,
        now=now,
    )


def _proposal(candidate: Candidate, mind: _Mind) -> tuple[tuple[str, Proposal] | None, str]:
    """The first text that is fresh and that no guard objects to, or why there is none."""
    asked = Asked(candidate.source_post, candidate.intent, mind.our_name)
    fresh, reason = _Fresh.for_author_of(candidate.source_post), NO_TEXT
    for proposer in mind.proposers:
        try:
            variants = list(islice(proposer.propose(asked), _VARIANTS))
            texts = [
                replace(each, template=storable_text(each.template))
                for each in fresh.first(variants)
            ]
        except DatabaseError:
            raise
        except Exception:  # whatever a proposer does wrong costs this proposal only
            logger.exception("proposer_failed", extra={"proposer": proposer.name})
            reason = PROPOSER_FAILED
            continue
        for proposal in texts:
            if not any(
                objections_to(
                    proposal.text, workspace=mind.workspace, source_post=candidate.source_post
                )
            ):
                return (proposer.name, proposal), ""
    return None, reason


@dataclass(frozen=True)
class _Fresh:
    """What was said lately, and to this author ever: what is forgotten since is known by its hash."""

    said: frozenset[str]
    sent: frozenset[str]  # hashes of texts
    used: tuple[str, ...]  # templates, the latest first

    @classmethod
    def for_author_of(cls, post: SourcePost) -> _Fresh:
        items = QueueItem.objects.filter(workspace=post.workspace_id).order_by("-created_at", "-pk")
        lately = list(items.values_list("text", "template")[:RECENT_TEXTS])
        to_author = items.filter(source_post__author_id=post.author_id).values_list(
            "text", flat=True
        )
        said = frozenset(map(_plain, [*(text for text, _ in lately), *to_author]))
        sent = PublishAttempt.objects.open().filter(
            workspace=post.workspace_id, author_id=post.author_id
        )
        hashes = frozenset(sent.values_list("text_hash", flat=True))
        return cls(said, hashes, tuple(template for _, template in lately))

    def first(self, variants: list[Proposal]) -> list[Proposal]:
        """Those that were not said, the template that was used longest ago first."""
        return sorted(filter(self._is_unsaid, variants), key=self._how_lately)

    def _is_unsaid(self, proposal: Proposal) -> bool:
        if _plain(proposal.text) in self.said:
            return False
        return not self.sent or text_hash(proposal.text, reply=True) not in self.sent

    def _how_lately(self, proposal: Proposal) -> int:
        used = proposal.template in self.used
        return -self.used.index(proposal.template) if used else -len(self.used) - 1


def _plain(text: str) -> str:
    return " ".join(voice.folded(text).split())
