"""The right rider, once: the statement on a real database."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import psycopg
import pytest

from worker.clients import postgres
from worker.policy import POLICY, vary

SYDNEY = ZoneInfo("Australia/Sydney")
LINE = {"route_id": "T1"}


@pytest.mark.parametrize(
    ("favorite", "is_told"),
    [
        ({"route_id": "T1"}, True),
        ({"route_id": "T2"}, False),
        ({"route_id": "T1", "stop_id": "P1"}, True),
        ({"route_id": "T1", "stop_id": "Y"}, False),
        ({"route_id": "T2", "stop_id": "P1"}, False),
        ({"stop_id": "P1"}, True),
        ({"stop_id": "Y"}, False),
        ({"trip_id": "trip-1"}, True),
        ({"trip_id": "trip-2"}, False),
        ({"trip_id": "trip-1", "stop_id": "Y"}, False),
        ({"route_id": "T1", "threshold_s": 600}, True),
        ({"route_id": "T1", "threshold_s": 601}, False),
    ],
    ids=str,
)
def test_a_delay_reaches_the_favorites_that_it_concerns(
    riders, match, happens, now, favorite, is_told
):
    rider = riders.one(favorite)

    match(happens.late(now))

    assert bool(riders.told(rider)) is is_told


@pytest.mark.usefixtures("timetable")
@pytest.mark.parametrize(
    ("favorite", "is_told"),
    [
        ({"stop_id": "S"}, True),
        ({"route_id": "T1", "stop_id": "S"}, True),
        ({"stop_id": "P1", "to_stop_id": "Y"}, True),
        ({"stop_id": "S", "to_stop_id": "Y"}, True),
        ({"stop_id": "P1", "to_stop_id": "X"}, False),
        ({"stop_id": "Y", "to_stop_id": "P1"}, False),
        ({"stop_id": "P1", "to_stop_id": "nowhere"}, False),
    ],
    ids=str,
)
def test_the_timetable_knows_stations_and_ways(
    riders, match, happens, now, favorite, is_told
):
    rider = riders.one(favorite)

    match(happens.late(now))

    assert bool(riders.told(rider)) is is_told


# The delay is planned for 08:20 and expected at 08:30 on a Monday.
@pytest.mark.parametrize(
    ("window", "is_told"),
    [
        ((480, 540, 1), True),
        ((480, 540, 2), False),
        ((480, 540, 0), False),
        ((480, 500, 1), False),
        ((510, 540, 1), True),
        ((511, 540, 1), False),
        ((500, 501, 1), True),
        ((480, 480, 1), False),
        ((1380, 600, 64), True),
        ((1380, 600, 2), False),
        ((1900, 2000, 64), True),
        ((0, 1440, 127), True),
    ],
    ids=str,
)
def test_a_window_holds_in_minutes_and_weekdays_of_the_service_day(
    riders, match, happens, now, window, is_told
):
    first, last, days = window
    rider = riders.one(
        {**LINE, "from_minute": first, "to_minute": last, "weekdays": days}
    )

    match(happens.late(now))

    assert bool(riders.told(rider)) is is_told


# 00:30 on Tuesday: still Monday's service, or already Tuesday's.
@pytest.mark.parametrize("service_date", ["20260615", "20260616"])
@pytest.mark.parametrize(
    ("window", "is_told"),
    [
        ((1380, 60, 1), True),
        ((1380, 1500, 1), True),
        ((0, 60, 2), True),
        ((1380, 60, 2), False),
        ((0, 60, 1), False),
    ],
    ids=str,
)
@pytest.mark.parametrize("favorite", [LINE, {"stop_id": "P1"}], ids=str)
def test_a_window_over_midnight_holds_whatever_day_the_trip_belongs_to(
    riders, match, happens, favorite, window, is_told, service_date
):
    first, last, days = window
    midnight = datetime(2026, 6, 16, 0, 10, tzinfo=SYDNEY)
    at = int(datetime(2026, 6, 16, 0, 30, tzinfo=SYDNEY).timestamp())
    rider = riders.one(
        {**favorite, "from_minute": first, "to_minute": last, "weekdays": days}
    )
    delay = happens.late(midnight, service_date=service_date, expected_at=at)

    match(delay, now=midnight)

    assert bool(riders.told(rider)) is is_told


# Sundays: clocks go back at 03:00 on 5 April, forward at 02:00 on 4 October 2026.
@pytest.mark.parametrize(
    ("year", "month", "day"), [(2026, 4, 5), (2026, 10, 4)], ids=["back", "forward"]
)
def test_a_window_follows_the_clock_on_the_days_when_it_changes(
    riders, match, happens, year, month, day
):
    six = datetime(year, month, day, 6, 0, tzinfo=SYDNEY)
    at = int(datetime(year, month, day, 7, 10, tzinfo=SYDNEY).timestamp())
    told = riders.one({**LINE, "from_minute": 420, "to_minute": 421, "weekdays": 64})
    early = riders.one({**LINE, "from_minute": 360, "to_minute": 420, "weekdays": 64})
    later = riders.one({**LINE, "from_minute": 431, "to_minute": 500, "weekdays": 64})
    delay = happens.late(
        six, service_date=f"{year}{month:02}{day:02}", expected_at=at, delay_s=600
    )

    match(delay, now=six)

    assert [len(riders.told(who)) for who in (told, early, later)] == [1, 0, 0]


def test_the_same_is_told_once_and_a_worse_delay_once_more(riders, match, happens, now):
    rider = riders.one(LINE, {"stop_id": "P1"})

    for delay_s in (600, 600, 650, 300, 900, 700, 950):
        match(happens.late(now, delay_s=delay_s))

    told = riders.told(rider)
    assert [row["delay_s"] for row in told] == [600, 900]
    assert len({row["collapse_id"] for row in told}) == 1


def test_each_notification_has_an_apns_id_of_its_own(riders, match, happens, now):
    for _ in range(3):
        riders.one({"trip_id": "trip-1"}, {"trip_id": "trip-2"})

    for delay_s in (600, 900):
        late = [happens.late(now, delay_s=delay_s, trip_id=f"trip-{n}") for n in (1, 2)]
        match(*late)

    told = riders.told()
    assert len(told) == 12
    assert len({row["apns_id"] for row in told}) == 12


def test_other_trips_of_the_line_are_the_same_story_for_hours(
    riders, match, happens, now
):
    rider = riders.one(LINE)

    match(happens.late(now))
    match(happens.late(now, trip_id="trip-9", stop_id="Y"))
    evening = now + timedelta(hours=10)
    match(happens.late(evening, trip_id="trip-99"), now=evening)

    assert [row["trip_id"] for row in riders.told(rider)] == ["trip-1", "trip-99"]


def test_a_delay_of_the_whole_morning_is_one_story(riders, match, happens, now):
    rider = riders.one(LINE)
    whole = [
        happens.late(now + timedelta(hours=hours), trip_id=f"trip-{hours}")
        for hours in range(6)
    ]

    match(*whole)
    match(*whole)

    assert len(riders.told(rider)) == 1


def test_a_story_is_not_told_again_because_a_block_begins(riders, match, happens, now):
    rider = riders.one(LINE)
    block_s = POLICY.matching.told_again_after_s
    begins = now + timedelta(seconds=block_s - now.timestamp() % block_s)
    just_before, just_after = (begins + timedelta(seconds=s) for s in (-60, 60))

    match(happens.late(just_before), now=just_before)
    match(happens.late(just_after, trip_id="trip-2"), now=just_after)

    assert [row["trip_id"] for row in riders.told(rider)] == ["trip-1"]


def test_the_worst_of_many_trips_is_told(riders, match, happens, now):
    rider = riders.one(LINE)
    rows = [
        happens.late(now, trip_id=f"trip-{n}", delay_s=300 + n * 60) for n in range(20)
    ]

    match(*rows)

    assert [row["trip_id"] for row in riders.told(rider)] == ["trip-19"]


def test_two_trips_of_one_rider_are_two_stories(riders, match, happens, now):
    rider = riders.one({"trip_id": "trip-1"}, {"trip_id": "trip-2"}, LINE)

    match(happens.late(now), happens.late(now, trip_id="trip-2"))
    match(happens.late(now), happens.late(now, trip_id="trip-2"))

    assert [row["trip_id"] for row in riders.told(rider)] == ["trip-1", "trip-2"]


def test_no_rider_hears_more_in_an_hour_than_the_cap(riders, match, happens, now):
    rider = riders.one(*({"route_id": f"L{n}"} for n in range(20)))
    rows = [happens.late(now, route_id=f"L{n}", trip_id=f"t{n}") for n in range(20)]

    first, second = match(*rows), match(*rows)
    an_hour_later = now + timedelta(minutes=61)
    again = [
        {**row, "expected_at": int(an_hour_later.timestamp()) + 900} for row in rows
    ]
    match(*again, now=an_hour_later)

    cap = POLICY.matching.max_per_rider_hour
    assert (len(first.ids), first.capped) == (cap, 20 - cap)
    assert (len(second.ids), second.capped) == (0, 20 - cap)
    assert len(riders.told(rider)) == 2 * cap


def test_a_rider_with_500_favorites_hears_of_a_line_once(riders, match, happens, now):
    rider = riders.one(*[LINE] * 250, *[{"route_id": "T1", "stop_id": "P1"}] * 250)

    match(happens.late(now))

    assert len(riders.told(rider)) == 1


def test_a_rider_with_500_lines_that_are_all_late_hears_of_a_few(
    riders, match, happens, now
):
    rider = riders.one(*({"route_id": f"L{n}"} for n in range(500)))
    rows = [happens.late(now, route_id=f"L{n}", trip_id=f"t{n}") for n in range(500)]

    matched = match(*rows)

    cap = POLICY.matching.max_per_rider_hour
    assert (len(riders.told(rider)), matched.capped) == (cap, 500 - cap)


def test_every_good_device_of_a_rider_is_told(riders, match, happens, now):
    rider = riders.one(LINE)
    riders.device(rider)
    riders.device(rider, environment="sandbox")
    riders.device(rider, disabled_at=now, disabled_reason="Unregistered")

    match(happens.late(now))
    match(happens.late(now), environment="sandbox")

    assert len(riders.told(rider)) == 3


def test_what_has_left_is_not_told(riders, match, happens, now):
    rider = riders.one(LINE)

    match(happens.late(now, expected_at=int(now.timestamp())))

    assert riders.told(rider) == []


def test_a_notification_expires_with_the_policy_or_when_the_vehicle_leaves(
    riders, match, happens, now
):
    rider = riders.one(LINE, {"route_id": "T2"})
    soon = int(now.timestamp()) + 100
    ahead_s = 3600.0  # a replay's service clock

    match(
        happens.late(now),
        happens.late(now, route_id="T2", trip_id="b", expected_at=soon),
        clock_offset_s=ahead_s,
    )

    real = now - timedelta(seconds=ahead_s)
    by_line = {row["route_id"]: row for row in riders.told(rider)}
    expires = {line: row["expires_at"] for line, row in by_line.items()}
    assert expires["T1"] == real + timedelta(seconds=POLICY.push.expiry_s)
    assert expires["T2"] == real + timedelta(seconds=100)
    assert by_line["T1"]["matched_at"] == real
    assert by_line["T1"]["published_at"] == real - timedelta(seconds=10)


@pytest.mark.usefixtures("timetable")
def test_a_canceled_trip_is_told_where_it_would_have_called(
    riders, match, happens, now
):
    told = riders.one({"stop_id": "Y", "from_minute": 505, "to_minute": 506})
    elsewhere = riders.one({"stop_id": "X"})
    too_late = riders.one({"stop_id": "Y", "from_minute": 506, "to_minute": 600})
    line = riders.one({**LINE, "from_minute": 500, "to_minute": 501})

    match(happens.canceled(now))
    match(happens.canceled(now))

    (row,) = riders.told(told)
    assert (row["stop_id"], row["kind"]) == ("Y", "canceled")
    assert row["expected_at"].astimezone(SYDNEY).strftime("%H:%M") == "08:25"
    assert [len(riders.told(who)) for who in (elsewhere, too_late, line)] == [0, 0, 1]


@pytest.mark.usefixtures("timetable")
@pytest.mark.parametrize("favorite", [LINE, {"trip_id": "trip-1"}, {"stop_id": "Y"}])
def test_a_canceled_trip_that_would_be_over_is_told_no_more(
    riders, match, happens, now, favorite
):
    rider = riders.one(favorite)
    after = now + timedelta(hours=7)

    match(happens.canceled(after), now=after)
    assert riders.told(rider) == []
    match(happens.canceled(now))
    assert len(riders.told(rider)) == 1


@pytest.mark.parametrize("kind", ["canceled", "replaced"])
def test_an_unknown_trip_that_does_not_run_reaches_its_line_and_its_riders(
    riders, match, happens, now, kind
):
    line, trip = riders.one(LINE), riders.one({"trip_id": "unheard-of"})
    stop = riders.one({"stop_id": "P1"})

    match(happens.canceled(now, kind=kind, trip_id="unheard-of"))

    assert [row["kind"] for row in riders.told(line)] == [kind]
    assert [row["kind"] for row in riders.told(trip)] == [kind]
    assert riders.told(stop) == []


@pytest.mark.parametrize(
    ("informed", "favorite", "is_told"),
    [
        ({"route_id": "T1"}, {"route_id": "T1"}, True),
        ({"route_id": "T1"}, {"route_id": "T1", "stop_id": "P1"}, True),
        ({"route_id": "T1"}, {"stop_id": "P1"}, False),
        ({"stop_id": "P1"}, {"stop_id": "P1"}, True),
        ({"stop_id": "P1"}, {"route_id": "T1", "stop_id": "P1"}, True),
        (
            {"route_id": "T2", "stop_id": "P1"},
            {"route_id": "T1", "stop_id": "P1"},
            False,
        ),
        ({"trip_id": "trip-1"}, {"trip_id": "trip-1"}, True),
        ({"agency_id": "A"}, {"route_id": "T1"}, False),
    ],
    ids=str,
)
def test_an_alert_reaches_line_stop_and_trip_once(
    riders, match, happens, informed, favorite, is_told
):
    rider = riders.one(favorite)

    for _ in range(2):
        match(alerts=(happens.alert(informed),))

    assert [row["kind"] for row in riders.told(rider)] == ["alert"] * is_told


@pytest.mark.usefixtures("timetable")
@pytest.mark.parametrize(
    "favorite",
    [
        {"stop_id": "P1"},
        {"stop_id": "S"},
        {"stop_id": "P1", "to_stop_id": "Y"},
        {"stop_id": "S", "to_stop_id": "Y"},
        {"route_id": "T1", "stop_id": "Y", "to_stop_id": "P1"},
        {"stop_id": "Y", "to_stop_id": "S"},
    ],
    ids=str,
)
@pytest.mark.parametrize("where", ["P1", "S"])
def test_an_alert_at_a_platform_or_its_station_concerns_who_starts_or_ends_there(
    riders, match, happens, where, favorite
):
    rider, elsewhere = riders.one(favorite), riders.one({"stop_id": "X"})

    match(alerts=(happens.alert({"stop_id": where}),))

    assert [row["kind"] for row in riders.told(rider)] == ["alert"]
    assert riders.told(elsewhere) == []


@pytest.mark.parametrize("text", [r"a \u0000 b", "a\0b", "a\ud800b", '"\\'], ids=ascii)
def test_no_text_of_an_alert_stops_the_others(riders, match, happens, now, text):
    rider, other = riders.one(LINE), riders.one({"route_id": "T2"})
    odd = happens.alert(LINE, header={"en": text})

    match(happens.late(now, route_id="T2"), alerts=(odd,))

    (row,) = riders.told(rider)
    assert row["alert"]["title"] == text.replace("\0", "").replace("\ud800", "?")
    assert len(riders.told(other)) == 1


@pytest.mark.parametrize("at", [2**45, 2**62])
def test_an_impossible_time_stops_no_other_delay(riders, match, happens, now, at):
    rider, other = riders.one(LINE), riders.one({"route_id": "T2"})

    match(happens.late(now, expected_at=at), happens.late(now, route_id="T2"))

    assert riders.told(rider) == []
    assert len(riders.told(other)) == 1


@pytest.mark.parametrize(
    ("state", "times"), [("expired", 2), ("failed", 2), ("sent", 1), ("new", 1)]
)
def test_what_ended_unsent_was_not_told(riders, match, happens, now, state, times):
    rider = riders.one(LINE)
    match(happens.late(now))
    # As the sender leaves it: what ended unsent gives its key free.
    riders.owner.execute(
        "update app.notifications set state = %(state)s, collapse_id = case "
        "when %(state)s in ('expired', 'failed') then 'unsent' else collapse_id end",
        {"state": state},
    )
    later = now + timedelta(minutes=2)

    match(happens.late(later, trip_id="trip-2"), now=later)

    assert len(riders.told(rider)) == times


def test_a_trip_that_can_still_be_caught_is_told_before_a_worse_one_that_leaves(
    riders, match, happens, now
):
    rider = riders.one(LINE)
    leaves = int((now + timedelta(seconds=5)).timestamp())

    match(
        happens.late(now),
        happens.late(now, trip_id="leaves", delay_s=1200, expected_at=leaves),
    )

    assert [row["trip_id"] for row in riders.told(rider)] == ["trip-1"]


def test_another_day_of_the_line_hides_no_delay_of_today(riders, match, happens, now):
    rider = riders.one({**LINE, "weekdays": 1})  # Mondays
    tomorrow = int((now + timedelta(days=1, minutes=30)).timestamp())

    match(
        happens.late(now),
        happens.late(
            now, trip_id="x", service_date="20260616", delay_s=660, expected_at=tomorrow
        ),
    )

    assert [row["trip_id"] for row in riders.told(rider)] == ["trip-1"]


@pytest.mark.parametrize(
    ("starts_in_s", "lasts_s", "is_told"),
    [
        (-60, 120, True),
        (-120, 60, False),
        (POLICY.matching.alert_lead_s - 1, 60, True),
        (POLICY.matching.alert_lead_s + 1, 60, False),
    ],
)
def test_an_alert_is_told_while_it_holds_and_a_little_before(
    riders, match, happens, now, starts_in_s, lasts_s, is_told
):
    rider = riders.one(LINE)
    start = int(now.timestamp()) + starts_in_s
    period = (start, start + lasts_s)

    match(alerts=(happens.alert(LINE, periods=(period,)),))

    assert bool(riders.told(rider)) is is_told


def test_alerts_that_stand_for_days_leave_room_for_a_delay(riders, match, happens, now):
    rider = riders.one(LINE)
    cap = POLICY.matching.max_per_rider_hour
    alerts = tuple(happens.alert(LINE, alert_id=f"alert-{n}") for n in range(cap))
    days_later = now + timedelta(days=3)

    match(alerts=alerts)
    matched = match(
        happens.late(days_later, service_date="20260618"), alerts=alerts, now=days_later
    )

    kinds = [row["kind"] for row in riders.told(rider)]
    assert kinds == ["alert"] * cap + ["delay"]
    assert matched.capped == 0


def test_an_alert_of_the_line_gives_the_cause_of_a_delay(riders, match, happens, now):
    rider = riders.one({"route_id": "T1", "stop_id": "P1", "from_minute": 505})

    match(happens.late(now), alerts=(happens.alert(LINE),))

    (row,) = [row for row in riders.told(rider) if row["kind"] == "delay"]
    assert row["alert"]["cause"] == "MAINTENANCE"


@pytest.mark.parametrize(
    "hostile",
    [
        "'; drop table app.notifications; --",
        "\x00nul",
        "unit\x1fseparator",
        '{"quotes"}, \\ and, commas',
        "👩‍👩‍👧‍👦" * 50,
        "x" * 50_000,
    ],
    ids=["sql", "nul", "separator", "quotes", "emoji", "long"],
)
def test_hostile_ids_harm_nobody_else(riders, match, happens, now, hostile):
    rider = riders.one({"route_id": "T2"})

    match(
        happens.late(now, route_id=hostile, trip_id=hostile, stop_id=hostile),
        happens.late(now, route_id="T2", trip_id="good"),
        alerts=(happens.alert({"route_id": hostile}, header={"en": hostile}),),
    )

    assert [row["trip_id"] for row in riders.told(rider)] == ["good"]


def test_a_hostile_id_that_a_rider_likes_is_told_too(riders, match, happens, now):
    name = "L" * 200
    rider = riders.one({"route_id": name})

    match(happens.late(now, route_id=name, trip_id="t" * 5_000))

    (row,) = riders.told(rider)
    assert len(row["collapse_id"].encode()) <= 64


@pytest.mark.parametrize(
    "date", ["2026061", "20260230", "20260612", "00010101", "99991231"]
)
def test_a_service_date_that_cannot_be_is_skipped(riders, match, happens, now, date):
    rider = riders.one(LINE, {"trip_id": "odd"})

    match(
        happens.late(now, service_date=date, trip_id="odd"),
        happens.canceled(now, service_date=date, trip_id="odd"),
        happens.late(now),
    )

    assert [row["trip_id"] for row in riders.told(rider)] == ["trip-1"]


@pytest.mark.usefixtures("timetable")
@pytest.mark.parametrize(("date", "is_told"), [("20260616", True), ("20260617", False)])
def test_of_trips_that_do_not_run_those_until_tomorrow_are_told(
    riders, match, happens, now, date, is_told
):
    rider = riders.one({"trip_id": "trip-1"})

    match(happens.canceled(now, service_date=date))

    assert bool(riders.told(rider)) is is_told


# Trains come late without a time: trip-1 leaves P1 at 08:20, so at 08:30.
@pytest.mark.usefixtures("timetable")
@pytest.mark.parametrize(
    ("at", "favorite", "is_told"),
    [
        ((8, 0), {"from_minute": 500, "to_minute": 501}, True),
        ((8, 0), {"from_minute": 511, "to_minute": 600}, False),
        ((8, 0), {"from_minute": 470, "to_minute": 490}, False),
        ((8, 29), {"from_minute": 500, "to_minute": 501}, True),
        ((8, 30), {"from_minute": 470, "to_minute": 600}, False),
    ],
    ids=str,
)
def test_a_delay_without_a_time_is_told_as_the_timetable_has_it(
    riders, match, happens, now, at, favorite, is_told
):
    rider = riders.one({"stop_id": "P1", **favorite})
    hour, minute = at
    now = now.replace(hour=hour, minute=minute)

    match(happens.late(now, expected_at=None), now=now)

    told = [row["expected_at"].astimezone(SYDNEY) for row in riders.told(rider)]
    assert [f"{each:%H:%M}" for each in told] == ["08:30"] * is_told


@pytest.mark.usefixtures("timetable")
@pytest.mark.parametrize(
    "unknown", [{"trip_id": "RTTA"}, {"stop_id": "X"}, {"trip_id": "\x00nul"}], ids=str
)
def test_a_delay_that_the_timetable_does_not_know_is_told_without_a_time(
    riders, match, happens, now, unknown
):
    rider = riders.one(LINE)

    match(happens.late(now, expected_at=None, **unknown))

    assert [row["expected_at"] for row in riders.told(rider)] == [None]


def test_a_window_that_opens_within_a_quarter_of_an_hour_hides_no_delay(
    riders, match, happens, now
):
    early = riders.one({**LINE, "from_minute": 420, "to_minute": 511})
    later = riders.one({**LINE, "from_minute": 521, "to_minute": 540})
    at = {
        minute: int((now + timedelta(minutes=minute)).timestamp())
        for minute in (40, 42)
    }

    match(
        happens.late(now, expected_at=at[40], delay_s=600),  # planned for 08:30
        happens.late(now, expected_at=at[42], delay_s=300, trip_id="trip-2"),
    )

    assert [len(riders.told(who)) for who in (early, later)] == [1, 1]


def test_two_matchers_at_once_tell_each_rider_once(riders, match, happens, now):
    everyone = [riders.one(LINE) for _ in range(50)]

    with ThreadPoolExecutor(4) as pool:
        runs = [pool.submit(match, happens.late(now)) for _ in range(8)]
        found = [len(run.result().ids) for run in runs]

    assert sorted(found) == [0] * 7 + [50]
    assert all(len(riders.told(rider)) == 1 for rider in everyone)


def test_a_policy_with_a_higher_cap_tells_more(riders, match, happens, now):
    riders.one(*({"route_id": f"L{n}"} for n in range(9)))
    rows = [happens.late(now, route_id=f"L{n}", trip_id=f"t{n}") for n in range(9)]

    matched = match(*rows, policy=vary(POLICY, "matching.max_per_rider_hour", 9))

    assert len(matched.ids) == 9


def test_the_matcher_cannot_read_a_token(database):
    with (
        postgres.connect(database.url, "matcher", POLICY) as db,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
        db.transaction(),
    ):
        db.execute("select token from app.devices")
