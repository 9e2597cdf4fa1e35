"""The calendar in the admin: who sees it, what it shows, a new post, another time, and the plan."""

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from publishing import calendar_page
from publishing.models import QueueItem
from publishing.services import change_plan, plan_of, plan_post
from publishing.states import State
from tests.factories import (
    MembershipFactory,
    QueueItemFactory,
    UserFactory,
    WorkspaceFactory,
    XAccountFactory,
)
from tests.locks import held
from tests.worlds import operator
from workspaces.actors import Actor
from workspaces.models import AuditEvent, User
from x_integration import prices
from x_integration.prices import POST_WITH_URL, TARIFFS, Tariff, utc_day

pytestmark = pytest.mark.django_db(transaction=True)
NOW = datetime(2026, 11, 30, 8, tzinfo=UTC)  # a Monday
LIST, ADD = (reverse(f"admin:publishing_ownpost_{name}") for name in ("changelist", "add"))
EVERY_DAY = dict.fromkeys(
    ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"), ((0, 1440),)
)


@pytest.fixture
def cafe():
    """A workspace with an account and an owner."""
    workspace = XAccountFactory(workspace__slug="cafe").workspace
    MembershipFactory(workspace=workspace, role="owner")
    return workspace


@pytest.fixture
def ana(cafe):
    """The browser of an operator."""
    return browser(MembershipFactory(workspace=cafe).user)


@pytest.fixture
def mia(cafe):
    """The browser of a member."""
    return browser(MembershipFactory(workspace=cafe, role="member").user)


def browser(user: User) -> Client:
    """Somebody is signed in."""
    client = Client()
    client.force_login(user)
    return client


def set_plan(workspace, **changes):
    """As the command line would."""
    change_plan(workspace, changes=changes, actor=Actor.command(), now=NOW)


def shown(answer) -> str:
    """The page in one line."""
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def planned(workspace, *, hours: float = 24, text: str = "Open until ten!") -> QueueItem:
    """A post in so many hours."""
    now = timezone.now()
    at = now + timedelta(hours=hours)
    return plan_post(workspace, text=text, at=at, actor=operator(workspace), now=now)


def form_of(workspace, **more):
    """What a browser sends of the form of a new post."""
    return {
        "workspace": str(workspace.pk),
        "text": "Open until ten!",
        "day": "",
        "time": "",
        **more,
    }


def plan_form(client, workspace, **changed):
    """What a browser sends of the plan's form, with what a person changed in it."""
    url = reverse("admin:publishing_ownpost_plan", args=[workspace.pk])
    form = client.get(url).context["form"]
    shown = {name: form[name].value() for name in form.fields}
    shown = {name: field.prepare_value(shown[name]) for name, field in form.fields.items()}
    told = {form.add_initial_prefix(name): value for name, value in shown.items()}
    told |= {form.add_prefix(name): value for name, value in {**shown, **changed}.items()}
    return client.post(url, told, follow=True)


# --- Who gets in --------------------------------------------------------------------------------


def test_another_workspaces_calendar_is_missing(cafe):
    item = planned(cafe)
    stranger = browser(MembershipFactory().user)
    assert item.text not in shown(stranger.get(LIST))
    plan = reverse("admin:publishing_ownpost_plan", args=[cafe.pk])
    post = reverse("admin:publishing_ownpost_change", args=[item.pk])
    for address in (f"{LIST}?workspace=cafe", plan, post):
        assert stranger.get(address).status_code == 404
    assert stranger.post(plan, {"plan-posts_per_day": "9"}).status_code == 404


@pytest.mark.parametrize("superuser", [False, True])
def test_who_belongs_to_no_workspace_sees_no_calendar(cafe, superuser):
    nobody = browser(UserFactory(is_superuser=superuser))
    for address in (LIST, ADD):
        assert nobody.get(address).status_code == 403
    assert nobody.post(ADD, form_of(cafe)).status_code == 403


def test_a_stranger_plans_nothing_for_a_workspace_by_its_id(cafe):
    stranger = browser(MembershipFactory().user)
    answer = stranger.post(ADD, form_of(cafe))
    assert "not one of the available choices" in shown(answer)
    assert not QueueItem.objects.exists()


