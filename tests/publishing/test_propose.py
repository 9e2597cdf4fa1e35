"""What is proposed, to whom, and what is not."""

import os
from functools import partial

import pytest
from django.utils import timezone

from publishing import ranking
from publishing.errors import AlreadyProposed, BadContent
from publishing.models import QueueItem
from publishing.proposers import Asked
from publishing.proposers import template as templates
from publishing.proposers.template import TemplateProposer
from publishing.services import propose_item, propose_replies
from publishing.states import State
from publishing.text import links_in, weighted_length
from tests.concurrency import run_together
from tests.factories import (
    MembershipFactory,
    SourcePostFactory,
    UserFactory,
    WorkspaceFactory,
    XAccountFactory,
)
from tests.worlds import WORKER
from workspaces.actors import Actor
from workspaces.errors import WorkspaceNotFound
from workspaces.models import Counter
from x_integration.models import SourcePost

pytestmark = pytest.mark.django_db(transaction=True)
NOW = timezone.now()


@pytest.fixture
def workspace():
    """A connected workspace."""
    return XAccountFactory().workspace


def propose(workspace, **fields):
    """Propose now."""
    return propose_item(workspace, **{"text": "Hi", "actor": WORKER, "now": NOW, **fields})


def test_each_post_that_may_be_answered_gets_one_proposal(workspace):
    for text in ("Lovely!", "When do you open?", "Again"):
        SourcePostFactory(workspace=workspace, text=text)
    first = propose_replies(workspace, actor=WORKER, now=NOW)
    again = propose_replies(workspace, actor=WORKER, now=NOW)
    assert (len(first), again) == (3, [])
    assert Counter.objects.get(name="replies_proposed_total").value == 3


def test_nobody_spends_time_on_a_post_that_x_would_not_let_us_answer(workspace):
    SourcePostFactory(workspace=workspace, eligibility=SourcePost.Eligibility.NOT_SUMMONED)
    assert propose_replies(workspace, actor=WORKER, now=NOW) == []


def test_on_the_enterprise_tier_everybody_may_be_answered(workspace, settings):
    settings.X_ACCESS_TIER = "enterprise"
    SourcePostFactory(workspace=workspace, eligibility=SourcePost.Eligibility.NOT_SUMMONED)
    assert len(propose_replies(workspace, actor=WORKER, now=NOW)) == 1


def test_our_own_posts_are_not_answered(workspace):
    SourcePostFactory(workspace=workspace, author_id=workspace.x_account.x_user_id)
    assert propose_replies(workspace, actor=WORKER, now=NOW) == []


@pytest.mark.parametrize(
    "text", ["please STOP replying", "pare com isso", "basta ya", "返信しないでください", "توقف"]
)
def test_somebody_who_wants_no_answer_gets_no_proposal(workspace, text):
    SourcePostFactory(workspace=workspace, text=text)
    assert propose_replies(workspace, actor=WORKER, now=NOW) == []


def test_no_two_recent_texts_are_equal(workspace):
    for _ in range(3):
        SourcePostFactory(workspace=workspace, text="Lovely!")
    texts = [item.text for item in propose_replies(workspace, actor=WORKER, now=NOW)]
    assert len(set(texts)) == len(texts) == 3


def variants(intent, **fields):
    """What the templates have for such a post."""
    post = SourcePostFactory.build(workspace=None, **fields)
    return list(TemplateProposer().propose(Asked(post, intent, "cafe")))


@pytest.mark.parametrize(
    ("lang", "intent", "template"),
    [
        ("pt", "question", "pt/question:1"),
        ("pt", "thanks", "pt/thanks:1"),
        ("ar", "complaint", "ar/complaint:1"),
        ("ja", "mention", "ja/mention:1"),
        ("xx", "mention", "en/mention:1"),
        ("../../secret", "thanks", "en/thanks:1"),
    ],
)
def test_the_template_follows_language_and_intent(lang, intent, template):
    assert variants(intent, lang=lang)[0].template == template


