"""The direct API: shut for everybody; open, it wants role and internal key, and posts once."""

import json

import pytest
from django.urls import reverse

from tests.doors.controls_work import KEY

LET_IN = {"owner", "admin", "key publish:direct", "key of every scope"}
WRONG = (None, "", "None", KEY[:-1], KEY + "x")


@pytest.fixture
def ask(sweep):
    """Everybody asks for a post and a reply: the names of those whose words stand at X."""
    known = {post["id"] for post in sweep.x.machine_posts()}
    target = sweep.world.items["failed"].source_post.x_post_id

    def go(key, times=1):
        for caller in sweep.callers:
            told = {"workspace_id": str(sweep.world.cafe.pk), "text": f"By {caller.name}"}
            headers = {} if key is None else {"HTTP_X_INTERNAL_KEY": key}
            headers["HTTP_IDEMPOTENCY_KEY"] = caller.name
            for _ in range(times):
                for name, more in (
                    ("direct-post", {}),
                    ("direct-reply", {"in_reply_to_tweet_id": target}),
                ):
                    body = json.dumps(told | more).encode()
                    status = caller.call("POST", reverse(name), body, "application/json", headers)
                    assert status < 500 or status == 502, f"{caller.name}: {status}"
        return [p["text"] for p in sweep.x.machine_posts() if p["id"] not in known]

    return go


@pytest.mark.parametrize("key", [*WRONG, KEY])
def test_shut_it_publishes_for_nobody(ask, key):
    assert ask(key) == []


@pytest.mark.parametrize("key", WRONG)
def test_open_it_publishes_for_nobody_without_the_internal_key(ask, settings, key):
    settings.PUBLISHING_DIRECT_API_ENABLED = True
    settings.PUBLISHING_DIRECT_API_INTERNAL_KEY = KEY
    assert ask(key) == []


def test_open_with_the_key_it_publishes_once_for_each_who_may(ask, settings):
    settings.PUBLISHING_DIRECT_API_ENABLED = True
    settings.PUBLISHING_DIRECT_API_INTERNAL_KEY = KEY
    posted = ask(KEY, times=2)
    assert sorted(set(posted)) == sorted(f"By {name}" for name in LET_IN)
    assert len(posted) == len(set(posted))
