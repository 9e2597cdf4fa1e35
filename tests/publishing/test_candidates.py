"""From source posts to proposals: everybody has a turn, each is looked at once per version."""

from datetime import timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError
from django.urls import reverse
from django.utils import timezone

from control.services import run_cycle
from publishing.errors import (
    AlreadyProposed,
    Blocked,
    NoBrandVoice,
    NoRanking,
    NothingToSay,
)
from publishing.models import Candidate, OptOut, QueueItem
from publishing.proposers import Proposal
from publishing.services import (
    candidates,
    edit_item,
    opt_out_author,
    propose_anyway,
    propose_item,
    propose_replies,
    reject_item,
)
from publishing.services.edits import difference
from revfirst.batch import Patience
from revfirst.errors import RevFirstError
from tests.concurrency import run_together
from tests.factories import (
    MembershipFactory,
    SourcePostFactory,
    UserFactory,
    XAccountFactory,
)
from tests.worlds import WORKER, operator
from workspaces.actors import Actor
from workspaces.errors import WorkspaceNotFound
from x_integration.client import XClient
from x_integration.models import SourcePost

pytestmark = pytest.mark.django_db(transaction=True)
NOW = timezone.now()
STATES = Candidate.State


@pytest.fixture
def workspace():
    """A connected workspace with an owner."""
    found = XAccountFactory().workspace
    MembershipFactory(workspace=found)
    return found


def said(workspace, text="Lovely!", *, by="77", **fields):
    """Somebody says something to the workspace."""
    return SourcePostFactory(
        workspace=workspace, text=text, author_id=by, author_username=f"u{by}", **fields
    )


def cycle(workspace, now=NOW):
    """One turn; returns the posts that were proposed."""
    return [item.source_post for item in propose_replies(workspace, actor=WORKER, now=now)]


def test_60_candidates_over_3_cycles_become_60_items_each_proposed_once(workspace):
    made = []
    for turn in range(3):
        for number in range(20):
            said(workspace, f"Lovely cup number {turn}-{number}", by=str(100 + 20 * turn + number))
        made += cycle(workspace)
    assert len(made) == len({post.pk for post in made}) == QueueItem.objects.count() == 60
    assert cycle(workspace) == []
    assert set(workspace.candidates.values_list("state", flat=True)) == {"queued"}


def test_for_whom_no_time_is_left_has_a_turn_the_next_time(workspace):
    said(workspace)
    turn = run_cycle(workspace, x=XClient(), actor=WORKER, now=NOW, patience=Patience(0))
    assert turn.proposed == 0
    assert workspace.candidates.get().state == STATES.NEW
    assert len(cycle(workspace)) == 1


def test_two_cycles_at_once_propose_each_post_once(workspace):
    for number in range(12):
        said(workspace, by=str(100 + number))
    turns = [partial(propose_replies, workspace, actor=WORKER, now=NOW) for _ in range(3)]
    assert run_together(*turns) == ["ok", "ok", "ok"]
    assert QueueItem.objects.count() == 12
    assert workspace.candidates.filter(state="queued").count() == 12


@pytest.fixture
def few(monkeypatch):
    """A turn looks at 20, and 5 of those are the oldest."""
    monkeypatch.setattr(candidates, "LOOKS_A_CYCLE", 20)
    monkeypatch.setattr(candidates, "FOR_THE_OLDEST", 5)


def test_the_best_go_first_and_the_oldest_have_a_quarter(workspace, few):
    for number in range(10):
        said(workspace, "Bork", by=str(100 + number))
    for number in range(20):
        said(workspace, "The bag is broken, where can I complain?", by=str(500 + number))
    found = [post.candidate.intent for post in cycle(workspace)]
    assert found == ["mention"] * 5 + ["complaint"] * 15


