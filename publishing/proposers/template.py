"""Replies from templates: templates/publishing/replies/<language>/<intent>.txt, one variant per line."""

import hashlib
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from django.conf import settings
from django.template import TemplateDoesNotExist
from django.template.loader import render_to_string

from publishing.proposers import Asked, Proposal
from publishing.ranking import MENTION

_NOT_WORDS = re.compile(r"[@＠]\w+|https?://\S+|#\w+|\$[A-Za-z]\w*")
_READ = 500  # letters of their post, for its first words
FALLBACK_LANGUAGE = "en"
FOLDER = Path(settings.BASE_DIR) / "templates/publishing/replies"


class TemplateProposer:
    """Every variant for the post's language and intent, in the order of the file."""

    name = "template"

    def propose(self, asked: Asked) -> Iterator[Proposal]:
        """The variants, with `author`, `words` (their first six) and `us` filled in."""
        name, lines = _lines(asked)
        for number, line in enumerate(lines, start=1):
            yield Proposal(line, f"{name}:{number}")

    def rules(self) -> str:
        """The hash of all templates: the same on every host that has the same files."""
        files = sorted(FOLDER.glob("*/*.txt"))
        return _hash(tuple((path, path.stat().st_mtime_ns) for path in files))


@lru_cache(maxsize=4)
def _hash(files: tuple[tuple[Path, int], ...]) -> str:
    parts = hashlib.sha256()
    for path, _ in files:
        parts.update(f"{path.parent.name}/{path.name}\0".encode() + path.read_bytes())
    return parts.hexdigest()


def _lines(asked: Asked) -> tuple[str, list[str]]:
    post = asked.post
    context = {
        "author": post.author_username or "you",
        "words": _first_words(post.text),
        "us": asked.us,
    }
    languages, intents = (post.lang, FALLBACK_LANGUAGE), (asked.intent, MENTION)
    for name in (f"{language}/{intent}" for language in languages for intent in intents):
        try:
            text = render_to_string(f"publishing/replies/{name}.txt", context)
        except TemplateDoesNotExist:
            continue
        return name, [line.strip() for line in text.splitlines() if line.strip()]
    return "", []


def _first_words(text: str) -> str:
    return " ".join(_NOT_WORDS.sub("", text[:_READ]).split()[:6]) or "…"
