"""The queue in the admin: what is seen is what is decided, by those who may."""

import re
from html.parser import HTMLParser

import pytest
from django.test import Client
from django.urls import reverse

from publishing.models import QueueItem
from publishing.services import edit_item
from publishing.states import State
from tests.factories import MembershipFactory, QueueItemFactory, UserFactory, XAccountFactory
from tests.worlds import operator
from workspaces.models import AuditEvent, User

pytestmark = pytest.mark.django_db(transaction=True)
LIST = reverse("admin:publishing_queueitem_changelist")


def signed_in(user: User) -> Client:
    """A browser."""
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def item():
    """A pending reply in a connected workspace."""
    item = QueueItemFactory(text="Thank you <b>so</b> much")
    XAccountFactory(workspace=item.workspace)
    return item


@pytest.fixture
def ana(item):
    """The browser of an operator."""
    return signed_in(MembershipFactory(workspace=item.workspace).user)


def page_of(item: QueueItem) -> str:
    """The item's page."""
    return reverse("admin:publishing_queueitem_change", args=[item.pk])


def choose(client: Client, action: str, *items: QueueItem, reason: str = "") -> str:
    """Tick the items on the list page as it was loaded, and run the action."""
    page = client.get(LIST).content.decode()
    versions = dict(re.findall(r'name="(version-\d+)" value="(\d+)"', page))
    form = {"action": action, "_selected_action": [item.pk for item in items], "reason": reason}
    return client.post(LIST, {**form, **versions}, follow=True).content.decode()


def test_an_operator_approves_from_the_list(item, ana):
    assert "1 approved" in choose(ana, "approve", item)
    item.refresh_from_db()
    assert item.state == State.APPROVED


def test_an_operator_approves_on_the_items_page(item, ana):
    ana.post(page_of(item), {"decision": "approve", f"version-{item.pk}": "1"})
    item.refresh_from_db()
    assert item.state == State.APPROVED


def test_a_page_loaded_before_an_edit_cannot_approve_the_new_text(item, ana):
    edit_item(item.pk, version=1, text="New", actor=operator(item.workspace), now=item.moved_at)
    form = {"decision": "approve", f"version-{item.pk}": "1"}
    answer = ana.post(page_of(item), form, follow=True).content.decode()
    item.refresh_from_db()
    assert item.state == State.PENDING
    assert "was edited" in answer


@pytest.mark.parametrize("version", [None, "", "x", "-1", "0", "99999999999999999999", "１"])
def test_a_decision_without_the_version_that_was_seen_is_refused(item, ana, version):
    form = {"decision": "approve"} | ({} if version is None else {f"version-{item.pk}": version})
    ana.post(page_of(item), form)
    choosing = {"action": "approve", "_selected_action": [item.pk]}
    ana.post(LIST, choosing)
    item.refresh_from_db()
    assert item.state == State.PENDING


def test_one_refusal_does_not_stop_the_others(item, ana):
    second = QueueItemFactory(workspace=item.workspace, number=77)
    page = ana.get(LIST).content.decode()
    versions = dict(re.findall(r'name="(version-\d+)" value="(\d+)"', page))
    edit_item(item.pk, version=1, text="New", actor=operator(item.workspace), now=item.moved_at)
    form = {"action": "approve", "_selected_action": [item.pk, second.pk], **versions}
    answer = ana.post(LIST, form, follow=True).content.decode()
    assert "1 approved" in answer
    assert f"{item}: {item} was edited" in answer


def test_text_that_was_typed_and_not_saved_is_not_lost_by_an_approval(item, ana):
    form = {"decision": "approve", "text": "Better words", f"version-{item.pk}": "1"}
    answer = ana.post(page_of(item), form).content.decode()
    item.refresh_from_db()
    assert (item.state, item.version) == (State.PENDING, 1)
    assert "changed and not saved" in answer
    assert "Better words</textarea>" in answer


def test_the_text_of_the_page_as_a_browser_sends_it_back_is_no_change(item, ana):
    QueueItem.objects.filter(pk=item.pk).update(text="\nTwo\nlines")
    form = {"decision": "approve", "text": "\r\nTwo\r\nlines", f"version-{item.pk}": "1"}
    ana.post(page_of(item), form)
    item.refresh_from_db()
    assert item.state == State.APPROVED


@pytest.mark.parametrize("text", ["", "   ", "long " * 100, "a\x00b"])
def test_a_refused_text_stands_on_the_page_again(item, ana, text):
    form = {"decision": "edit", "text": text, f"version-{item.pk}": "1"}
    answer = ana.post(page_of(item), form).content.decode()
    assert (text or item.text.replace("<b>", "&lt;b&gt;").replace("</b>", "&lt;/b&gt;")) in answer
    item.refresh_from_db()
    assert item.version == 1


