"""May this be said here? The guards, with what the database knows."""

from collections.abc import Iterator

from publishing import voice
from publishing.errors import BadContent
from publishing.guards import GUARDS, OF_THE_TEXT, SIMILARITY, Case, Guard, Objection, objections
from publishing.states import State
from publishing.text import names_in
from workspaces.models import Workspace
from x_integration.models import SourcePost

RECENT_TEXTS = 50


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


def check_unrepeatable(text: str, *, source_post: SourcePost | None) -> None:
    """As check_content, and never compared: who sends the same again gets the same answer."""
    rules, asked = _rules(source_post), _asked_for(source_post)
    guards: list[Guard] = [guard for guard in GUARDS if guard != SIMILARITY]
    _refuse(objections(Case(text, rules, asked), guards=guards))


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
