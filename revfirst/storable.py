"""What PostgreSQL can keep of what people and X send."""

import math
from typing import Any


def storable(value: Any) -> Any:
    """`value` without what PostgreSQL cannot keep: NULs, halves of surrogate pairs, infinities."""
    if isinstance(value, str):
        return storable_text(value)
    if isinstance(value, dict):
        return {storable(key): storable(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [storable(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def storable_text(text: str) -> str:
    """`text` without NULs, and with a question mark for each half of a surrogate pair."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()
