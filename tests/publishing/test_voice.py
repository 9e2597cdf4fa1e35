"""The brand voice file: read as it stands, and a broken one lets nothing through."""

import pytest
from django.core import checks
from django.utils import timezone

from publishing import voice
from publishing.errors import BadContent, NoBrandVoice
from publishing.guards import Case, objections
from publishing.models import QueueItem
from publishing.proposers import Asked
from publishing.proposers.template import TemplateProposer
from publishing.services import edit_item, propose_item, propose_replies
from publishing.services.content import objections_to
from publishing.states import State
from tests.factories import (
    QueueItemFactory,
    SourcePostFactory,
    UserFactory,
    WorkspaceFactory,
    XAccountFactory,
)
from tests.worlds import WORKER, operator

LONG = "We open at nine on Mondays, as always. See you there!"


@pytest.fixture
def write(settings, tmp_path):
    """Write a voice file and use it."""
    settings.BRAND_VOICE_FILE_PATH = str(tmp_path / "voice.yaml")

    def write(content: str | bytes) -> None:
        path = tmp_path / "voice.yaml"
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    return write


def found() -> list[str | None]:
    """What the system check says."""
    return [problem.id for problem in checks.run_checks(tags=["publishing"])]


def test_the_file_that_we_ship_is_good_and_mild(repository):
    assert found() == []
    for path in (repository / "templates/publishing/replies").glob("*/*.txt"):
        lang = path.parent.name
        post = SourcePostFactory.build(lang=lang, text="Nice", workspace=None)
        for variant in TemplateProposer().propose(Asked(post, path.stem)):
            case = Case(variant.text, voice.current().rules(lang), [post.author_username])
            assert list(objections(case)) == []


def test_a_language_adds_to_what_holds_for_every_language(write):
    write("""
languages:
  "*": {banned_terms: [cheap], emoji_at_most: 3, mentions: ["@Rui"]}
  pt: {banned_terms: [barato], emoji_at_most: 1, mentions: [bia]}
""")
    rules = voice.current().rules
    assert rules("pt-BR").banned_terms == ("cheap", "barato")
    assert (rules("PT").emoji_at_most, rules("en").emoji_at_most) == (1, 3)
    assert (rules("pt").mentions, rules("").mentions) == (("rui", "bia"), ("rui",))


def test_an_edit_counts_at_once(write):
    write('languages: {"*": {emoji_at_most: 3}}')
    assert voice.current().rules("").emoji_at_most == 3
    write('languages: {"*": {emoji_at_most: 14}}')
    assert voice.current().rules("").emoji_at_most == 14


