"""Who hears of an alert: favorites of every kind, alerts that name every kind of thing.

In the timetable trip-1 and trip-2 are of line T1 and leave platform P1 of station S;
trip-1 goes to Y, trip-2 to X.
"""

import pytest

FAVORITES = {
    "line": {"route_id": "T1"},
    "other line": {"route_id": "T2"},
    "platform": {"stop_id": "P1"},
    "station": {"stop_id": "S"},
    "line at platform": {"route_id": "T1", "stop_id": "P1"},
    "line at station": {"route_id": "T1", "stop_id": "S"},
    "other line at platform": {"route_id": "T2", "stop_id": "P1"},
    "way": {"stop_id": "P1", "to_stop_id": "Y"},
    "way from station": {"stop_id": "S", "to_stop_id": "Y"},
    "way by line": {"route_id": "T1", "stop_id": "P1", "to_stop_id": "Y"},
    "way by other line": {"route_id": "T2", "stop_id": "P1", "to_stop_id": "Y"},
    "way back": {"stop_id": "Y", "to_stop_id": "P1"},
    "way back to station": {"stop_id": "Y", "to_stop_id": "S"},
    "trip": {"trip_id": "trip-1"},
    "trip at platform": {"trip_id": "trip-1", "stop_id": "P1"},
    "trip at station": {"trip_id": "trip-1", "stop_id": "S"},
    "trip at last stop": {"trip_id": "trip-1", "stop_id": "Y"},
    "way by trip": {"trip_id": "trip-1", "stop_id": "P1", "to_stop_id": "Y"},
    "other trip": {"trip_id": "trip-2"},
    "unknown trip": {"trip_id": "unheard-of"},
    "unknown trip at platform": {"trip_id": "unheard-of", "stop_id": "P1"},
}
TRIP = {"trip", "trip at platform", "trip at station", "way by trip"}
AT_STOP = {
    *("platform", "station", "line at platform", "line at station"),
    *("way", "way from station", "way by line"),
}
BACK = {"way back", "way back to station"}
OF_OTHER_LINE = {"other line at platform", "way by other line"}
UNKNOWN = {"unknown trip at platform"}
WAYS = {"way", "way from station", "way by line"}

LINE = {
    *("line", "line at platform", "line at station", "way by line"),
    *(*TRIP, "trip at last stop", "other trip"),
}
STOP = (AT_STOP | BACK | OF_OTHER_LINE | TRIP | UNKNOWN) - {"trip"}
LINE_AT_STOP = AT_STOP | BACK | TRIP | UNKNOWN | {"line", "other trip"}
OTHER_LINE_AT_STOP = {
    *("other line", "platform", "station", "way", "way from station"),
    *(*BACK, *OF_OTHER_LINE, *UNKNOWN),
}
TRIP_ALONE = {"line", "trip at last stop", *TRIP}
TRIP_AT_STOP = {"line", *AT_STOP, *TRIP}
TRIP_AT_LAST_STOP = {"line", *WAYS, "trip", "trip at last stop", "way by trip"}


@pytest.mark.usefixtures("timetable")
@pytest.mark.parametrize(
    ("informed", "told"),
    [
        ({"route_id": "T1"}, LINE),
        ({"stop_id": "P1"}, STOP),
        ({"stop_id": "S"}, STOP),
        ({"route_id": "T1", "stop_id": "P1"}, LINE_AT_STOP),
        ({"route_id": "T1", "stop_id": "S"}, LINE_AT_STOP),
        ({"route_id": "T2", "stop_id": "P1"}, OTHER_LINE_AT_STOP),
        ({"trip_id": "trip-1"}, TRIP_ALONE),
        ({"route_id": "T1", "trip_id": "trip-1"}, TRIP_ALONE),
        ({"trip_id": "trip-1", "stop_id": "P1"}, TRIP_AT_STOP),
        ({"trip_id": "trip-1", "stop_id": "S"}, TRIP_AT_STOP),
        ({"trip_id": "trip-1", "stop_id": "Y"}, TRIP_AT_LAST_STOP),
        ({"trip_id": "unheard-of"}, {"unknown trip", *UNKNOWN}),
        ({"agency_id": "A"}, set()),
    ],
    ids=str,
)
def test_an_alert_reaches_every_favorite_that_it_concerns(
    riders, match, happens, informed, told
):
    everyone = {name: riders.one(favorite) for name, favorite in FAVORITES.items()}

    for _ in range(2):
        match(alerts=(happens.alert(informed),))

    heard = [row["user_id"] for row in riders.told()]
    assert sorted(name for name, who in everyone.items() if who in heard) == sorted(
        told
    )
    assert len(heard) == len(told)  # each once


