"""What was let in is held against the brand voice again: when a person decides, and before it is sent."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.urls import reverse
from django.utils import timezone

from publishing.errors import BadContent, NoBrandVoice
from publishing.models import QueueItem
from publishing.services import approve_item, claim_item, hand_off_item, resend_item, why_refused
from publishing.services.content import objection_to
from publishing.states import State
from tests.api import signed_in
from tests.factories import QueueItemFactory, SourcePostFactory
from tests.worlds import WORKER, approved_post, attempts, operator
from workspaces.models import AuditEvent, User

LONG = "We open at nine on Mondays, as always. See you there!"
STRICT = 'languages: {"*": {banned_terms: [nine]}}'
WHY = "The brand voice does not say “nine”."


@pytest.fixture
def voice(settings, tmp_path):
    """A brand voice file that a test may change; mild at first."""
    path = tmp_path / "voice.yaml"
    path.write_text('languages: {"*": {}}\nsimilarity: {alike_from: 100}')
    settings.BRAND_VOICE_FILE_PATH = str(path)
    return path


@pytest.fixture
def item(x, voice):
    """An approved reply that nothing keeps back."""
    return x.answering(x.connected(), by="lia", text=LONG)


def seen(item: QueueItem) -> tuple[str, str]:
    """What the item's page and the API say about it."""
    browser = signed_in(User.objects.get(memberships__workspace=item.workspace))
    page = browser.get(reverse("admin:publishing_queueitem_change", args=[item.pk]))
    told = browser.get(reverse("queue-item", args=[item.workspace_id, item.number])).json()
    return page.content.decode(), told["blocked_because"]


def test_a_person_is_told_what_is_wrong_and_the_log_names_the_guard_alone(x, voice, item):
    voice.write_text(STRICT)
    item = x.publish(item)
    page, told = seen(item)
    assert WHY in page
    assert told == why_refused(item) == WHY
    row = AuditEvent.objects.get(type="item.block")
    assert row.data == {"reason": "content_refused", "guard": "banned_terms"}


def test_a_person_is_told_what_is_wrong_with_the_file(x, voice, item):
    voice.write_text("languages: [")
    item = x.publish(item)
    page, told = seen(item)
    assert "no brand voice, asked again at" in page
    assert "it is not YAML" in page
    assert "it is not YAML" in told
    assert AuditEvent.objects.get(type="item.block").data == {"reason": "no_brand_voice"}


@pytest.mark.parametrize("content", [STRICT, "languages: ["])
def test_it_goes_out_within_a_minute_after_the_file_was_mended(x, voice, item, content):
    mild, now = voice.read_text(), timezone.now()
    voice.write_text(content)
    claim_item(item.pk, actor=WORKER, now=now)
    voice.write_text(mild)
    assert claim_item(item.pk, actor=WORKER, now=now + timedelta(seconds=59)) is None
    assert claim_item(item.pk, actor=WORKER, now=now + timedelta(seconds=60))


def test_what_nothing_holds_back_any_more_has_nothing_to_be_told(x, voice, item):
    voice.write_text(STRICT)
    item = x.publish(item)
    QueueItem.objects.update(state=State.REJECTED)
    item.refresh_from_db()
    assert seen(item)[1] is None


MUCH_LIKE_IT = "We open at ten on Mondays, as always. See you there!"
LESS_LIKENESS = 'languages: {"*": {}}\nsimilarity: {alike_from: 90}'


def test_what_is_too_much_like_something_that_was_sent_is_held_back(x, voice, item):
    """It was let in by a milder file."""
    x.publish(approved_post(item.workspace, MUCH_LIKE_IT))
    voice.write_text(LESS_LIKENESS)
    item = x.publish(item)
    page, told = seen(item)
    assert told.startswith("It is 95 % like one of the latest texts:")
    assert f"content refused, asked again at {item.not_before:%Y-%m-%d %H:%M}" in page
    row = AuditEvent.objects.get(type="item.block")
    assert row.data == {"reason": "content_refused", "guard": "similarity"}