def test_a_post_leads_to_its_page_in_the_queue(cafe, mia):
    item = planned(cafe)
    answer = mia.get(reverse("admin:publishing_ownpost_change", args=[item.pk]))
    assert answer["Location"] == reverse("admin:publishing_queueitem_change", args=[item.pk])


def test_a_reply_is_no_post_of_our_own(cafe, mia):
    reply = QueueItemFactory(workspace=cafe)
    assert mia.get(reverse("admin:publishing_ownpost_change", args=[reply.pk])).status_code == 404
    assert reply.text not in shown(mia.get(LIST))


@pytest.mark.parametrize("query", ["workspace=%00", "workspace=nobody", "workspace=%ED%A0%80"])
def test_a_workspace_that_is_none_is_missing(ana, query):
    assert ana.get(f"{LIST}?{query}").status_code == 404


# --- What it shows ------------------------------------------------------------------------------


def test_the_calendar_shows_posts_by_day_with_time_state_price_and_free_slots(cafe, ana):
    set_plan(cafe, **EVERY_DAY, time_zone="Africa/Maputo", posts_per_day=2)
    item = planned(cafe, text="See our menu at example.com")
    at = plan_of(cafe).local(item.takes_place_at)
    page = shown(ana.get(LIST))
    day = page.partition(f'id="day-{at:%Y-%m-%d}"')[2].partition("</section>")[0]
    assert f"<b>{at:%H:%M}</b> <small>" in day
    assert f"{item.takes_place_at:%H:%M} UTC</small>" in day
    assert "1 of 2 planned" in day
    assert "00:00–24:00" in day
    assert 'class="state state-pending">Pending' in day
    assert "$0.200, for its link" in day
    assert item.text in day
    assert re.search(r'href="[^"]*add/\?workspace=cafe&amp;day=[-\d]+&amp;time=\d\d:\d\d"', day)


def days_of(workspace, asked: str = ""):
    """The days of the page, by date, as at NOW."""
    page = calendar_page.calendar_page(workspace, asked, NOW)
    return {each.day: each for each in (*page["ahead"], *page["back"])}


def test_fourteen_days_ahead_and_seven_back_are_shown_and_any_week_can_be_asked_for(cafe):
    days = days_of(cafe)
    assert (min(days), max(days)) == (date(2026, 11, 23), date(2026, 12, 13))
    assert [day for day, each in days.items() if each.is_today] == [date(2026, 11, 30)]
    assert min(days_of(cafe, "2027-03-01")) == date(2027, 2, 22)


@pytest.mark.parametrize(
    "asked", ["", "tomorrow", "9999-12-31", "0001-01-01", "2026-13-01", "\x00"]
)
def test_a_day_that_is_none_is_today(cafe, asked):
    assert min(days_of(cafe, asked)) == date(2026, 11, 23)


def test_a_day_is_one_of_the_workspaces_clocks(cafe):
    set_plan(cafe, time_zone="Pacific/Auckland")  # 13 hours ahead
    at = NOW + timedelta(hours=4)
    plan_post(cafe, text="Good morning!", at=at, actor=operator(cafe), now=NOW)
    (entry,) = days_of(cafe)[date(2026, 12, 1)].entries
    assert (entry.at, entry.utc) == ("01:00", "Mon 30 Nov 12:00 UTC")


@pytest.mark.parametrize(
    ("state", "day", "told"),
    [
        (State.PENDING, 30, "1 of 2 planned"),
        (State.REJECTED, 30, "0 of 2 planned"),
        (State.PUBLISHED, 29, "1 of 2 published"),
        (State.EXPIRED, 29, "0 of 2 published"),
    ],
)
def test_a_day_is_counted_against_its_target(cafe, state, day, told):
    set_plan(cafe, posts_per_day=2)
    at = NOW.replace(day=day, hour=12)
    plan_post(cafe, text="Hi!", at=at, actor=operator(cafe), now=at - timedelta(hours=4))
    QueueItem.objects.update(state=state, x_post_id="1" if state == State.PUBLISHED else "")
    count = days_of(cafe)[at.date()].count
    assert count
    assert count.word == told


