"""May this be said here? The guards, with what the database knows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from publishing import voice
from publishing.errors import BadContent, NoBrandVoice
from publishing.guards import GUARDS, OF_THE_TEXT, SIMILARITY, Case, Objection, objections
from publishing.states import State
from publishing.text import names_in
from workspaces.models import Workspace
from x_integration.models import SourcePost

if TYPE_CHECKING:
    from publishing.models import QueueItem

RECENT_TEXTS = 50
_MAY_STAND_ON_X = {State.PUBLISHING, State.UNCONFIRMED, State.PUBLISHED, State.HANDED_OFF}
_BY_ITSELF = tuple(guard for guard in GUARDS if guard != SIMILARITY)


def check_content(
    text: str, *, workspace: Workspace, source_post: SourcePost | None, besides: int = 0
) -> None:
    """Raise BadContent with the first guard's sentence, or NoBrandVoice when the guards cannot be asked.

    A text is not compared with that of the item `besides`, its own.
    """
    _refuse(objections_to(text, workspace=workspace, source_post=source_post, besides=besides))


def check_words(text: str) -> None:
    """As check_content, as far as the words alone tell: before it is known to whom they are said."""
    _refuse(objections(Case(text, voice.current().rules("")), guards=OF_THE_TEXT))


def check_by_itself(text: str, *, source_post: SourcePost | None) -> None:
    """As check_content, and never compared: for what was let in before, or may come a second time."""
    if (found := objection_to(text, source_post=source_post)) is not None:
        raise BadContent(found.sentence)


def objection_to(
    text: str, *, source_post: SourcePost | None, sent: Sequence[str] = ()
) -> Objection | None:
    """What the guards have against the text, by the brand voice as it is now, beside texts that were sent.

    Asked in every claim: who is mentioned, and who asked for it, is read only where there is an @. Raises
    NoBrandVoice.
    """
    mentions_somebody = "@" in text or "＠" in text
    asked_for = tuple(_asked_for(source_post)) if mentions_somebody else ()
    rules = _rules(source_post)
    if (found := _first_objection(text, rules, asked_for)) is not None or not sent:
        return found
    case = Case(text, rules, similarity=voice.current().similarity, latest=sent)
    return next(objections(case, guards=[SIMILARITY]), None)


def is_compared(text: str) -> bool:
    """Whether the text is compared with the latest ones; not where the file cannot be used, which the guards say."""
    try:
        rule = voice.current().similarity
    except NoBrandVoice:
        return False
    return rule is not None and len(text) >= rule.letters_from


@lru_cache(maxsize=500)
def _first_objection(text: str, rules: voice.Rules, asked_for: tuple[str, ...]) -> Objection | None:
    """Everything that the answer hangs on is an argument: a file that changed is asked anew."""
    return next(objections(Case(text, rules, asked_for), guards=_BY_ITSELF), None)


def objections_to(
    text: str, *, workspace: Workspace, source_post: SourcePost | None, besides: int = 0
) -> Iterator[Objection]:
    """Every guard's objection in order, asked one by one. Raises NoBrandVoice."""
    latest = [text for text, _ in _latest(workspace, besides)] if is_compared(text) else []
    rules, asked = _rules(source_post), _asked_for(source_post)
    return objections(Case(text, rules, asked, voice.current().similarity, latest))


def _refuse(found: Iterator[Objection]) -> None:
    if (first := next(found, None)) is not None:
        raise BadContent(first.sentence)


def _rules(post: SourcePost | None) -> voice.Rules:
    return voice.current().rules(post.lang if post else "")


def _asked_for(post: SourcePost | None) -> list[str]:
    """Whom a reply may mention: who wrote the post, and whom they named."""
    return [post.author_username, *names_in(post.text)] if post else []


def sent_lately(item: QueueItem) -> list[str]:
    """The texts with which a claim of the item compares its own (`Facts.sent_texts`)."""
    if not is_compared(item.text):
        return []
    latest = _latest(item.workspace, item.pk)
    return [text for text, state in latest if state in _MAY_STAND_ON_X]


def _latest(workspace: Workspace, besides: int) -> Iterable[tuple[str, str]]:
    """Text and state. What was rejected may be said better, and again."""
    items = workspace.items.exclude(pk=besides).exclude(state=State.REJECTED)
    return items.order_by("-number").values_list("text", "state")[:RECENT_TEXTS]