@pytest.mark.parametrize("state", [State.PUBLISHING, State.UNCONFIRMED, State.HANDED_OFF])
def test_what_may_stand_on_x_is_compared_too(x, item, state):
    QueueItemFactory(workspace=item.workspace, text=LONG, state=state)
    assert x.publish(item).blocked_reason == "content_refused"
    assert why_refused(item)


@pytest.mark.parametrize("state", [State.PENDING, State.REJECTED, State.EXPIRED, State.FAILED])
def test_what_was_not_sent_is_no_reason(x, item, state):
    QueueItemFactory(workspace=item.workspace, text=LONG, state=state)
    assert x.publish(item).state == State.PUBLISHED


@pytest.mark.parametrize(
    ("content", "text"), [('languages: {"*": {}}', LONG), (LESS_LIKENESS, "We open at nine.")]
)
def test_what_the_file_does_not_compare_is_not_compared(x, voice, content, text):
    voice.write_text(content)
    item = x.answering(x.connected(), by="lia", text=text)
    QueueItemFactory(workspace=item.workspace, text=text, state=State.UNCONFIRMED)
    assert x.publish(item).state == State.PUBLISHED


def test_no_more_is_compared_than_when_it_came_in(x, item):
    """What was sent long ago may be said again."""
    QueueItemFactory(workspace=item.workspace, text=LONG, state=State.UNCONFIRMED)
    for _ in range(50):
        QueueItemFactory(workspace=item.workspace, text="")
    assert x.publish(item).state == State.PUBLISHED


@pytest.mark.parametrize("text", ["@lia thank you", "＠lia thank you"])
def test_who_is_answered_may_be_mentioned_still(voice, text):
    post = SourcePostFactory.build(workspace=None, author_username="lia")
    assert objection_to(text, source_post=post) is None
    assert objection_to(text, source_post=None)


def test_a_name_that_the_file_no_longer_takes_holds_it_back(x, voice):
    voice.write_text('languages: {"*": {mentions: [eva]}}')
    item = x.answering(x.connected(), by="lia", text="＠eva is here")
    voice.write_text('languages: {"*": {}}')
    item = x.publish(item)
    assert why_refused(item) == "Nobody there asked to be mentioned: @eva."


DECISIONS = [approve_item, hand_off_item]


@pytest.mark.parametrize("decide", DECISIONS)
@pytest.mark.parametrize(("content", "error"), [(STRICT, BadContent), ("[", NoBrandVoice)])
def test_nobody_decides_for_what_the_voice_does_not_say_now(x, voice, decide, content, error):
    item = QueueItemFactory(workspace=x.connected(), text=LONG)
    voice.write_text(content)
    with pytest.raises(error):
        decide(item.pk, version=1, actor=operator(item.workspace), now=timezone.now())
    item.refresh_from_db()
    assert (item.state, item.approvals.count(), attempts(item)) == (State.PENDING, 0, [])


def test_the_page_says_why_it_is_not_approved(x, voice):
    item = QueueItemFactory(workspace=x.connected(), text=LONG)
    voice.write_text(STRICT)
    form = {"decision": "approve", f"version-{item.pk}": "1", "text": LONG}
    browser = signed_in(User.objects.get(memberships__workspace=item.workspace))
    page = browser.post(reverse("admin:publishing_queueitem_change", args=[item.pk]), form)
    assert WHY in page.content.decode()


def test_a_doubt_is_not_sent_again_with_words_that_are_no_longer_said(x, voice, item):
    x.fault("status", status=500)
    item = x.publish(item)
    for minutes in (1, 3, 11):
        x.sweep(after=timedelta(minutes=minutes))
    voice.write_text(STRICT)
    who, later = operator(item.workspace), timezone.now() + timedelta(minutes=12)
    with pytest.raises(BadContent, match="nine"):
        resend_item(item.pk, version=1, reason="It is not there.", actor=who, now=later)
    item.refresh_from_db()
    assert (item.state, attempts(item)) == (State.UNCONFIRMED, ["unknown"])


def test_what_is_asked_in_every_claim_is_asked_of_the_file_as_it_is(voice: Path):
    assert objection_to(LONG, source_post=None) is None
    voice.write_text(STRICT)
    found = objection_to(LONG, source_post=None)
    assert found
    assert found.sentence == WHY