def test_a_day_without_a_window_has_no_target(cafe):
    set_plan(cafe, posts_per_day=2, monday=((540, 720),))
    days = days_of(cafe)
    assert [day for day, each in days.items() if each.count] == [
        *(date(2026, 11, 30), date(2026, 12, 7), date(2026, 11, 23)),
    ]


def test_what_is_odd_about_a_post_is_said(cafe):
    who = operator(cafe)
    at = NOW + timedelta(hours=1)
    plan_post(cafe, text="Good morning!", at=at, actor=who, now=NOW)
    set_plan(cafe, monday=((1020, 1200),))
    assert "outside the windows" in days_of(cafe)[NOW.date()].entries[0].note
    QueueItem.objects.update(state=State.EXPIRED)
    assert "missed" in days_of(cafe)[NOW.date()].entries[0].note


def test_free_slots_are_named_up_to_four(cafe):
    set_plan(cafe, monday=((540, 720),))
    day = days_of(cafe)[NOW.date()]
    assert (day.slots, day.more_slots) == (["09:00", "09:30", "10:00", "10:30"], 2)
    assert days_of(cafe)[date(2026, 11, 23)].slots == []


def test_texts_are_escaped(cafe, ana):
    planned(cafe, text="Fish & <b>chips</b>")
    assert "Fish &amp; &lt;b&gt;chips&lt;/b&gt;" in shown(ana.get(LIST))


def test_the_calendar_asks_a_fixed_number_of_questions(cafe, ana, django_assert_num_queries):
    with django_assert_num_queries(11):
        ana.get(LIST)
    for hours in range(24, 30):
        planned(cafe, hours=hours, text=f"Number {hours} is ready in the morning.")
    with django_assert_num_queries(11):
        ana.get(LIST)


def test_somebody_of_two_workspaces_chooses(cafe, ana):
    bar = WorkspaceFactory(slug="bar", owner=User.objects.get(pk=ana.session["_auth_user_id"]))
    assert "bar <small>" in shown(ana.get(LIST))
    assert "cafe <small>" in shown(ana.get(f"{LIST}?workspace=cafe"))
    assert f'value="{bar.pk}" selected' in shown(ana.get(f"{ADD}?workspace=bar"))


def test_pages_obey_the_content_security_policy(cafe, ana):
    plan = reverse("admin:publishing_ownpost_plan", args=[cafe.pk])
    for address in (LIST, ADD, plan):
        page = shown(ana.get(address))
        assert ' style="' not in page
        assert "<style" not in page


# --- A new post ---------------------------------------------------------------------------------


def test_a_member_plans_a_post_by_the_workspaces_clocks_and_is_told_its_price(cafe, mia):
    set_plan(cafe, time_zone="Europe/Berlin")
    day = plan_of(cafe).local(timezone.now()).date() + timedelta(days=2)
    form = form_of(cafe, text="See example.com\r\nfor more", day=str(day), time="09:30")
    page = shown(mia.post(ADD, form, follow=True))
    item = QueueItem.objects.get()
    assert f"{plan_of(cafe).local(item.takes_place_at):%Y-%m-%d %H:%M}" == f"{day} 09:30"
    assert (item.text, item.state) == ("See example.com\nfor more", State.PENDING)
    assert f"#{item.number} is planned for" in page
    assert "X charges $0.200 (post with url)" in page
    assert AuditEvent.objects.get(type="item.propose").door == "admin"