def test_nobody_starves_while_better_ones_keep_coming(workspace, few):
    """Every turn brings as many better posts as one turn takes."""
    humble = [said(workspace, "Bork", by=str(100 + n)) for n in range(10)]
    now, waiting = NOW, {post.pk for post in humble}
    for turn in range(2):
        for number in range(20):
            said(workspace, "It is broken!", by=str(1000 + 20 * turn + number), posted_at=now)
        waiting -= {post.pk for post in cycle(workspace, now)}
        now += timedelta(minutes=2)
    assert waiting == set()


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"eligibility": SourcePost.Eligibility.NOT_SUMMONED}, "not_summoned"),
        ({"text": "Get 10,000 followers by tonight"}, "promotion"),
        ({"text": "please stop replying to me"}, "opted_out"),
        ({"text": "  "}, "no_words"),
    ],
)
def test_what_is_passed_over_says_why(workspace, fields, reason):
    post = said(workspace, **fields)
    assert cycle(workspace) == []
    assert (post.candidate.state, post.candidate.reason) == ("skipped", reason)
    assert post.candidate.looked_at == NOW


def test_our_own_post_is_passed_over(workspace):
    post = said(workspace, by=workspace.x_account.x_user_id)
    assert (cycle(workspace), post.candidate.reason) == ([], "own_post")


def test_what_was_passed_over_is_looked_at_once_per_version(workspace, settings, tmp_path):
    post = said(workspace, eligibility=SourcePost.Eligibility.NOT_SUMMONED)
    cycle(workspace)
    cycle(workspace, NOW + timedelta(minutes=2))
    post.candidate.refresh_from_db()
    assert (post.candidate.version, post.candidate.looked_at) == (1, NOW)

    rules = tmp_path / "candidates.yaml"
    shipped = Path(settings.CANDIDATES_FILE_PATH).read_text()
    rules.write_text(shipped.replace("not_summoned: null", "not_summoned: 1"))
    settings.CANDIDATES_FILE_PATH = str(rules)
    assert cycle(workspace, NOW + timedelta(minutes=4)) == [post]
    post.candidate.refresh_from_db()
    assert (post.candidate.version, post.candidate.state) == (2, "queued")


def test_who_summons_us_after_all_is_a_candidate_again(workspace):
    post = said(workspace, eligibility=SourcePost.Eligibility.NOT_SUMMONED)
    cycle(workspace)
    SourcePost.objects.update(eligibility=SourcePost.Eligibility.SUMMONED)
    assert cycle(workspace) == [post]
    assert Candidate.objects.get().version == 2


def test_on_another_tier_what_was_passed_over_is_looked_at_again(workspace, settings):
    post = said(workspace, eligibility=SourcePost.Eligibility.NOT_SUMMONED)
    assert cycle(workspace) == []
    settings.X_ACCESS_TIER = "enterprise"
    assert cycle(workspace) == [post]


def test_whoever_has_no_points_though_summoned_is_looked_at_once(workspace, settings, tmp_path):
    shipped, rules = Path(settings.CANDIDATES_FILE_PATH).read_text(), tmp_path / "candidates.yaml"
    rules.write_text(shipped.replace("summoned: 20", "summoned: null", 1))
    settings.CANDIDATES_FILE_PATH = str(rules)
    said(workspace)
    for _ in range(2):
        assert cycle(workspace) == []
    assert Candidate.objects.get().version == 1


def test_other_rules_do_not_wake_who_wants_to_be_left_alone(workspace, settings):
    said(workspace, "please stop replying to me")
    cycle(workspace)
    OptOut.objects.all().delete()
    Candidate.objects.update(rules="another")
    assert cycle(workspace) == []
    assert Candidate.objects.get().version == 1


def test_after_a_week_nobody_is_answered(workspace):
    old = said(workspace, posted_at=NOW - timedelta(days=8))
    assert (cycle(workspace), old.candidate.state) == ([], "expired")
    late = said(workspace, by="78")
    Candidate.objects.create(
        source_post=late, workspace=workspace, rules="", intent="thanks", score=1, parts={},
        found_at=NOW,
    )  # fmt: skip
    assert cycle(workspace, NOW + timedelta(days=8)) == []
    late.candidate.refresh_from_db()
    assert late.candidate.state == "expired"