BROKEN = {
    "nothing": ("", '"languages" must name languages'),
    "no YAML": ("languages: [", "line 1: it is not YAML"),
    "an object of Python's": ("!!python/object/apply:os.system [id]", "line 1: it is not YAML"),
    "a list": ("- a", "The file must hold names and values."),
    "no general rules": ("languages: {pt: {}}", '"languages" must name languages'),
    "a word that is not known": (
        'languages: {"*": {}}\nlangs: 1',
        'The file has "langs", which is not',
    ),
    "a rule that is not known": (
        'languages: {"*": {emojis: 1}}',
        '"\\*" has "emojis", which is not known',
    ),
    "a negative number": ('languages: {"*": {emoji_at_most: -1}}', "must be a whole number from 0"),
    "a flag as number": ('languages: {"*": {emoji_at_most: yes}}', "must be a whole number from 0"),
    "a term alone": ('languages: {"*": {banned_terms: cheap}}', "must be a list of words"),
    "a term that is none": ('languages: {"*": {banned_terms: [no]}}', 'in quotes if it is "no"'),
    "a blank term": ('languages: {"*": {banned_terms: [" "]}}', "must be a list of words"),
    "a link as host": ('languages: {"*": {links: ["https://a.b"]}}', "a list of hosts"),
    "a mention of nobody": ('languages: {"*": {mentions: ["@"]}}', "must be a list of @names"),
    "Norwegian": ('languages: {"*": {}, no: {}}', '"False" is no language'),
    "a share": ('languages: {"*": {}}\nsimilarity: {alike_from: 0.9}', "from 50 to 100"),
    "no text": (b"\xff\xfe\x00", "not UTF-8"),
    "far too much": ("# " + "x" * 100_001, "larger than 100,000 bytes"),
    "depth": ("[" * 20_000, "it is not YAML"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_found_and_named_with_a_sentence(write, name):
    content, why = BROKEN[name]
    write(content)
    with pytest.raises(NoBrandVoice, match=why) as refused:
        voice.current()
    assert "voice.yaml" in str(refused.value)
    assert found() == ["publishing.E002"]


def test_everything_that_is_wrong_is_said_together(write):
    write('languages: {"*": {emoji_at_most: -1, cashtags: 7}}\nlangs: 1')
    with pytest.raises(NoBrandVoice, match=r"langs.*emoji_at_most.*cashtags"):
        voice.current()


def test_a_file_that_is_not_there_is_named(settings):
    settings.BRAND_VOICE_FILE_PATH = "/nowhere/voice.yaml"
    with pytest.raises(NoBrandVoice, match="/nowhere/voice.yaml cannot be read"):
        voice.current()


with_a_database = pytest.mark.django_db(transaction=True)


@pytest.fixture
def cafe():
    """A connected workspace with an owner."""
    return XAccountFactory(workspace=WorkspaceFactory(owner=UserFactory())).workspace


def propose(workspace, text, post=None):
    """Propose now."""
    return propose_item(workspace, text=text, source_post=post, actor=WORKER, now=timezone.now())


@with_a_database
def test_with_a_broken_file_nothing_is_proposed_or_edited(write, cafe):
    post = SourcePostFactory(workspace=cafe, text="Lovely!")
    item = QueueItemFactory(workspace=cafe)
    write("languages: [")
    with pytest.raises(NoBrandVoice):
        propose(cafe, "Good morning")
    with pytest.raises(NoBrandVoice):
        propose_replies(cafe, actor=WORKER, now=post.posted_at)
    with pytest.raises(NoBrandVoice):
        edit_item(item.pk, version=1, text="New", actor=operator(cafe), now=item.moved_at)
    assert list(QueueItem.objects.values_list("pk", "version")) == [(item.pk, 1)]


@with_a_database
def test_a_reply_follows_the_language_of_the_post_and_a_post_what_holds_for_all(write, cafe):
    write('languages: {"*": {}, pt: {banned_terms: [barato]}}')
    post = SourcePostFactory(workspace=cafe, lang="pt")
    with pytest.raises(BadContent, match="does not say “barato”"):
        propose(cafe, "É barato", post)
    assert propose(cafe, "É barato").state == State.PENDING


@with_a_database
def test_a_reply_mentions_whom_it_answers_and_whom_they_named(cafe):
    post = SourcePostFactory(workspace=cafe, author_username="Lia", text="@cafe with @Ana")
    with pytest.raises(BadContent, match="Nobody there asked to be mentioned: @eva"):
        propose(cafe, "@lia @ana @eva hello", post)
    assert propose(cafe, "@lia @ana hello", post).state == State.PENDING


@with_a_database
def test_a_post_of_our_own_mentions_nobody_whom_the_file_does_not_name(write, cafe):
    write('languages: {"*": {mentions: [rui]}}')
    assert propose(cafe, "With @rui tonight").state == State.PENDING
    with pytest.raises(BadContent, match="@eva"):
        propose(cafe, "With @eva tonight")


@with_a_database
def test_an_edit_is_held_against_the_post_that_is_answered_and_not_against_the_item_itself(cafe):
    post = SourcePostFactory(workspace=cafe, author_username="lia")
    item = propose(cafe, LONG, post)
    who = operator(cafe)
    edited = edit_item(item.pk, version=1, text=LONG.upper(), actor=who, now=item.moved_at)
    with pytest.raises(BadContent, match="@eva"):
        edit_item(item.pk, version=2, text="@lia @eva", actor=who, now=item.moved_at)
    assert edited.text == LONG.upper()


@with_a_database
def test_the_same_long_text_is_refused_among_the_latest_of_the_workspace(cafe):
    first = propose(cafe, LONG)
    with pytest.raises(BadContent, match="It is 100 % like one of the latest texts"):
        propose(cafe, f"  {LONG.upper()}")
    assert propose(XAccountFactory(workspace=WorkspaceFactory()).workspace, LONG).number == 1
    QueueItem.objects.filter(pk=first.pk).update(state=State.REJECTED)
    assert propose(cafe, LONG).number == 2


@with_a_database
def test_a_page_is_told_everything_at_once(cafe):
    found = objections_to("$A $B @eva", workspace=cafe, source_post=None)
    assert [each.guard for each in found] == ["cashtags", "mentions"]
