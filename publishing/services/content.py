"""May this be said here? The guards, with what the database knows."""

from collections.abc import Iterator
from functools import lru_cache

from publishing import voice
from publishing.errors import BadContent
from publishing.guards import GUARDS, OF_THE_TEXT, SIMILARITY, Case, Objection, objections
from publishing.states import State
from publishing.text import names_in
from workspaces.models import Workspace
from x_integration.models import SourcePost

RECENT_TEXTS = 50
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


def objection_to(text: str, *, source_post: SourcePost | None) -> Objection | None:
    """What the guards have against the text by itself, by the brand voice as it is now. Raises NoBrandVoice.

    Asked in every claim: who is mentioned, and who asked for it, is read only where there is an @.
    """
    mentions_somebody = "@" in text or "＠" in text
    asked_for = tuple(_asked_for(source_post)) if mentions_somebody else ()
    return _first_objection(text, _rules(source_post), asked_for)


@lru_cache(maxsize=500)
def _first_objection(text: str, rules: voice.Rules, asked_for: tuple[str, ...]) -> Objection | None:
    """Everything that the answer hangs on is an argument: a file that changed is asked anew."""
    return next(objections(Case(text, rules, asked_for), guards=_BY_ITSELF), None)


def objections_to(
    text: str, *, workspace: Workspace, source_post: SourcePost | None, besides: int = 0
) -> Iterator[Objection]:
    """Every guard's objection in order, asked one by one. Raises NoBrandVoice."""
    similarity = voice.current().similarity
    is_compared = similarity is not None and len(text) >= similarity.letters_from
    latest = _latest(workspace, besides) if is_compared else []
    rules, asked = _rules(source_post), _asked_for(source_post)
    return objections(Case(text, rules, asked, similarity, latest))


def _refuse(found: Iterator[Objection]) -> None:
    if (first := next(found, None)) is not None:
        raise BadContent(first.sentence)


def _rules(post: SourcePost | None) -> voice.Rules:
    return voice.current().rules(post.lang if post else "")


def _asked_for(post: SourcePost | None) -> list[str]:
    """Whom a reply may mention: who wrote the post, and whom they named."""
    return [post.author_username, *names_in(post.text)] if post else []


def _latest(workspace: Workspace, besides: int) -> list[str]:
    """What was rejected may be said better, and again."""
    items = workspace.items.exclude(pk=besides).exclude(state=State.REJECTED)
    return list(items.order_by("-created_at").values_list("text", flat=True)[:RECENT_TEXTS])
