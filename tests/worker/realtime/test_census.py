import gzip
from collections import Counter

import pytest
from google.transit.gtfs_realtime_pb2 import FeedMessage, TripDescriptor

from worker.errors import UsageError
from worker.realtime import census

COUNTS = ("entities", "trip_updates", "stop_time_updates", "vehicles", "alerts")


def bare_counts(body):
    """The same counts by the bindings alone."""
    message = FeedMessage.FromString(body)
    updates = [e.trip_update for e in message.entity if e.HasField("trip_update")]
    name = TripDescriptor.ScheduleRelationship.Name
    return {
        "header_timestamp": message.header.timestamp,
        "entities": len(message.entity),
        "trip_updates": len(updates),
        "stop_time_updates": sum(len(update.stop_time_update) for update in updates),
        "vehicles": sum(e.HasField("vehicle") for e in message.entity),
        "alerts": sum(e.HasField("alert") for e in message.entity),
        "relationships": dict(
            Counter(name(update.trip.schedule_relationship) for update in updates)
        ),
    }


def counted(body, tmp_path):
    path = tmp_path / "feed.pb"
    path.write_bytes(body)
    found = census.count(path).as_json()
    return {
        name: found[name] for name in (*COUNTS, "header_timestamp", "relationships")
    }


def test_every_recorded_feed_is_counted_as_the_bindings_count(recordings, tmp_path):
    wrong = {
        name: (counted(body, tmp_path), bare_counts(body))
        for name, body in recordings.items()
        if counted(body, tmp_path) != bare_counts(body)
    }

    assert not wrong


def test_each_of_two_hours_of_metro_messages_is_counted(transit_data, tmp_path):
    import zipfile

    archives = list((transit_data / "realtime").glob("*/*.zip"))
    assert archives
    for archive in archives:
        with zipfile.ZipFile(archive) as packed:
            names = [n for n in packed.namelist() if not n.endswith("/")]
            bodies = [packed.read(name) for name in names]
        assert len(bodies) > 100
        for body in bodies:
            if body[:1] == b"\n":
                assert counted(body, tmp_path) == bare_counts(body)


def test_a_gzipped_file_is_counted_like_a_plain_one(feeds, tmp_path):
    body = feeds.city().SerializeToString()
    path = tmp_path / "feed.pb.gz"
    path.write_bytes(gzip.compress(body))

    found = census.count(path)

    assert (found.kind, found.trip_updates, found.stop_time_updates) == (
        "trip_updates",
        60,
        600,
    )


def test_an_unknown_relationship_is_counted_by_its_number(feeds, tmp_path):
    message = feeds.city(trips=1)
    raw = message.entity[0].trip_update.trip.SerializeToString() + b"\x20\x2a"
    update = message.entity[0].trip_update
    update.trip.MergeFromString(raw)
    path = tmp_path / "feed.pb"
    path.write_bytes(message.SerializeToString())

    assert census.count(path).relationships == {"UNKNOWN_42": 1}


def test_what_is_left_out_is_counted_by_its_reason_and_still_part_of_the_counts(
    feeds, tmp_path
):
    message = feeds.empty()
    both = feeds.trip(message, "t", "r", [("s", 10**6, 1), ("", 0, None)])
    both.vehicle.position.latitude = both.vehicle.position.longitude = 0.0
    message.entity.add(id="nothing")
    feeds.trip(message, "t2", "r").is_deleted = True
    path = tmp_path / "feed.pb"
    path.write_bytes(message.SerializeToString())

    found = census.count(path)

    assert found.as_json() | bare_counts(path.read_bytes()) == found.as_json()
    assert found.kind == "mixed"
    assert found.rejected == {
        "no_content": 1,
        "deleted": 1,
        "no_stop_id": 1,
        "no_position": 1,
        "implausible": 2,
    }


@pytest.mark.parametrize(
    ("name", "body", "said"),
    [
        pytest.param("a.pb", None, "no such file", id="a wrong path"),
        pytest.param("a.pb", b"<html></html>", "html", id="a page"),
        pytest.param("a.pb", b"", "empty", id="an empty file"),
        pytest.param("a.pb.gz", b"\x1f\x8b\x08junk", "damaged gzip", id="a bad gzip"),
        pytest.param("a.pb", bytes(33 << 20), "more than 32 MiB", id="a huge file"),
        pytest.param(
            *("a.pb.gz", gzip.compress(bytes(64 << 20)), "more than 32 MiB"),
            id="a gzip bomb",
        ),
        pytest.param("a.pb", b"\x0a\x0d\x0a\x032.0", "end inside", id="a cut file"),
        pytest.param("a.pb", bytes(range(10, 90)), "not a", id="other bytes"),
    ],
)
def test_what_is_no_feed_is_said_in_one_sentence(tmp_path, name, body, said):
    path = tmp_path / name
    if body is not None:
        path.write_bytes(body)

    with pytest.raises(UsageError, match=said) as error:
        census.count(path)

    assert "\n" not in str(error.value)
