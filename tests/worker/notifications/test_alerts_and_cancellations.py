"""What is no delay: trips that do not run, and service alerts."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from worker.policy import POLICY

SYDNEY = ZoneInfo("Australia/Sydney")
LINE = {"route_id": "T1"}


@pytest.mark.usefixtures("timetable")
def test_a_canceled_trip_is_told_where_it_would_have_called(
    riders, match, happens, now
):
    told = riders.one({"stop_id": "Y", "from_minute": 505, "to_minute": 506})
    elsewhere = riders.one({"stop_id": "X"})
    too_late = riders.one({"stop_id": "Y", "from_minute": 506, "to_minute": 600})
    line = riders.one({**LINE, "from_minute": 500, "to_minute": 501})
    trip = riders.one({"trip_id": "trip-1", "from_minute": 504, "to_minute": 507})

    match(happens.canceled(now))
    match(happens.canceled(now))

    (row,) = riders.told(told)
    assert (row["stop_id"], row["kind"]) == ("Y", "canceled")
    assert row["expected_at"].astimezone(SYDNEY).strftime("%H:%M") == "08:25"
    others = (elsewhere, too_late, line, trip)
    assert [len(riders.told(who)) for who in others] == [0, 0, 1, 1]


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


@pytest.mark.usefixtures("timetable")
@pytest.mark.parametrize(("date", "is_told"), [("20260616", True), ("20260617", False)])
def test_of_trips_that_do_not_run_those_until_tomorrow_are_told(
    riders, match, happens, now, date, is_told
):
    rider = riders.one({"trip_id": "trip-1"})

    match(happens.canceled(now, service_date=date))

    assert bool(riders.told(rider)) is is_told


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


def test_an_alert_of_the_line_gives_the_cause_of_a_delay(riders, match, happens, now):
    rider = riders.one({"route_id": "T1", "stop_id": "P1", "from_minute": 505})

    match(happens.late(now), alerts=(happens.alert(LINE),))

    (row,) = [row for row in riders.told(rider) if row["kind"] == "delay"]
    assert row["alert"]["cause"] == "MAINTENANCE"


@pytest.mark.usefixtures("timetable")
def test_many_alerts_that_name_hundreds_of_stops_are_matched_in_time(
    riders, match, happens
):
    """Within the limits of the matcher's role, which end a statement that explodes."""
    riders.owner.execute(
        "insert into gtfs.stops_rows (stop, stop_id, stop_name, parent_station) "
        "select 1000 + n, 'platform-' || n, 'Platform', 'station-' || n / 4 "
        "from generate_series(1, 5000) n"
    )
    riders.owner.execute("analyze gtfs.stops_rows")
    stop = riders.one({"stop_id": "station-7"})
    lines = [riders.one(LINE) for _ in range(300)]
    everywhere = [{"route_id": "T1", "stop_id": f"platform-{n}"} for n in range(1, 201)]
    alerts = [happens.alert(*everywhere, alert_id=f"alert-{k}") for k in range(60)]

    match(alerts=tuple(alerts))

    cap = POLICY.matching.max_per_rider_hour
    for rider in (stop, lines[0], lines[-1]):
        assert [row["kind"] for row in riders.told(rider)] == ["alert"] * cap