def test_without_a_day_and_a_time_it_takes_the_next_slot(cafe, ana):
    set_plan(cafe, **EVERY_DAY)
    ana.post(ADD, form_of(cafe))
    item = QueueItem.objects.get()
    assert timezone.now() < item.takes_place_at < timezone.now() + timedelta(minutes=50)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"day": "2026-11-01", "time": "09:00"}, "That time is over"),
        ({"day": "2099-01-01", "time": "09:00"}, "more than ten years ahead"),
        ({"day": "2031-03-30", "time": "02:30"}, "There is no 02:30 on Sun 30 Mar 2031"),
        ({"day": "2031-03-30"}, "Give the day and the time, or neither"),
        ({"time": "09:00"}, "Give the day and the time, or neither"),
        ({}, "has no publish windows"),
        ({"day": "soon", "time": "09:00"}, "Enter a valid date"),
        ({"day": "2031-03-30", "time": "25:00"}, "Enter a valid time"),
        (
            {"text": "@stranger, hello!", "day": "2031-01-01", "time": "09:00"},
            "asked to be mentioned",
        ),
    ],
)
def test_what_was_typed_survives_a_refusal_that_says_what_is_wrong(cafe, ana, more, sentence):
    set_plan(cafe, time_zone="Europe/Berlin")
    answer = ana.post(ADD, form_of(cafe, **{"text": "Open <until> ten!", **more}))
    page, form = shown(answer), answer.context["form"]
    assert sentence in page
    assert {name: form[name].value() for name in more} == more
    assert form["text"].value() == more.get("text", "Open <until> ten!")
    assert not QueueItem.objects.exists()


def test_the_form_names_the_prices_that_hold_today(cafe, ana, monkeypatch):
    assert "makes it cost $0.20 in place of $0.015" in shown(ana.get(ADD))
    dearer = Tariff(utc_day(timezone.now()), POST_WITH_URL, Decimal("0.31"), "X")
    monkeypatch.setattr(prices, "TARIFFS", (*TARIFFS, dearer))
    assert "makes it cost $0.31 in place of $0.015" in shown(ana.get(ADD))


def test_a_workspace_that_somebody_holds_loses_nothing_of_what_was_typed(cafe, ana):
    with held(cafe):
        answer = ana.post(ADD, form_of(cafe, day="2031-01-02", time="09:30"))
    assert "Nothing was changed: somebody holds" in shown(answer)
    assert answer.context["form"]["text"].value() == "Open until ten!"
    assert not QueueItem.objects.exists()


def test_a_slot_that_was_chosen_in_the_calendar_stands_in_the_form(cafe, ana):
    page = shown(ana.get(f"{ADD}?workspace=cafe&day=2031-01-01&time=09:30"))
    assert 'value="2031-01-01"' in page
    assert 'value="09:30"' in page


# --- Another time -------------------------------------------------------------------------------


def move(client, item, day, time):
    """Press the button on the item's page."""
    page = reverse("admin:publishing_queueitem_change", args=[item.pk])
    form = {"decision": "reschedule", f"version-{item.pk}": item.version, "day": day, "time": time}
    return client.post(page, form, follow=True)


@pytest.mark.parametrize("state", [State.PENDING, State.EXPIRED])
def test_an_operator_gives_a_post_another_time_on_its_page(cafe, ana, state):
    item = planned(cafe)
    QueueItem.objects.update(state=state)
    day = (timezone.now() + timedelta(days=3)).date()
    assert "reschedule is done" in shown(move(ana, item, str(day), "09:30"))
    item.refresh_from_db()
    assert (item.state, item.version) == (State.PENDING, 2)
    assert f"{item.takes_place_at:%Y-%m-%d %H:%M}" == f"{day} 09:30"


def test_without_a_day_and_a_time_a_post_moves_to_the_next_slot(cafe, ana):
    item = planned(cafe)
    set_plan(cafe, **EVERY_DAY)
    assert "reschedule is done" in shown(move(ana, item, "", ""))
    item.refresh_from_db()
    assert item.takes_place_at < timezone.now() + timedelta(minutes=50)


def test_a_time_that_will_not_do_is_refused_and_stays_in_the_fields(cafe, ana):
    item = planned(cafe)
    page = shown(move(ana, item, "2026-01-01", "09:31"))
    assert "That time is over" in page
    assert 'name="day" value="2026-01-01"' in page
    assert 'name="time" value="09:31"' in page
    assert "Enter a valid date" in shown(move(ana, item, "soon", "09:31"))
    item.refresh_from_db()
    assert item.version == 1


