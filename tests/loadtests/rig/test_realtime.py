"""What the feeds hold: the timetable's trips, and delays laid over lines."""

import csv
import io
import zipfile
from datetime import datetime
from pathlib import Path

import pytest
from google.transit.gtfs_realtime_pb2 import FeedEntity, FeedMessage, TripUpdate

from loadtests.rig.clock import SYDNEY, Clock, midnight
from loadtests.rig.publication import Entity, Publication
from loadtests.rig.synthetic import Synthetic
from loadtests.rig.world import Outside
from worker.policy.feeds import FEEDS

MORNING = datetime(2026, 11, 24, 8, tzinfo=SYDNEY)
NIGHT = datetime(2026, 11, 24, 0, 30, tzinfo=SYDNEY)


def outside_at(when: datetime) -> Outside:
    return Outside(source=Synthetic(clock=Clock.starting_at(when)), feeds=FEEDS)


def message(outside: Outside, feed: str) -> FeedMessage:
    return FeedMessage.FromString(outside.publications[feed].body)


def scheduled(path: Path) -> dict[str, dict[str, str]]:
    """Arrival texts by trip and stop_sequence."""
    times: dict[str, dict[str, str]] = {}
    with zipfile.ZipFile(path) as archive:
        text = io.StringIO(archive.read("stop_times.txt").decode())
        for row in csv.DictReader(text):
            stops = times.setdefault(row["trip_id"], {})
            stops[row["stop_sequence"]] = row["arrival_time"]
    return times


@pytest.mark.parametrize("when", [MORNING, NIGHT], ids=["morning", "after midnight"])
def test_every_trip_is_in_the_bundle_and_late_by_what_it_says(
    when: datetime, tmp_path: Path
) -> None:
    outside = outside_at(when)
    for row, path in (("complete", "/x/gtfs"), ("trains", "/x/sydneytrains")):
        outside.source.write_bundle(row, path, tmp_path / row)
    complete, trains = scheduled(tmp_path / "complete"), scheduled(tmp_path / "trains")

    buses = message(outside, "buses_trips")
    rail = message(outside, "sydneytrains_trips")

    assert buses.entity
    for entity in buses.entity:
        trip = entity.trip_update.trip
        day = datetime.strptime(trip.start_date, "%Y%m%d").replace(tzinfo=SYDNEY)
        for update in entity.trip_update.stop_time_update:
            text = complete[trip.trip_id][str(update.stop_sequence)]
            hours, minutes, seconds = map(int, text.split(":"))
            due = midnight(day.date()) + hours * 3600 + minutes * 60 + seconds
            assert update.arrival.time == due + update.arrival.delay
    assert {entity.trip_update.trip.trip_id for entity in rail.entity} <= set(trains)
    assert not any(entity.trip_update.trip.start_date for entity in rail.entity)


def test_vehicles_are_those_of_trips_that_run() -> None:
    outside = outside_at(MORNING)

    updates = {
        e.trip_update.trip.trip_id for e in message(outside, "buses_trips").entity
    }
    vehicles = {
        e.vehicle.trip.trip_id for e in message(outside, "buses_vehicles").entity
    }

    assert vehicles
    assert vehicles < updates


def test_alerts_name_lines_that_exist() -> None:
    outside = outside_at(MORNING)
    lines = {line.route_id for line in outside.source.city.lines()}  # type: ignore[attr-defined]

    alerts = message(outside, "alerts").entity

    assert alerts
    assert {e.alert.informed_entity[0].route_id for e in alerts} <= lines


def test_a_delay_is_laid_over_its_line_alone_and_taken_off_again() -> None:
    outside = outside_at(MORNING)
    line = outside.lines()[0]
    before = message(outside, "sydneytrains_trips")

    event = outside.disturb([line], 900, 600)
    during = message(outside, "sydneytrains_trips")
    event.ends_at = 0
    outside.settle()
    after = message(outside, "sydneytrains_trips")

    assert event.trips > 0
    for old, new in zip(before.entity, during.entity, strict=True):
        extra = 900 if old.trip_update.trip.route_id == line else 0
        olds = [u.arrival.delay + extra for u in old.trip_update.stop_time_update]
        assert [u.arrival.delay for u in new.trip_update.stop_time_update] == olds
    assert list(after.entity) == list(before.entity)
    assert before.header.timestamp < during.header.timestamp < after.header.timestamp


def test_a_delay_lasts_through_the_next_publication() -> None:
    outside = outside_at(MORNING)
    feed = FEEDS["sydneytrains_trips"]
    line = outside.lines()[0]
    outside.disturb([line], 900, 600)

    now = outside.clock.now() + 60
    outside.publications[feed.name].publish(outside.source.entities(feed, now), now)

    delays = [
        update.arrival.delay
        for entity in message(outside, feed.name).entity
        if entity.trip_update.trip.route_id == line
        for update in entity.trip_update.stop_time_update
    ]
    assert min(delays) >= 900


def test_a_later_delay_on_the_same_line_outlives_the_first() -> None:
    outside = outside_at(MORNING)
    line = outside.lines()[0]
    first = outside.disturb([line], 600, 600)
    outside.disturb([line], 1200, 600)

    first.ends_at = 0
    outside.settle()

    delays = [
        e.trip_update.stop_time_update[-1].arrival.delay
        for e in message(outside, "sydneytrains_trips").entity
        if e.trip_update.trip.route_id == line
    ]
    assert min(delays) >= 1200


def test_a_line_without_trips_cannot_be_delayed() -> None:
    with pytest.raises(ValueError, match="no feed has a line nowhere"):
        outside_at(MORNING).disturb(["nowhere"], 900, 600)


def test_a_delay_shows_at_stops_that_had_no_data() -> None:
    message_in = FeedMessage()
    entity = message_in.entity.add(id="1")
    entity.trip_update.trip.route_id = "343"
    stop = entity.trip_update.stop_time_update.add(stop_id="9")
    stop.arrival.time = 1_000
    stop.schedule_relationship = TripUpdate.StopTimeUpdate.NO_DATA
    publication = Publication()
    publication.publish([Entity("343", entity.SerializeToString())], 5.0)

    publication.delay(["343"], 300, 5.5)

    stop = (
        FeedMessage.FromString(publication.body)
        .entity[0]
        .trip_update.stop_time_update[0]
    )
    assert (stop.arrival.time, stop.arrival.delay) == (1_300, 300)
    assert stop.schedule_relationship == TripUpdate.StopTimeUpdate.SCHEDULED


def test_a_header_moves_on_even_within_one_second() -> None:
    publication = Publication()
    stamps = []
    for _ in range(3):
        publication.publish([], 100.2)
        stamps.append(publication.timestamp)

    assert stamps == [100, 101, 102]


def test_minutes_later_what_has_passed_is_gone_and_new_trips_are_there() -> None:
    source = Synthetic(clock=Clock.starting_at(MORNING))
    feed, start = FEEDS["buses_trips"], MORNING.timestamp()

    def stops_at(now: float) -> dict[str, int]:
        updates = (
            FeedEntity.FromString(entity.encoded).trip_update
            for entity in source.entities(feed, now)
        )
        return {each.trip.trip_id: len(each.stop_time_update) for each in updates}

    first, again, later = (stops_at(start + s) for s in (0, 1, 600))

    changed = sum(first[trip] != again.get(trip) for trip in first)
    assert changed < len(first) / 10
    both = first.keys() & later.keys()
    assert sum(later[trip] for trip in both) < sum(first[trip] for trip in both)
    assert later.keys() - first.keys()
    assert first.keys() - later.keys()
