"""How long X counts a text: 280 weighted characters (docs/X-API.md, Counting).

Linear in the text's length. An emoji sequence is counted by its code points, which is never less
than X counts.
"""

import re
import unicodedata

LIMIT = 280
_URL_WEIGHT = 23
_URL = re.compile(r"https?://[^\s]+", re.IGNORECASE)
_SINGLE = ((0x0000, 0x10FF), (0x2000, 0x200D), (0x2010, 0x201F), (0x2032, 0x2037))


def weighted_length(text: str) -> int:
    """Characters as X weighs them: Latin 1, most others 2, every link 23, after NFC."""
    composed = unicodedata.normalize("NFC", text)
    links = _URL.findall(composed)
    rest = _URL.sub("", composed)
    return _URL_WEIGHT * len(links) + sum(_weight(ord(character)) for character in rest)


def _weight(point: int) -> int:
    return 1 if any(first <= point <= last for first, last in _SINGLE) else 2
