"""Every request that our client makes, and the answer to it, against X's own document.

Our client follows no redirect and reads its answers in pieces; a hook on its session hears what
went over the wire, and the check is the one that the simulator's own answers pass.
"""

from datetime import UTC, datetime, timedelta

import pytest
import requests

from tests.x_integration.conftest import NEVER
from tests.x_integration.simulator.test_openapi import (  # noqa: F401  # fixtures
    OPENAPI_FILE,
    checked,
    document,
    new_simulator,
)
from x_integration.client import Window, XClient
from x_integration.errors import XReadFailed, XRejected

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(
        not OPENAPI_FILE, reason="X_OPENAPI_FILE does not name X's OpenAPI document"
    ),
]


class Recorder:
    """A client that speaks for one account in the new words, and what went over the wire."""

    def __init__(self, simulator, username):
        self.simulator = simulator
        self.tokens = simulator.connect(username)
        self.heard: list[requests.Response] = []
        session = requests.Session()
        session.hooks["response"].append(self._hear)
        self.client = XClient(session)

    def _hear(self, response, **_):
        assert response.content is not None  # read it now: afterwards it is gone
        self.heard.append(response)

    def says(self, text, in_reply_to=None):
        return self.client.create_post(
            text,
            in_reply_to=in_reply_to,
            access_token=self.tokens.access_token,
            begin_before=NEVER,
        )


@pytest.fixture
def aurora(new_simulator, settings):  # noqa: F811
    """The sample's brand."""
    new_simulator.reset(sample=True)
    settings.X_API_BASE_URL = new_simulator.base_url
    settings.X_FIELD_DIALECT = "new"
    return Recorder(new_simulator, "cafe_aurora")


@pytest.fixture
def conforms(aurora, checked):  # noqa: F811
    """Checks all that was heard; says how much it was, so that silence is no success."""

    def check(path, count=1):
        for response in aurora.heard:
            checked(response)
        assert [r.request.path_url.partition("?")[0] for r in aurora.heard] == [path] * count

    return check


def test_asking_whose_token_this_is_conforms(aurora, conforms):
    aurora.client.me(aurora.tokens.access_token)
    conforms("/2/users/me")


def test_reading_mentions_conforms(aurora, conforms):
    token, us = aurora.tokens.access_token, aurora.tokens.user_id
    posts = next(aurora.client.mentions(us, access_token=token)).posts
    list(aurora.client.mentions(us, Window(since_id=posts[-1].id), access_token=token))
    conforms(f"/2/users/{us}/mentions", 2)


def test_reading_several_pages_of_mentions_conforms(aurora, conforms):
    aurora.simulator.make_user("lia")
    for number in range(150):
        aurora.simulator.say("lia", f"@cafe_aurora {number}")
    token, us = aurora.tokens.access_token, aurora.tokens.user_id
    pages = list(aurora.client.mentions(us, access_token=token))
    assert len(pages) > 1
    conforms(f"/2/users/{us}/mentions", len(pages))


def test_reading_the_timeline_conforms(aurora, conforms):
    token, us = aurora.tokens.access_token, aurora.tokens.user_id
    start = datetime.now(UTC) - timedelta(days=30)
    list(aurora.client.timeline(us, access_token=token, start_time=start))
    conforms(f"/2/users/{us}/tweets")


def test_publishing_a_post_conforms(aurora, conforms):
    aurora.says("Bom dia! ☕ 日本 مرحبا")
    conforms("/2/tweets")


def test_publishing_a_reply_conforms(aurora, conforms):
    token, us = aurora.tokens.access_token, aurora.tokens.user_id
    mention = next(aurora.client.mentions(us, access_token=token)).posts[0]
    aurora.heard.clear()
    aurora.says("Obrigada!", in_reply_to=mention.id)
    conforms("/2/tweets")


def test_what_x_refuses_as_invalid_conforms(aurora, conforms):
    with pytest.raises(XRejected):
        aurora.says("a" * 281)
    conforms("/2/tweets")


def test_a_user_that_is_not_there_conforms(aurora, conforms):
    with pytest.raises(XReadFailed):
        list(aurora.client.mentions("42", access_token=aurora.tokens.access_token))
    conforms("/2/users/42/mentions")


def test_the_old_words_do_not_conform(aurora, conforms, settings):
    """The check can fail: X's document knows the new words only."""
    settings.X_FIELD_DIALECT = "legacy"
    us = aurora.tokens.user_id
    list(aurora.client.mentions(us, access_token=aurora.tokens.access_token))
    with pytest.raises(Exception, match="expansions|tweet.fields"):
        conforms(f"/2/users/{us}/mentions")
