"""When a workspace says something of its own: zones, clocks that change, windows and slots."""

from datetime import UTC, date, datetime, time, timedelta

import pytest

from publishing.errors import NotATime, NoTimeZone
from publishing.plan import APART, Plan, Window, zone_called, zones

BERLIN = "Europe/Berlin"
SPRING, AUTUMN = date(2027, 3, 28), date(2026, 10, 25)  # Sundays on which Berlin changes its clocks
MONDAY = date(2026, 11, 30)


def plan(
    *windows: tuple[int, int, int], zone: str = BERLIN, target: int = 0, late: int = 60
) -> Plan:
    """A plan with windows of weekday, opening and closing hour."""
    hours = tuple(Window(day, 60 * opens, 60 * closes) for day, opens, closes in windows)
    return Plan(zone, target, timedelta(minutes=late), hours)


def utc(text: str) -> datetime:
    """An instant."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def told(instants, of: Plan) -> list[str]:
    """As the plan's clocks show them."""
    return [f"{of.local(instant):%H:%M}" for instant in instants]


# --- Clocks -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "at", "instant"),
    [
        (MONDAY, time(9), "2026-11-30T08:00"),
        (SPRING, time(1, 59), "2027-03-28T00:59"),
        (SPRING, time(3), "2027-03-28T01:00"),
        (AUTUMN, time(1, 59), "2026-10-24T23:59"),
        (AUTUMN, time(2, 30), "2026-10-25T00:30"),
        (AUTUMN, time(2, 30, fold=1), "2026-10-25T00:30"),
        (AUTUMN, time(3), "2026-10-25T02:00"),
    ],
)
def test_a_local_time_is_one_instant_and_the_first_of_two(day, at, instant):
    assert plan().instant(day, at) == utc(instant)


@pytest.mark.parametrize("at", [time(2), time(2, 30), time(2, 59)])
def test_a_time_that_the_clocks_leave_out_is_refused_with_what_they_do(at):
    with pytest.raises(NotATime, match=r"no 02:\d\d on Sun 28 Mar 2027.*forward to 03:00"):
        plan().instant(SPRING, at)


@pytest.mark.parametrize("year", [1, 1999, 2200, 9999])
def test_a_year_that_nobody_plans_for_is_refused(year):
    with pytest.raises(NotATime, match=f"year {year}"):
        plan(zone="Pacific/Kiritimati").instant(date(year, 1, 1), time(0))


def test_a_zone_that_this_host_does_not_have_is_said():
    for name in ("Mars/Olympus", "../../etc/passwd", ""):
        with pytest.raises(NoTimeZone, match="tzdata"):
            zone_called(name)


def test_zones_are_places_and_utc():
    assert {"UTC", "Europe/Lisbon", "America/Sao_Paulo", "Africa/Maputo"} <= zones()
    assert not {"Etc/GMT+5", "EST5EDT", "localtime", "Factory"} & zones()


def test_an_instant_is_told_by_the_clocks_and_in_utc():
    instant = utc("2026-11-30T23:30")
    assert plan().in_words(instant) == "Tue 01 Dec 2026 00:30 Europe/Berlin (Mon 30 Nov 23:30 UTC)"
    assert plan(zone="UTC").in_words(instant) == "Mon 30 Nov 2026 23:30 UTC"


# --- Windows ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "fits"),
    [("08:59", False), ("09:00", True), ("11:55", True), ("11:56", False), ("12:00", False)],
)
def test_something_fits_into_a_window_up_to_five_minutes_before_it_closes(at, fits):
    given = plan((0, 9, 12))
    instant = given.instant(MONDAY, time.fromisoformat(at))
    assert (given.span_of(instant) is not None) == fits


def test_a_window_is_of_its_weekday_alone():
    given = plan((0, 9, 12))
    assert given.span_of(given.instant(MONDAY + timedelta(days=1), time(10))) is None
    assert given.span_of(given.instant(MONDAY + timedelta(days=7), time(10))) is not None


