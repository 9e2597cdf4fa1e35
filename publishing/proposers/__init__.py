"""Who suggests replies: each proposer is a class with a name, told what is asked and answering texts.

REPLY_PROPOSERS names them in the order in which they are asked. One that fails costs its own proposal
only. None of ours writes by a language model: X asks for its consent before AI-written replies
(docs/X-API.md, Rules of 2026).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from django.conf import settings
from django.utils.module_loading import import_string

from x_integration.models import SourcePost


@dataclass(frozen=True)
class Asked:
    """What a proposer is told: the post, what it wants of us, and under which name we speak."""

    post: SourcePost
    intent: str
    us: str = ""


@dataclass(frozen=True)
class Proposal:
    """A text that might be said, and the template that it came from."""

    text: str
    template: str = ""


class Proposer(Protocol):
    """One way to come by a reply."""

    name: str
    """At most 20 letters; the item keeps it as its origin."""

    def propose(self, asked: Asked) -> Iterable[Proposal]:
        """Every text that would do, the best first; none where it has nothing to say."""

    def rules(self) -> str:
        """Changes whenever it may answer otherwise: then what was passed over is looked at again."""


def proposers() -> list[Proposer]:
    """Those that the settings name, in order."""
    return [import_string(path)() for path in settings.REPLY_PROPOSERS]
