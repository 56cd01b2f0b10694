"""What an app asks of the timetable: across midnight, clock changes and platforms."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest

from worker.timetable.sync import SyncResult

Loader = psycopg.Connection[Any]
Load = Callable[..., SyncResult]
Zipped = Callable[..., Path]
SYDNEY = ZoneInfo("Australia/Sydney")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=SYDNEY)


def departures(
    loader: Loader, stop: str, starting: datetime, lasting: timedelta
) -> list[tuple[str, str, str]]:
    rows = loader.execute(
        "SELECT trip_id, departs_at, platform_id FROM gtfs.departures(%s, %s, %s)",
        (stop, starting, lasting),
    ).fetchall()
    return [
        (trip, f"{when.astimezone(SYDNEY):%H:%M}", platform)
        for trip, when, platform in rows
    ]


@pytest.fixture
def loaded(small_feed: dict[str, str], zipped: Zipped, load: Load) -> SyncResult:
    return load(zipped(small_feed))


@pytest.mark.usefixtures("loaded")
def test_a_station_shows_what_leaves_its_platforms(loader: Loader) -> None:
    found = departures(loader, "S", at("2026-11-23 08:00"), timedelta(hours=1))

    assert found == [
        ("t1", "08:01", "P1"),
        ("b1", "08:15", "P2"),
        ("t3", "08:31", "P2"),
    ]


@pytest.mark.usefixtures("loaded")
def test_a_window_holds_its_start_and_not_its_end(loader: Loader) -> None:
    one_minute = timedelta(minutes=1)

    assert departures(loader, "P1", at("2026-11-23 08:01"), one_minute)
    assert not departures(loader, "P1", at("2026-11-23 08:00"), one_minute)


@pytest.mark.usefixtures("loaded")
def test_a_service_runs_only_on_its_days(loader: Loader) -> None:
    hour = timedelta(hours=1)

    saturday = departures(loader, "P2", at("2026-11-28 08:00"), hour)
    christmas = departures(loader, "P2", at("2026-12-25 08:00"), hour)
    friday = departures(loader, "P2", at("2026-12-18 08:00"), hour)

    assert (saturday, christmas, len(friday)) == ([], [], 2)


@pytest.mark.usefixtures("loaded")
def test_a_trip_past_midnight_belongs_to_the_day_before(loader: Loader) -> None:
    row = loader.execute(
        "SELECT trip_id, service_day FROM gtfs.departures('P1', %s, '1 hour')",
        (at("2026-11-24 00:15"),),
    ).fetchall()

    assert row == [("n1", date(2026, 11, 23))]


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize(
    ("day", "night_trip"),
    [("2026-04-05", "00:30"), ("2026-10-04", "00:30")],
    ids=["clocks go back", "clocks go forward"],
)
def test_the_day_the_clocks_change_keeps_the_morning_where_it_is(
    day: str, night_trip: str, loader: Loader
) -> None:
    night = departures(loader, "P1", at(f"{day} 00:00"), timedelta(hours=1))
    morning = departures(loader, "P1", at(f"{day} 08:00"), timedelta(minutes=2))

    assert night == [("n1", night_trip, "P1")]
    assert morning == [("t1", "08:01", "P1")]


@pytest.mark.usefixtures("loaded")
def test_a_blank_time_is_filled_in_for_questions_only(loader: Loader) -> None:
    calls = loader.execute(
        "SELECT stop_sequence, departs_at FROM gtfs.trip_calls('b1', '2026-11-23')"
    ).fetchall()
    blank = loader.execute(
        "SELECT departure_time FROM gtfs.stop_times "
        "WHERE trip_id = 'b1' AND stop_sequence = 6"
    ).fetchall()

    assert [(s, f"{t.astimezone(SYDNEY):%H:%M:%S}") for s, t in calls] == [
        (5, "08:10:00"),
        (6, "08:15:00"),
        (9, "08:20:00"),
    ]
    assert blank == [(None,)]


def test_frequencies_give_the_departures_of_their_trip(
    small_feed: dict[str, str], zipped: Zipped, load: Load, loader: Loader
) -> None:
    small_feed["frequencies.txt"] = (
        "trip_id,start_time,end_time,headway_secs\nt1,6:00:00,06:30:00,600\n"
    )
    load(zipped(small_feed))

    early = departures(loader, "P1", at("2026-11-23 06:00"), timedelta(hours=1))
    late = departures(loader, "P1", at("2026-11-23 08:00"), timedelta(minutes=10))

    assert [when for _, when, _ in early] == ["06:01", "06:11", "06:21"]
    assert late == []


def test_frequencies_go_on_after_midnight(
    small_feed: dict[str, str], zipped: Zipped, load: Load, loader: Loader
) -> None:
    # No call of stop_times.txt lies beyond midnight.
    for file in ("trips.txt", "stop_times.txt"):
        rows = small_feed[file].splitlines(keepends=True)
        small_feed[file] = "".join(row for row in rows if "n1," not in row)
    small_feed["frequencies.txt"] = (
        "trip_id,start_time,end_time,headway_secs\nt1,22:00:00,26:00:00,1800\n"
    )
    load(zipped(small_feed))

    night = departures(loader, "P1", at("2026-11-24 00:45"), timedelta(hours=1))

    assert [when for _, when, _ in night] == ["01:01", "01:31"]


@pytest.mark.usefixtures("loaded")
def test_service_days_leave_exceptions_out(loader: Loader) -> None:
    days = loader.execute(
        "SELECT * FROM gtfs.service_days('WEEK', '2026-12-23', '2026-12-28')"
    ).fetchall()

    assert [day for (day,) in days] == [
        date(2026, 12, 23), date(2026, 12, 24), date(2026, 12, 28)
    ]  # fmt: skip


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize(
    ("trip", "here", "there", "goes"),
    [
        ("t1", "P1", "Y", True),
        ("t1", "S", "Y", True),
        ("t1", "Y", "P1", False),
        ("t1", "P2", "Y", None),
        ("b1", "X", "S", True),
        ("b1", "S", "X", False),
        ("t1", "P1", "P1", False),
        ("unknown", "P1", "Y", None),
    ],
)
def test_a_way_is_gone_in_one_direction(
    loader: Loader, trip: str, here: str, there: str, goes: bool | None
) -> None:
    row = loader.execute(
        "SELECT first_from < last_to FROM gtfs.way(%s, %s, %s)", (trip, here, there)
    ).fetchone()

    assert row == (goes,)


@pytest.mark.usefixtures("loaded")
def test_stops_near_a_point_come_nearest_first(loader: Loader) -> None:
    found = loader.execute(
        "SELECT stop_id, distance_m FROM gtfs.stops_near(-33.88, 151.2, 100)"
    ).fetchall()

    assert [stop for stop, _ in found] == ["S", "P1", "P2"]
    assert found[1][1] == pytest.approx(14.4, abs=0.1)


PLANNED = """
load 'auto_explain';
set auto_explain.log_min_duration = 0;
set auto_explain.log_nested_statements = on;
set client_min_messages = log;
"""


def test_what_an_app_asks_is_found_by_index(
    transit_data: Path, load: Load, loader: Loader, database: Any
) -> None:
    load(transit_data / "static" / "austin.zip")
    ((trip, service),) = loader.execute(
        "SELECT trip_id, service_id FROM gtfs.trips LIMIT 1"
    ).fetchall()
    loader.commit()
    for question in (
        "departures('5275', '2014-09-03 13:00-05', '1 hour')",
        f"trip_calls('{trip}', '2014-09-03')",
        "stops_near(30.27, -97.74, 300)",
        f"service_days('{service}', '2014-09-01', '2014-09-08')",
    ):
        plan = plan_of(f"SELECT * FROM gtfs.{question}", database.admin_url)

        assert "Index" in plan or "services" in plan, question
        for table in ("trip_rows", "time_patterns", "stops_rows"):
            assert f"Seq Scan on {table}" not in plan, question


def plan_of(query: str, admin_url: str) -> str:
    """The plans of a query and of the functions that it calls."""
    told: list[str] = []
    with psycopg.connect(admin_url) as owner:
        owner.execute(PLANNED)
        owner.add_notice_handler(lambda note: told.append(note.message_primary or ""))
        owner.execute(query.encode()).fetchall()
    return "\n".join(told)