def test_a_plea_counts_also_where_its_post_is_too_old_to_be_answered(workspace):
    said(workspace, "please stop replying to me", posted_at=NOW - timedelta(days=20))
    said(workspace, "Lovely!")
    assert cycle(workspace) == []
    assert OptOut.objects.get().author_id == "77"


def test_the_score_is_the_sum_of_its_parts_and_the_item_keeps_it(workspace):
    metrics = {"like_count": 150, "reply_count": 10, "retweet_count": 10}
    said(workspace, "The bag is torn!", payload={"public_metrics": metrics}, posted_at=NOW)
    cycle(workspace)
    candidate, item = Candidate.objects.get(), QueueItem.objects.get()
    assert candidate.parts == {"intent": 40, "eligibility": 20, "engagement": 20, "recency": 20}
    assert (candidate.score, item.score, item.origin) == (100, 100, "template")
    assert item.template.startswith("en/complaint:")


@pytest.mark.parametrize("half_lives", [0, 1, 2])
def test_points_for_recency_halve(workspace, half_lives):
    said(workspace, posted_at=NOW - half_lives * timedelta(hours=12))
    cycle(workspace)
    assert Candidate.objects.get().parts["recency"] == 20 * 0.5**half_lives


@pytest.mark.parametrize(
    "metrics",
    [None, [], "x", 5, ["like_count"], "like_count", {"like_count": None}, {"like_count": "9"}, {"like_count": -5}, {"like_count": True}],
)  # fmt: skip
def test_broken_numbers_of_x_count_nothing(workspace, metrics):
    said(workspace, payload={"public_metrics": metrics})
    cycle(workspace)
    assert Candidate.objects.get().parts["engagement"] <= 3


def test_a_number_that_nobody_can_count_is_all_the_points(workspace):
    said(workspace, payload={"public_metrics": {"like_count": 10**400}})
    cycle(workspace)
    assert Candidate.objects.get().parts["engagement"] == 20


def test_both_dialects_count_reposts(workspace):
    said(workspace, by="1", payload={"public_metrics": {"repost_count": 99}})
    said(workspace, by="2", payload={"public_metrics": {"retweet_count": 99}})
    cycle(workspace)
    first, second = Candidate.objects.values_list("parts__engagement", flat=True)
    assert first == second > 10


@pytest.mark.parametrize(
    ("lang", "text", "intent"),
    [
        ("en", "two of the four bags were torn when they arrived", "complaint"),
        ("en", "does the decaf have caffeine at all?", "question"),
        ("en", "Thank you, I think", "thanks"),
        ("en", "Nine hours of train, one thermos", "mention"),
        ("en", "brokenhearted but caffeinated", "mention"),
        ("en", "look: https://x.example/?q=refund", "mention"),
        ("en", "🔥 Get 10,000 followers by tonight, link in our profile 🔥", "promotion"),
        ("pt", "o pacote chegou RASGADO", "complaint"),
        ("pt", "obrigada pelo bilhete", "thanks"),
        ("es", "el kilo llegó molido y yo había pedido grano", "complaint"),
        ("es", "Así da gusto", "thanks"),
        ("ja", "注文した豆がまだ届きません。追跡番号を教えてください", "complaint"),
        ("ja", "送料も知りたいです。発送はできますか", "question"),
        ("ja", "ありがとうございます", "thanks"),
        ("ar", "الطلب وصل ناقصًا، كيس واحد بدل كيسين", "complaint"),
        ("ar", "ما الفرق بين التحميص المتوسط والغامق؟", "question"),
        ("ar", "شكرًا على التغليف الجميل", "thanks"),
        ("de", "thank you!", "thanks"),  # a language without words of its own is asked in all
    ],
)
def test_what_they_want_is_told_by_their_words(workspace, lang, text, intent):
    said(workspace, text, lang=lang)
    cycle(workspace)
    assert Candidate.objects.get().intent == intent


