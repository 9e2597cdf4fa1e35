"""Replies from templates: templates/publishing/replies/<language>/<intent>.txt, one variant per line."""

import hashlib
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.template import engines

from publishing.proposers import Asked, Proposal
from publishing.ranking import MENTION
from publishing.text import without_links

_NOT_WORDS = re.compile(
    r"(?:[A-Za-z0-9._%+-]*[A-Za-z0-9_])?[@＠][A-Za-z0-9_]+(?:[.-][A-Za-z0-9_-]+)*"
    r"|https?://\S+|#\w+|\$[A-Za-z]\w*"
)
_NAME = re.compile(r"[A-Za-z-]+/\w+")
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
        if (found := _file(name)) is not None:
            text = _template(*found).render(context)
            return name, [line.strip() for line in text.splitlines() if line.strip()]
    return "", []


def _file(name: str) -> tuple[Path, int] | None:
    """The file, and when it changed last: Django's own loader keeps what it has read once."""
    path = FOLDER / f"{name}.txt"
    try:
        return (path, path.stat().st_mtime_ns) if _NAME.fullmatch(name) else None
    except OSError:
        return None


@lru_cache(maxsize=100)
def _template(path: Path, _changed: int) -> Any:
    return engines["django"].from_string(path.read_text(encoding="utf-8"))


def _first_words(text: str) -> str:
    """A link of theirs would be one of ours, at 13 times the price; half an address would be one, too."""
    words = without_links(_NOT_WORDS.sub(" ", text[:_READ])).split()
    return " ".join(words[:6]) or "…"
