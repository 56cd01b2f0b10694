"""What a feed may say that is odd harms nobody else."""

from zoneinfo import ZoneInfo

import pytest

SYDNEY = ZoneInfo("Australia/Sydney")
LINE = {"route_id": "T1"}


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