@pytest.mark.parametrize(
    ("day", "hours", "span"),
    [
        (MONDAY, (0, 24), ("2026-11-29T23:00", "2026-11-30T23:00")),
        (SPRING, (0, 24), ("2027-03-27T23:00", "2027-03-28T22:00")),  # a day of 23 hours
        (AUTUMN, (0, 24), ("2026-10-24T22:00", "2026-10-25T23:00")),  # and one of 25
        (AUTUMN, (1, 4), ("2026-10-24T23:00", "2026-10-25T03:00")),
        (SPRING, (1, 4), ("2027-03-28T00:00", "2027-03-28T02:00")),
    ],
)
def test_a_window_is_as_long_as_the_clocks_make_it(day, hours, span):
    (found,) = plan((day.weekday(), *hours)).spans(day)
    assert (found.opens, found.closes) == tuple(map(utc, span))


def test_a_window_begins_when_the_clocks_show_a_time_of_it():
    half_past = Plan(BERLIN, 0, timedelta(hours=1), (Window(6, 150, 240),))
    assert half_past.spans(SPRING)[0].opens == utc("2027-03-28T01:00")  # 03:00, there is no 02:30
    assert plan((6, 2, 3)).spans(SPRING) == []  # nothing of it is left


def test_a_day_that_begins_after_midnight_begins_when_its_clocks_say():
    cairo = plan(zone="Africa/Cairo")
    assert cairo.midnight(date(2027, 4, 30)) == utc("2027-04-29T22:00")  # 00:00 is left out


@pytest.mark.parametrize(
    ("late", "at", "until"), [(60, "09:00", "10:00"), (60, "11:30", "12:00"), (5, "11:55", "12:00")]
)
def test_it_is_too_late_when_the_window_closed_or_so_many_minutes_passed(late, at, until):
    given = plan((0, 9, 12), late=late)
    instant = given.instant(MONDAY, time.fromisoformat(at))
    assert told([given.until(instant)], given) == [until]


def test_without_windows_it_is_too_late_after_so_many_minutes():
    assert plan(late=30).until(utc("2026-11-30T09:00")) == utc("2026-11-30T09:30")


def test_the_next_windows_are_named():
    given = plan((0, 9, 12), (0, 17, 24), (2, 9, 10))
    assert given.next_windows(given.instant(MONDAY, time(13))) == (
        "Mon 30 Nov 17:00–24:00, Wed 02 Dec 09:00–10:00, Mon 07 Dec 09:00–12:00"
    )


# --- Slots --------------------------------------------------------------------------------------


def test_slots_come_every_half_hour_and_keep_their_distance_from_what_is_planned():
    given = plan((0, 9, 11))
    taken = [given.instant(MONDAY, time(9, 40))]
    free = given.slots(MONDAY, taken=taken, after=utc("2026-11-01T00:00"))
    assert told(free, given) == ["09:00", "10:30"]


def test_a_slot_that_is_over_is_none():
    given = plan((0, 9, 11))
    after = given.instant(MONDAY, time(9, 31))
    assert told(given.slots(MONDAY, taken=[], after=after), given) == ["10:00", "10:30"]


def test_an_hour_that_comes_twice_has_slots_once():
    given = plan((6, 2, 3))
    free = list(given.slots(AUTUMN, taken=[], after=utc("2026-10-01T00:00")))
    assert told(free, given) == ["02:00", "02:30"]
    assert [given.instant(AUTUMN, given.local(slot).time()) for slot in free] == free


def test_the_next_slot_spreads_over_the_windows_and_keeps_to_the_target():
    given = plan((0, 9, 12), (0, 17, 20), (1, 9, 12), target=2)
    now, taken = given.instant(MONDAY, time(8)), list[datetime]()
    for _ in range(3):
        slot = given.next_slot(taken=taken, now=now)
        assert slot is not None
        taken.append(slot)
    assert [f"{given.local(slot):%a %H:%M}" for slot in taken] == [
        "Mon 09:00",
        "Mon 17:00",
        "Tue 09:00",
    ]


def test_a_slot_leaves_time_to_approve():
    given = plan((0, 9, 12))
    slot = given.next_slot(taken=[], now=given.instant(MONDAY, time(8, 46)))
    assert slot is not None
    assert told([slot], given) == ["09:30"]


def test_where_everything_is_taken_there_is_no_slot():
    given = plan((0, 9, 10))
    days = [MONDAY + timedelta(days=7 * week) for week in range(10)]
    taken = [given.instant(day, time(9)) + n * APART for day in days for n in range(2)]
    assert given.next_slot(taken=taken, now=given.instant(MONDAY, time(8))) is None
