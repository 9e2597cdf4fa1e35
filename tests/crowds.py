"""A crowd on the local X: thousands of random posts around one account, and how X tells us of them."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

import requests

from x_integration.payloads import FIELDS, Page, parse_page

if TYPE_CHECKING:
    from collections.abc import Iterator

    from x_integration.simulator.process import SimulatorProcess

US = "cafe"
_PEOPLE = ("lia", "ben", "sam", "cafes", "my_cafe")
_NAMES_US = (
    "@cafe hello",
    "hello @CaFe!",
    ".@cafe",
    "＠cafe",
    "RT @cafe: hello",
    "(@cafe)",
    "@lia @cafe @ben",
    "@cafe's coffee",
)
_DOES_NOT = (
    "hello",
    "cafe",
    "@cafes hello",
    "@my_cafe",
    "write to me@cafe.com",
    "@cafe_",
    "https://x.com/@cafe",
    "#cafe $CAFE",
    "@ben hello",
    "a@cafe",
    "@cafe@cafes",
)
_AT_ONCE = 1000


@dataclass
class Crowd:
    """What was said, in layers: the later ones answer and quote the earlier."""

    simulator: SimulatorProcess
    seed: int
    posts: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = Random(self.seed)

    def speak(self, count: int) -> None:
        """So many random posts are said, and a hundred of them deleted again."""
        for name in (US, *_PEOPLE):
            self.simulator.make_user(name)
        while len(self.posts) < count:
            layer = min(_AT_ONCE // 4 if len(self.posts) < _AT_ONCE else _AT_ONCE, count)
            left = count - len(self.posts)
            self.posts += self.simulator.say_all([self._said() for _ in range(min(layer, left))])
        for post in self._random.sample(self.posts, 100):
            self.simulator.take_down(post["id"])
            post["deleted"] = True

    def _said(self) -> dict[str, Any]:
        by = self._random.choice((US, *_PEOPLE, *_PEOPLE))
        text = self._random.choice(self._random.choice((_NAMES_US, _DOES_NOT, _DOES_NOT)))
        said: dict[str, Any] = {"username": by, "text": f"{text} {self._random.random()}"}
        if self.posts and self._random.random() < 0.5:
            said |= {"in_reply_to": self._one(), "auto_mention": self._random.random() < 0.6}
        if self.posts and self._random.random() < 0.3:
            said["quote"] = self._one()
        if self._random.random() < 0.1:
            said["reply_settings"] = self._random.choice(("following", "mentionedUsers"))
        return said

    def _one(self) -> str:
        return str(self._random.choice(self.posts)["id"])

    def told(self, token: str) -> Iterator[tuple[Page, bool]]:
        """Pages of all posts as X shows them, and whether they are whole; one dialect, then the other.

        X requires almost no field: on half of the pages some of what tells whom a post names is missing.
        """
        for start in range(0, len(self.posts), 100):
            ids = [post["id"] for post in self.posts[start : start + 100]]
            body = self._looked_up(ids, token, "legacy" if start % 200 else "new")
            is_whole = start % 400 < 200
            yield parse_page({"meta": {}, **(body if is_whole else self._thinned(body))}), is_whole

    def _looked_up(self, ids: list[str], token: str, dialect: str) -> dict[str, Any]:
        answer = requests.get(
            f"{self.simulator.base_url}/2/tweets",
            params={"ids": ",".join(ids), **FIELDS[dialect]},
            headers={"Authorization": f"Bearer {token}"},
            timeout=30,
        )
        return dict(answer.json())

    def _thinned(self, body: dict[str, Any]) -> dict[str, Any]:
        thin = copy.deepcopy(body)
        if self._random.random() < 0.2:
            thin.pop("includes", None)
        for post in thin["data"]:
            if self._random.random() < 0.1:
                post.pop("entities", None)
            for mention in post.get("entities", {}).get("mentions", []):
                if self._random.random() < 0.5:
                    mention.pop("id", None)
                    mention["username"] = self._random.choice((str.upper, str.title, str))(
                        mention["username"]
                    )
        return thin
