"""Replies suggested from templates: templates/publishing/replies/<language>/<intent>.txt.

One variant per line. No text is written by a language model: X asks for its consent before
AI-written replies (docs/X-API.md, Rules of 2026).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from django.template import TemplateDoesNotExist
from django.template.loader import render_to_string

from publishing.pleas import asks_to_be_left_alone
from x_integration.models import SourcePost

_QUESTION = re.compile(r"[?？؟]")
_NOT_WORDS = re.compile(r"[@＠]\w+|https?://\S+|#\w+|\$[A-Za-z]\w*")
FALLBACK_LANGUAGE = "en"


@dataclass(frozen=True)
class Proposal:
    """A text that might be said, and where it came from."""

    text: str
    template: str


def propose_from_template(post: SourcePost) -> Iterator[Proposal]:
    """Every variant for the post's language and intent; none to somebody who wants no answer."""
    if asks_to_be_left_alone(post.text):
        return
    intent = "question" if _QUESTION.search(post.text) else "thanks"
    name, lines = _lines(post, intent)
    for number, line in enumerate(lines, start=1):
        yield Proposal(line, f"{name}:{number}")


def _lines(post: SourcePost, intent: str) -> tuple[str, list[str]]:
    context = {"author": post.author_username or "you", "words": _first_words(post.text)}
    for language in (post.lang, FALLBACK_LANGUAGE):
        name = f"{language}/{intent}"
        try:
            text = render_to_string(f"publishing/replies/{name}.txt", context)
        except TemplateDoesNotExist:
            continue
        return name, [line.strip() for line in text.splitlines() if line.strip()]
    return "", []


def _first_words(text: str) -> str:
    return " ".join(_NOT_WORDS.sub("", text).split()[:6]) or "…"