def test_no_two_posts_in_a_row_get_the_same_template(workspace):
    for number in range(8):
        said(workspace, "Lovely!", by=str(100 + number))
    cycle(workspace)
    used = list(QueueItem.objects.order_by("number").values_list("template", flat=True))
    assert all(one != other for one, other in pairwise(used))
    assert len(set(used)) == 4


def test_an_author_never_gets_the_same_text_twice(workspace):
    for number in range(6):
        said(workspace, "Lovely!", by="77", posted_at=NOW + timedelta(seconds=number))
    cycle(workspace)
    texts = list(QueueItem.objects.values_list("text", flat=True))
    assert len(texts) == len(set(texts)) == 4
    assert workspace.candidates.filter(reason="no_text").count() == 2


def test_two_turns_at_once_never_choose_the_same_text_for_one_author(workspace, monkeypatch):
    """Each had read what was said before the other said it."""
    nothing = candidates._Fresh(frozenset(), frozenset(), ())
    monkeypatch.setattr(candidates._Fresh, "for_author_of", lambda post: nothing)
    for _ in range(2):
        said(workspace, "Lovely!", by="77")
    assert len(cycle(workspace)) == 1
    monkeypatch.undo()
    assert len(cycle(workspace)) == 1
    texts = list(QueueItem.objects.values_list("text", flat=True))
    assert len(texts) == len(set(texts)) == 2


class Clumsy:
    """A proposer that fails for some, and answers nonsense to others."""

    name = "clumsy"

    def propose(self, asked):
        """What its post asks for."""
        if "explode" in asked.post.text:
            raise ZeroDivisionError
        if "number" in asked.post.text:
            return [5]
        if "long" in asked.post.text:
            return [Proposal("x" * 300), Proposal("Short.")]
        if "database" in asked.post.text:
            raise OperationalError
        return iter(lambda: Proposal("For ever."), None)

    def rules(self):
        """Never changes."""
        return ""


@pytest.fixture
def clumsy(settings):
    """The only proposer is clumsy."""
    settings.REPLY_PROPOSERS = ["tests.publishing.test_candidates.Clumsy"]
    return settings


def test_a_failing_proposer_costs_that_proposal_only(workspace, clumsy):
    for author, text in enumerate(["explode", "a number", "too long", "fine"]):
        said(workspace, text, by=str(author))
    assert {post.text for post in cycle(workspace)} == {"too long", "fine"}
    assert workspace.candidates.filter(reason="proposer_failed").count() == 2
    assert QueueItem.objects.get(source_post__text="too long").text == "Short."


class Confused(Clumsy):
    """Does not know its own rules, nor its templates."""

    def propose(self, asked):
        """The template is none where it is asked for a number."""
        name: Any = 5 if "number" in asked.post.text else "a\x00b"
        return [Proposal(f"Hello {asked.post.author_username}.", name)]

    def rules(self):
        """A file went away in this moment."""
        raise FileNotFoundError


def test_a_proposer_that_fails_beside_its_proposals_keeps_nobody_waiting(workspace, settings):
    mine = "tests.publishing.test_candidates.Confused"
    settings.REPLY_PROPOSERS = [mine, "publishing.proposers.template.TemplateProposer"]
    for author, text in enumerate(["a number", "fine"]):
        said(workspace, text, by=str(author))
    assert {post.text for post in cycle(workspace)} == {"a number", "fine"}
    assert sorted(QueueItem.objects.values_list("origin", "template")) == [
        ("clumsy", "ab"),
        ("template", "en/mention:1"),
    ]


def test_where_one_proposer_fails_the_next_is_asked(workspace, clumsy):
    clumsy.REPLY_PROPOSERS += ["publishing.proposers.template.TemplateProposer"]
    said(workspace, "explode")
    assert len(cycle(workspace)) == 1
    assert QueueItem.objects.get().origin == "template"