def test_what_was_typed_about_an_item_that_somebody_decided_meanwhile_can_be_kept(item, ana):
    QueueItem.objects.update(state=State.REJECTED)
    form = {"decision": "edit", "text": "Better words", f"version-{item.pk}": "1"}
    answer = ana.post(page_of(item), form).content.decode()
    assert "was not saved" in answer
    assert "Better words</textarea>" in answer


class Forms(HTMLParser):
    """Which submit buttons stand in the form of which named field."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.forms: list[tuple[set[str], list[str]]] = [(set(), [])]
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        told = dict(attrs)
        if tag == "form":
            self.forms.append((set(), []))
        elif tag in ("input", "textarea"):
            self.forms[-1][0].add(told.get("name", ""))
        elif tag == "button" and told.get("name") == "decision":
            self.forms[-1][1].append(told["value"])

    def buttons_beside(self, field: str) -> list[str]:
        return next(buttons for fields, buttons in self.forms if field in fields)


def test_enter_in_the_reason_can_only_reject(item, ana):
    """A browser presses the first button of the field's form."""
    forms = Forms(ana.get(page_of(item)).content.decode())
    assert forms.buttons_beside("reason") == ["reject"]
    assert forms.buttons_beside("text") == ["approve", "edit"]


def test_a_rejection_on_the_items_page_without_a_reason_is_refused_and_one_with_it_is_done(
    item, ana
):
    form = {"decision": "reject", f"version-{item.pk}": "1"}
    assert "Say why" in ana.post(page_of(item), form).content.decode()
    ana.post(page_of(item), {**form, "reason": "Too loud"})
    item.refresh_from_db()
    assert (item.state, item.decision_reason) == (State.REJECTED, "Too loud")


def test_an_edit_on_the_items_page_waits_for_a_new_approval(item, ana):
    ana.post(page_of(item), {"decision": "edit", "text": "a\r\nb", f"version-{item.pk}": "1"})
    item.refresh_from_db()
    assert (item.text, item.version, item.state) == ("a\nb", 2, State.PENDING)


def test_a_rejection_from_the_list_needs_its_reason(item, ana):
    assert "Say why" in choose(ana, "reject", item)
    assert "1 rejected" in choose(ana, "reject", item, reason="Too loud")


def test_a_member_sees_the_item_and_can_decide_nothing(item):
    rui = signed_in(MembershipFactory(workspace=item.workspace, role="member").user)
    page = rui.get(page_of(item)).content.decode()
    rui.post(page_of(item), {"decision": "approve", f"version-{item.pk}": "1"})
    item.refresh_from_db()
    assert "Your decision" not in page
    assert item.state == State.PENDING


@pytest.mark.parametrize("superuser", [False, True])
def test_who_is_no_member_finds_nothing_superusers_included(item, superuser):
    stranger = MembershipFactory(user=UserFactory(is_superuser=superuser)).user
    client = signed_in(stranger)
    assert item.text not in client.get(LIST).content.decode()
    assert client.get(page_of(item)).status_code == 404
    client.post(page_of(item), {"decision": "approve", f"version-{item.pk}": "1"})
    client.post(LIST, {"action": "approve", "_selected_action": [item.pk]})
    item.refresh_from_db()
    assert item.state == State.PENDING


def test_third_party_text_is_escaped_everywhere(item, ana):
    item.source_post.text = "<script>alert(1)</script>"
    item.source_post.save(update_fields=["text"])
    for url in (LIST, page_of(item)):
        page = ana.get(url).content.decode()
        assert "<script>alert" not in page
        assert "<b>so</b>" not in page


def test_the_history_is_the_audit_log(item, ana):
    choose(ana, "approve", item)
    url = reverse("admin:publishing_queueitem_history", args=[item.pk])
    assert "item.approve" in ana.get(url).content.decode()


def test_the_list_asks_a_fixed_number_of_questions(item, ana, django_assert_max_num_queries):
    for number in range(30):
        QueueItemFactory(workspace=item.workspace, number=100 + number)
    with django_assert_max_num_queries(12):
        ana.get(LIST)


@pytest.mark.parametrize("verb", ["add", "delete"])
def test_nobody_adds_or_deletes_an_item_by_hand(item, ana, verb):
    args = [] if verb == "add" else [item.pk]
    url = reverse(f"admin:publishing_queueitem_{verb}", args=args)
    assert ana.post(url, {"post": "yes"}).status_code == 403
    assert QueueItem.objects.filter(pk=item.pk).exists()


def test_pages_carry_a_strict_content_security_policy(item, ana):
    policy = ana.get(LIST).headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_a_decision_on_a_page_is_audited_with_its_door(item, ana):
    choose(ana, "approve", item)
    assert AuditEvent.objects.get(type="item.approve").door == "admin"
