"""Why somebody stopped, lifted or rejected something: asked for, and kept with it."""

from revfirst.storable import storable_text
from workspaces.errors import ReasonNeeded

LONGEST = 200


def checked(reason: str) -> str:
    """The reason as it is kept. Raises ReasonNeeded when it is blank or too long.

    A terminal or a form in another encoding is no reason to fail: what cannot be kept is replaced.
    """
    kept = storable_text(reason).strip()
    if not kept or len(kept) > LONGEST:
        raise ReasonNeeded(f"Say why, in at most {LONGEST} characters.")
    return kept
