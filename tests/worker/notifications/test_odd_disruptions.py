"""What a feed may say that is odd harms nobody else."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from google.transit.gtfs_realtime_pb2 import FeedEntity
from hypothesis import given
from hypothesis import strategies as st

from worker.notifications.disruptions import Disruptions
from worker.policy import POLICY
from worker.realtime.alerts import alert_of

SYDNEY = ZoneInfo("Australia/Sydney")
NOW = datetime(2026, 6, 15, 8, 0, tzinfo=SYDNEY)
LINE = {"route_id": "T1"}
SECONDS = st.none() | st.sampled_from([0, 2**63, 2**64 - 1]) | st.integers(-4000, 4000)


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


@given(periods=st.lists(st.tuples(SECONDS, SECONDS), max_size=3))
def test_an_alert_is_told_for_any_period_and_0_begins_and_ends_none(periods):
    now_s = int(NOW.timestamp())
    until_s = now_s + POLICY.matching.alert_lead_s
    entity = FeedEntity(id="alert")
    entity.alert.informed_entity.add(route_id="T1")
    spans = []
    for pair in periods:
        starts, ends = (
            now_s + at if at is not None and 0 < abs(at) <= 4000 else at for at in pair
        )
        entity.alert.active_period.add(start=starts, end=ends)
        spans.append((starts or 0, ends or 2**64))
    disruptions = Disruptions()

    disruptions.add_alerts((alert_of(entity),), POLICY.matching, NOW)

    near = [
        (max(starts, now_s), min(ends, until_s))
        for starts, ends in spans or [(0, 2**64)]
        if max(starts, now_s) < min(ends, until_s)
    ]
    found = zip(disruptions.alerts_from_at, disruptions.to_at, strict=True)
    assert list(found) == near[:1]