def test_a_broken_database_is_no_fault_of_the_proposer(workspace, clumsy):
    post = said(workspace, "database")
    with pytest.raises(OperationalError):
        cycle(workspace)
    assert Candidate.objects.get(source_post=post).state == "new"


def test_without_rules_nothing_is_looked_at(workspace, settings, tmp_path):
    settings.CANDIDATES_FILE_PATH = str(tmp_path / "none.yaml")
    said(workspace)
    with pytest.raises(NoRanking, match="cannot be read"):
        cycle(workspace)
    assert not Candidate.objects.exists()


@pytest.mark.parametrize("file", ["CANDIDATES_FILE_PATH", "BRAND_VOICE_FILE_PATH"])
def test_a_plea_does_not_wait_for_a_file_to_be_mended(workspace, settings, tmp_path, file):
    """What is approved goes out meanwhile."""
    shipped = getattr(settings, file)
    setattr(settings, file, str(tmp_path / "none.yaml"))
    said(workspace, "please stop replying to me")
    for _ in range(2):
        with pytest.raises(RevFirstError, match="cannot be read"):
            cycle(workspace)
    assert OptOut.objects.get().author_id == "77"
    setattr(settings, file, shipped)
    assert cycle(workspace) == []
    assert Candidate.objects.get().reason == "opted_out"


def test_what_a_person_proposed_is_no_candidate_any_more(workspace):
    post = said(workspace)
    propose_item(workspace, text="Hi", source_post=post, actor=WORKER, now=NOW)
    assert (cycle(workspace), post.candidate.state) == ([], "queued")
    other = said(workspace, by="78", eligibility=SourcePost.Eligibility.NOT_SUMMONED)
    cycle(workspace)
    propose_item(workspace, text="Hi you", source_post=other, actor=WORKER, now=NOW)
    other.candidate.refresh_from_db()
    assert (other.candidate.state, other.candidate.reason) == ("queued", "")


def test_what_was_answered_while_it_was_taken_in_is_not_proposed_after_a_rejection(workspace):
    """The item was not there yet when its post was read, and found no candidate."""
    post = said(workspace)
    item = propose_item(workspace, text="Hi", source_post=post, actor=WORKER, now=NOW)
    new = {"rules": "", "intent": "thanks", "score": 1, "parts": {}, "found_at": NOW}
    Candidate.objects.create(source_post=post, workspace=workspace, **new)
    reject_item(item.pk, version=1, reason="No.", actor=operator(workspace), now=NOW)
    assert cycle(workspace) == []
    assert Candidate.objects.get().state == "queued"


def test_a_member_may_want_a_reply_to_what_was_passed_over(workspace):
    post = said(workspace, eligibility=SourcePost.Eligibility.NOT_SUMMONED)
    cycle(workspace)
    rui = Actor.operator(MembershipFactory(workspace=workspace, role="member").user, door="admin")
    item = propose_anyway(post.candidate, actor=rui, now=NOW)
    assert (item.state, item.origin, item.written_by) == ("pending", "template", None)
    post.candidate.refresh_from_db()
    assert post.candidate.state == "queued"
    with pytest.raises(AlreadyProposed):
        propose_anyway(post.candidate, actor=rui, now=NOW)


def test_nobody_is_bothered_who_wants_to_be_left_alone_whoever_asks(workspace):
    post = said(workspace)
    opt_out_author(post, actor=operator(workspace), now=NOW)
    cycle(workspace)
    with pytest.raises(Blocked, match="opted out"):
        propose_anyway(post.candidate, actor=operator(workspace), now=NOW)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"gone_at": NOW, "gone_reason": SourcePost.Gone.NOT_FOUND}, "not eligible"),
        ({"posted_at": NOW - timedelta(days=8)}, "too late"),
    ],
)
def test_what_could_not_be_sent_is_not_proposed_whoever_asks(workspace, fields, why):
    """The sweep would expire it at once, and the page had said that it was proposed."""
    post = said(workspace, **fields)
    cycle(workspace)
    with pytest.raises(RevFirstError, match=why):
        propose_anyway(post.candidate, actor=operator(workspace), now=NOW)
    assert not QueueItem.objects.exists()