def test_a_missed_post_is_offered_another_time_and_no_plain_retry(cafe, ana):
    item = planned(cafe)
    now = timezone.now()
    QueueItem.objects.update(state=State.EXPIRED, relevant_until=now - timedelta(minutes=1))
    page = shown(ana.get(reverse("admin:publishing_queueitem_change", args=[item.pk])))
    assert 'value="reschedule"' in page
    assert 'value="retry"' not in page


def test_a_member_gives_no_post_another_time(cafe, mia):
    item = planned(cafe)
    day = (timezone.now() + timedelta(days=3)).date()
    assert "is done" not in shown(move(mia, item, str(day), "09:30"))
    item.refresh_from_db()
    assert item.version == 1


def test_the_items_page_says_when_it_goes_out(cafe, ana):
    set_plan(cafe, time_zone="Africa/Maputo")
    item = planned(cafe)
    page = shown(ana.get(reverse("admin:publishing_queueitem_change", args=[item.pk])))
    assert plan_of(cafe).in_words(item.takes_place_at) in page


# --- The plan -----------------------------------------------------------------------------------


def test_an_operator_sets_windows_zone_and_target(cafe, ana):
    windows = "17:00-24:00, 9:00 – 12:00"
    answer = plan_form(ana, cafe, monday=windows, time_zone="Africa/Maputo", posts_per_day="2")
    assert "The plan is changed." in shown(answer)
    plan = plan_of(cafe)
    assert [str(window) for window in plan.windows] == ["09:00–12:00", "17:00–24:00"]
    assert (plan.zone_name, plan.posts_per_day) == ("Africa/Maputo", 2)
    event = AuditEvent.objects.get(type="workspace.posting_plan")
    assert event.data["monday"] == ["closed", "09:00–12:00, 17:00–24:00"]
    page = shown(ana.get(reverse("admin:workspaces_workspace_change", args=[cafe.pk])))
    assert "plan of own posts changed" in page
    assert "monday: closed → 09:00–12:00, 17:00–24:00" in page


def test_what_somebody_else_changed_meanwhile_stays(cafe, ana):
    form = ana.get(reverse("admin:publishing_ownpost_plan", args=[cafe.pk]))
    set_plan(cafe, posts_per_day=3, monday=((540, 720),))
    assert form.status_code == 200
    told = {"plan-time_zone": "Africa/Maputo", "initial-plan-time_zone": "UTC"}
    told |= {"plan-posts_per_day": "0", "initial-plan-posts_per_day": "0"}
    told |= {"plan-late_minutes": "60", "initial-plan-late_minutes": "60"}
    ana.post(reverse("admin:publishing_ownpost_plan", args=[cafe.pk]), told)
    plan = plan_of(cafe)
    assert (plan.zone_name, plan.posts_per_day, len(plan.windows)) == ("Africa/Maputo", 3, 1)


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("nine to five", "“nine to five” is no window: write it like 09:00-12:00"),
        ("09:00-12:00 17:00-20:00", "is no window"),
        ("9-12", "is no window"),
        ("25:00-26:00", "is no window"),
        ("12:00-09:00", "Monday: 12:00–09:00 does not close after it opens"),
        ("20:00-24:30", "does not close after it opens, on the same day"),
        ("09:00-12:00, 11:00-13:00", "overlap"),
        ("-", "is no window"),
    ],
)
def test_hours_that_are_none_are_refused_beside_the_field_and_kept(cafe, ana, typed, sentence):
    answer = plan_form(ana, cafe, monday=typed, posts_per_day="2")
    assert sentence in shown(answer)
    form = answer.context["form"]
    assert (form["monday"].value(), form["posts_per_day"].value()) == (typed, "2")
    assert plan_of(cafe).windows == ()


def test_a_member_sees_the_windows_and_changes_none(cafe, mia):
    set_plan(cafe, monday=((540, 720),))
    url = reverse("admin:publishing_ownpost_plan", args=[cafe.pk])
    page = shown(mia.get(url))
    assert "09:00–12:00" in page
    assert "Save the plan" not in page
    answer = mia.post(
        url, {"plan-posts_per_day": "9", "plan-late_minutes": "60", "plan-time_zone": "UTC"}
    )
    assert "Only" in shown(answer)
    assert plan_of(cafe).posts_per_day == 0