def test_an_alert_of_a_line_and_a_trip_of_it_reaches_who_likes_another_trip(
    riders, match, happens, timetable
):
    rider = riders.one({"trip_id": "trip-2"})

    match(
        alerts=(
            happens.alert(
                {"route_id": "T1", "trip_id": "trip-1"},
                {"route_id": "T1", "stop_id": "P1"},
            ),
        )
    )

    assert [row["trip_id"] for row in riders.told(rider)] == [""]


@pytest.mark.usefixtures("timetable")
@pytest.mark.parametrize("kind", ["canceled", "replaced"])
@pytest.mark.parametrize(
    ("trip", "stop", "is_told"),
    [
        ("trip-1", "P1", True),
        ("trip-1", "S", True),
        ("trip-1", "Y", True),
        ("trip-1", "X", False),
        ("trip-1", "nowhere", False),
        ("trip-2", "P1", False),
        ("unheard-of", "P1", True),
    ],
)
def test_who_likes_a_trip_at_a_stop_hears_if_it_would_have_called_there(
    riders, match, happens, now, kind, trip, stop, is_told
):
    rider = riders.one({"trip_id": trip, "stop_id": stop})
    gone = "unheard-of" if trip == "unheard-of" else "trip-1"

    for _ in range(2):
        match(happens.canceled(now, kind=kind, trip_id=gone))

    told = riders.told(rider)
    assert [row["kind"] for row in told] == [kind] * is_told
    if is_told and gone == "trip-1":
        assert {row["stop_id"] for row in told} == {"P1" if stop == "S" else stop}


@pytest.mark.usefixtures("timetable")
@pytest.mark.parametrize(
    ("window", "is_told"), [((505, 506), True), ((500, 501), False)]
)
def test_who_likes_a_canceled_trip_at_a_stop_hears_when_it_would_have_called_there(
    riders, match, happens, now, window, is_told
):
    first, last = window
    rider = riders.one(
        {"trip_id": "trip-1", "stop_id": "Y", "from_minute": first, "to_minute": last}
    )

    match(happens.canceled(now))

    assert bool(riders.told(rider)) is is_told


@pytest.mark.usefixtures("timetable")
@pytest.mark.parametrize("happens_to", ["late", "canceled"])
@pytest.mark.parametrize(
    ("favorite", "is_told"),
    [
        ({"route_id": "T1"}, True),
        ({"route_id": "T2"}, False),
        ({"route_id": "T1", "stop_id": "P1"}, True),
        ({"route_id": "T2", "stop_id": "P1"}, False),
        ({"route_id": "T1", "stop_id": "P1", "to_stop_id": "Y"}, True),
        ({"route_id": "T1", "stop_id": "P1", "to_stop_id": "X"}, False),
        ({"route_id": "T2", "stop_id": "P1", "to_stop_id": "Y"}, False),
    ],
    ids=str,
)
def test_of_a_trip_whose_line_the_feed_leaves_out_the_timetable_knows_it(
    riders, match, happens, now, favorite, is_told, happens_to
):
    rider = riders.one(favorite)

    match(getattr(happens, happens_to)(now, route_id=""))

    assert [row["route_id"] for row in riders.told(rider)] == ["T1"] * is_told


@pytest.mark.usefixtures("timetable")
@pytest.mark.parametrize("trip", ["", "unheard-of", "\x00nul"])
def test_a_delay_of_which_nobody_knows_the_line_is_told_at_its_stop(
    riders, match, happens, now, trip
):
    here = riders.one({"route_id": "T1", "stop_id": "P1"})
    line = riders.one({"route_id": "T1"})

    match(happens.late(now, route_id="", trip_id=trip))

    assert [len(riders.told(who)) for who in (here, line)] == [1, 0]


def test_an_alert_of_a_trip_gives_the_cause_of_its_delay(riders, match, happens, now):
    rider = riders.one({"stop_id": "P1"})

    match(happens.late(now), alerts=(happens.alert({"trip_id": "trip-1"}),))

    (row,) = riders.told(rider)
    assert (row["kind"], row["alert"]["cause"]) == ("delay", "MAINTENANCE")
