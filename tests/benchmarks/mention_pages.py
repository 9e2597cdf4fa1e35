"""A server of mentions that are made up as they are asked for: it costs next to nothing.

`python -m tests.benchmarks.mention_pages PORT USER_ID USERNAME POSTS` serves; `served` runs it.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from revfirst.processes import free_port
from tests.demos import REPOSITORY
from x_integration.snowflakes import first_id_at

if TYPE_CHECKING:
    from x_integration.models import XAccount

_BETWEEN = timedelta(seconds=1)
_SAID = (
    "@{us} do you open on Sundays in {month}? We would be {number} people, two of them small",
    "@{us} o bolo de cenoura de hoje estava maravilhoso 🥕 obrigada, mesa {number}",
    "@{us} 先週のブレンド、とてもおいしかったです。豆は通販でも買えますか？ {number}",
)


@contextmanager
def served(account: "XAccount", *, posts: int) -> Iterator[str]:
    """The address of a server with so many mentions of the account, a second apart."""
    port = free_port()
    command = [sys.executable, "-m", "tests.benchmarks.mention_pages", str(port)]
    told = [account.x_user_id, account.username, str(posts)]
    with subprocess.Popen([*command, *told], cwd=REPOSITORY, stdout=subprocess.PIPE) as server:
        try:
            assert server.stdout is not None
            server.stdout.readline()  # it listens
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


class _Mentions:
    """`posts` mentions, the newest of a moment ago; the first is number 0."""

    def __init__(self, user_id: str, username: str, posts: int) -> None:
        self._user_id, self._username, self._posts = user_id, username, posts
        self._first_at = datetime.now(UTC) - posts * _BETWEEN

    def page(self, query: dict[str, str]) -> dict[str, Any]:
        """The page as X would show it, newest first."""
        end = int(query.get("pagination_token") or self._before(query.get("until_id", "")))
        begin = max(end - int(query["max_results"]), 0)
        more = {"next_token": str(begin)} if begin else {}
        numbers = range(end - 1, begin - 1, -1)
        users = [{"id": str(5_000 + n), "username": f"guest{n}"} for n in range(100)]
        return {
            "data": [self._post(number) for number in numbers],
            "includes": {"users": users},
            "meta": {"result_count": len(numbers), **more},
        }

    def _before(self, until_id: str) -> int:
        """How many posts are older than that id."""
        if not until_id:
            return self._posts
        return next(n for n in range(self._posts) if self._id(n) >= int(until_id))

    def _id(self, number: int) -> int:
        return first_id_at(self._first_at + number * _BETWEEN)

    def _post(self, number: int) -> dict[str, Any]:
        at = self._first_at + number * _BETWEEN
        text = _SAID[number % len(_SAID)].format(us=self._username, month="May", number=number)
        return {
            "id": str(self._id(number)),
            "text": text,
            "author_id": str(5_000 + number % 100),
            "created_at": at.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "conversation_id": str(self._id(number)),
            "lang": ("en", "pt", "ja")[number % 3],
            "reply_settings": "everyone",
            "entities": {
                "mentions": [
                    {
                        "start": 0,
                        "end": len(self._username) + 1,
                        "username": self._username,
                        "id": self._user_id,
                    }
                ]
            },
            "public_metrics": {
                "retweet_count": number % 3,
                "reply_count": number % 2,
                "like_count": number % 20,
                "quote_count": 0,
                "bookmark_count": 0,
                "impression_count": number % 900,
            },
        }


def main() -> None:
    """Serve until the end."""
    port, user_id, username, posts = sys.argv[1:]
    mentions = _Mentions(user_id, username, int(posts))
    ready = dict[str, tuple[bytes, str]]()

    def made(query: dict[str, str]) -> tuple[bytes, str]:
        page = mentions.page(query)
        return json.dumps(page).encode(), page["meta"].get("next_token", "")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # else the body waits for the header's acknowledgement

        def do_GET(self) -> None:
            query = {
                name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()
            }
            asked_for = query.get("pagination_token", "")
            body, following = ready.pop(asked_for) if asked_for in ready else made(query)
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            self.wfile.flush()
            if following:  # made while the reader works: it waits for a wire, and not for us
                ready[following] = made({**query, "pagination_token": following})

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", int(port)), Handler) as server:
        print("ready", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