def test_every_language_answers_every_intent_in_several_ways_that_fit(repository):
    languages = [path.name for path in (repository / "templates/publishing/replies").iterdir()]
    assert len(languages) == 5
    for lang in languages:
        for intent in set(ranking.current().intent) - {"promotion"}:
            made = variants(intent, lang=lang, text=" word" * 50, author_username="x" * 15)
            assert len(made) >= 3
            assert {each.template.partition(":")[0] for each in made} == {f"{lang}/{intent}"}
            assert all(weighted_length(each.text) <= 280 for each in made)


def test_an_edit_of_a_template_counts_at_once(monkeypatch, tmp_path):
    monkeypatch.setattr(templates, "FOLDER", tmp_path)
    (tmp_path / "en").mkdir()
    for said in ("Hello, {{ author }}.", "Good day."):
        (tmp_path / "en/mention.txt").write_text(said)
        os.utime(tmp_path / "en/mention.txt", (len(said), len(said)))
        [made] = variants("mention", author_username="lia")
        assert made.text == said.replace("{{ author }}", "lia")


def test_their_words_are_quoted_without_names_and_links():
    said = "@cafe @lia the $AAPL https://x.example/a #new blend is great"
    assert "“the blend is great”" in variants("thanks", text=said)[-1].text


@pytest.mark.parametrize(
    ("said", "quoted"),
    [
        ("write to me at hello@shop.example now", "write to me at now"),
        ("see cheap-coffee.example/sale now", "see now"),
        ("@cafeコーヒー最高", "コーヒー最高"),
        ("Great.@cafe", "Great."),
    ],
)
def test_neither_a_link_nor_an_address_of_theirs_becomes_a_link_of_ours(said, quoted):
    text = variants("thanks", text=said)[-1].text
    assert f"“{quoted}”" in text
    assert not list(links_in(text))


def test_two_proposals_for_one_post_leave_one_item(workspace):
    post = SourcePostFactory(workspace=workspace)
    both = [partial(propose, workspace, source_post=post, text=text) for text in ("a", "b")]
    assert run_together(*both) == ["AlreadyProposed", "ok"]
    assert QueueItem.objects.count() == 1


def test_a_rejected_proposal_makes_room_for_another(workspace):
    post = SourcePostFactory(workspace=workspace)
    item = propose(workspace, source_post=post)
    with pytest.raises(AlreadyProposed):
        propose(workspace, source_post=post)
    QueueItem.objects.filter(pk=item.pk).update(state=State.REJECTED)
    assert propose(workspace, source_post=post).number == 2


def test_numbers_count_up_within_each_workspace_also_in_a_race(workspace):
    other = WorkspaceFactory()
    run_together(*(partial(propose, w) for w in (workspace, workspace, workspace, other, other)))
    assert sorted(workspace.items.values_list("number", flat=True)) == [1, 2, 3]
    assert sorted(other.items.values_list("number", flat=True)) == [1, 2]


def test_a_member_may_propose_and_is_remembered_as_the_writer(workspace):
    rui = MembershipFactory(workspace=workspace, role="member").user
    item = propose(workspace, actor=Actor.operator(rui, door="api"))
    assert (item.written_by, item.origin, item.kind) == (rui, "person", "post")


def test_a_stranger_may_not_propose(workspace):
    with pytest.raises(WorkspaceNotFound):
        propose(workspace, actor=Actor.operator(UserFactory(), door="api"))


def test_a_text_that_does_not_fit_is_refused_with_its_length(workspace):
    with pytest.raises(BadContent, match="281 of 280"):
        propose(workspace, text="x" * 281)


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("hello", 5),
        ("日本", 4),
        ("café", 4),
        ("cafe\u0301", 4),
        ("a https://example.com/" + "x" * 90, 25),
        ("€ — “", 5 + 1),
        ("👾", 2),
    ],
)
def test_length_is_counted_as_x_counts(text, length):
    assert weighted_length(text) == length


def test_a_hostile_text_is_counted_in_linear_time():
    assert weighted_length("a." * 500_000) == 1_000_000