def test_a_stranger_wants_nothing_here(workspace):
    said(workspace, eligibility=SourcePost.Eligibility.NOT_SUMMONED)
    cycle(workspace)
    stranger = Actor.operator(UserFactory(), door="admin")
    with pytest.raises(WorkspaceNotFound):
        propose_anyway(Candidate.objects.get(), actor=stranger, now=NOW)


def test_where_there_is_nothing_to_say_the_person_is_told(workspace, settings):
    settings.REPLY_PROPOSERS = []
    said(workspace)
    cycle(workspace)
    with pytest.raises(NothingToSay):
        propose_anyway(Candidate.objects.get(), actor=operator(workspace), now=NOW)


def test_many_posts_are_taken_in_with_few_statements(workspace, django_assert_max_num_queries):
    for number in range(300):
        said(workspace, by=str(number), eligibility=SourcePost.Eligibility.NOT_SUMMONED)
    with django_assert_max_num_queries(20):
        cycle(workspace)
    assert workspace.candidates.count() == 300


def test_an_edit_is_kept_word_by_word(workspace):
    said(workspace, "Lovely!")
    cycle(workspace)
    item = QueueItem.objects.get()
    before = item.text
    edit_item(item.pk, version=1, text="Thank you both!", actor=operator(workspace), now=NOW)
    edit = item.edits.get()
    assert (edit.version, edit.door) == (2, "admin")
    assert "".join(words for sign, words in edit.diff if sign != "+") == before
    assert "".join(words for sign, words in edit.diff if sign != "-") == "Thank you both!"


def test_a_difference_is_told_in_words():
    assert difference("Thank you, lia!", "Thank you so much, lia!") == [
        ("=", "Thank you"),
        ("+", " so much"),
        ("=", ", lia!"),
    ]


def test_the_page_shows_what_became_of_each_and_why(workspace, client):
    said(workspace, "The bag is torn & <b>wet</b>!", by="1")
    said(workspace, "passive income, ask me how", by="2")
    cycle(workspace)
    client.force_login(workspace.memberships.get().user)
    page = client.get(reverse("admin:publishing_candidate_changelist")).content.decode()
    assert "complaint 40 · summoned 20 · engagement 0 · recency 20" in page
    assert "skipped: promotion" in page
    assert "torn &amp; &lt;b&gt;wet" in page


def test_the_items_page_shows_score_and_edits(workspace, client):
    said(workspace, "Lovely!")
    cycle(workspace)
    item = QueueItem.objects.get()
    edit_item(item.pk, version=1, text="Hi <b>you</b>", actor=operator(workspace), now=NOW)
    client.force_login(workspace.memberships.get().user)
    page = client.get(reverse("admin:publishing_queueitem_change", args=[item.pk])).content.decode()
    assert "55 points: thanks 15 · summoned 20 · engagement 0 · recency 20" in page
    assert "template en/thanks:1, changed by" in page
    edits = page.partition('class="edits"')[2].partition("</ul>")[0]
    assert '<ins dir="auto">Hi</ins>' in edits
    assert "<b>" not in edits


def test_the_difference_of_long_links_is_found_in_no_time():
    """It is looked for while the item is locked."""
    before, after = ("https://x.example/" + piece * 480 for piece in ("a/", "a."))
    assert difference(before, after) == [("-", before), ("+", after)]


@pytest.mark.parametrize(
    "which", ["BRAND_VOICE_FILE_PATH", "CANDIDATES_FILE_PATH"], ids=["voice", "ranking"]
)
def test_a_plea_is_honoured_while_a_file_of_the_operators_cannot_be_used(
    workspace, settings, tmp_path, which
):
    setattr(settings, which, str(tmp_path / "nowhere.yaml"))
    said(workspace, "please stop replying to me")
    with pytest.raises((NoBrandVoice, NoRanking)):
        cycle(workspace)
    assert OptOut.objects.get().author_id == "77"
