"""The page around everything, with headers that keep a browser from going anywhere else."""

import functools
from html import escape
from pathlib import Path
from string import Template

from werkzeug.wrappers import Response

_FOLDER = Path(__file__).parent
_TYPES = {"style.css": "text/css; charset=utf-8", "icon.svg": "image/svg+xml"}


def page(
    title: str, body: str, *, aside: str = "", status: int = 200, form_target: str = ""
) -> Response:
    """A whole page. `form_target` is an origin that a form on it may end at, by a redirect."""
    text = _frame().substitute(title=escape(title), body=body, aside=aside)
    answer = Response(text, status=status, content_type="text/html; charset=utf-8")
    answer.headers.update(
        {
            "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; "
            f"form-action 'self' {form_target}".rstrip()
            + "; base-uri 'none'; frame-ancestors 'none'",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
        }
    )
    return answer


def asset(name: str) -> Response | None:
    """A stylesheet or picture by name; None for anything else."""
    if name not in _TYPES:
        return None
    return Response(
        _read(name), content_type=_TYPES[name], headers={"X-Content-Type-Options": "nosniff"}
    )


@functools.cache
def _frame() -> Template:
    return Template(_read("frame.html"))


@functools.cache
def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")
