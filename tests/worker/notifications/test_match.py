"""The right rider at the right time: the statement on a real database."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import psycopg
import pytest

from worker.clients import postgres
from worker.policy import POLICY

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
        ({"trip_id": "trip-1", "stop_id": "S"}, True),
        ({"trip_id": "trip-1", "stop_id": "Y"}, False),
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


def test_the_matcher_cannot_read_a_token(database):
    with (
        postgres.connect(database.url, "matcher", POLICY) as db,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
        db.transaction(),
    ):
        db.execute("select token from app.devices")
