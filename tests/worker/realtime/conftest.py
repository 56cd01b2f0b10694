"""Feed messages made with the bindings alone, and the real ones."""

import gzip

import pytest
from google.transit.gtfs_realtime_pb2 import FeedMessage

from worker.policy import POLICY

NOON = 1_781_142_000  # 2026-06-11 11:40 in Sydney


def feed_message(timestamp=NOON):
    """An empty message whose header says ``timestamp``."""
    message = FeedMessage()
    message.header.gtfs_realtime_version = "2.0"
    message.header.timestamp = timestamp
    return message


def trip_entity(message, trip_id, route_id, times=(), relationship=None, date=None):
    """Add a trip update; ``times`` are (stop_id, delay, time or None)."""
    entity = message.entity.add(id=f"{route_id}/{trip_id}")
    update = entity.trip_update
    update.trip.trip_id = trip_id
    update.trip.route_id = route_id
    if date:
        update.trip.start_date = date
    if relationship is not None:
        update.trip.schedule_relationship = relationship
    for stop_id, delay, time in times:
        row = update.stop_time_update.add(stop_id=stop_id)
        row.departure.delay = delay
        if time is not None:
            row.departure.time = time
    return entity


def vehicle_entity(message, trip_id, route_id, latitude, longitude):
    """Add a vehicle at a place."""
    entity = message.entity.add(id=f"v/{trip_id}")
    entity.vehicle.trip.trip_id = trip_id
    entity.vehicle.trip.route_id = route_id
    entity.vehicle.position.latitude = latitude
    entity.vehicle.position.longitude = longitude
    return entity


def a_city(trips=60, timestamp=NOON, delay=0, first=0):
    """Trip updates of ten routes, ten stops each."""
    message = feed_message(timestamp)
    for number in range(first, first + trips):
        trip_entity(
            message,
            f"t{number}",
            f"r{number % 10}",
            [(f"s{(number + k) % 40}", delay, timestamp + 60 * k) for k in range(10)],
            date="20260611",
        )
    return message


@pytest.fixture
def limits():
    """The deployed limits of realtime."""
    return POLICY.realtime


@pytest.fixture(scope="session")
def recordings(transit_data):
    """Every recorded body under realtime/, by its file name, unpacked."""
    folder = transit_data / "realtime"
    files = sorted(each for each in folder.glob("*/*.pb*") if each.is_file())
    assert files, f"{folder} holds no recorded feed"
    return {
        path.name: gzip.decompress(path.read_bytes())
        if path.suffix == ".gz"
        else path.read_bytes()
        for path in files
    }


@pytest.fixture
def feeds():
    """How tests build feed messages."""
    return Feeds


class Feeds:
    """The builders above, reachable from tests, which cannot import a conftest."""

    NOON = NOON
    empty = staticmethod(feed_message)
    trip = staticmethod(trip_entity)
    vehicle = staticmethod(vehicle_entity)
    city = staticmethod(a_city)
