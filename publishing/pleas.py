"""Who asks to be left alone."""

import re

_PLEA = re.compile(
    r"\bstop\b|leave me alone|\bpare\b|\bparem\b|não me responda|\bbasta\b|déjame en paz"
    r"|no me respondas|やめて|返信しないで|توقف|لا ترد",
    re.IGNORECASE,
)


def asks_to_be_left_alone(text: str, lang: str = "") -> bool:
    """Whether the author wants no answer."""
    return _PLEA.search(text) is not None
