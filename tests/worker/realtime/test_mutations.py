"""Real and made-up feeds, damaged in every way that a wire or a server can."""

from collections import Counter

import pytest
from google.protobuf.message import DecodeError
from google.transit.gtfs_realtime_pb2 import FeedMessage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from worker.policy import POLICY
from worker.realtime import decode, ingest, read, store
from worker.realtime.accept import Held
from worker.realtime.envelope import check_others, open_message
from worker.realtime.wire import Malformed

FEED = POLICY.feeds["sydneytrains_trips"]
KNOWN_OUTCOMES = {
    "stored",
    "unchanged",
    "empty",
    "html",
    "json",
    "not_protobuf",
    "malformed",
    "no_timestamp",
    "older",
    "future",
    "wrong_kind",
    "collapsed",
    "other_routes",
}
on_shared_fixtures = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module")
def trains(request):
    """The real trains feed where there is one, else a city of ours."""
    try:
        recordings = request.getfixturevalue("recordings")
    except pytest.skip.Exception:
        return Body(_city())
    return Body(recordings["tripupdates_sydneytrains.pb"])


class Body(bytes):
    """Bytes of a feed; too long to be shown whole when a test fails."""

    def __repr__(self):
        return f"<{len(self)} bytes>"


def _city():
    message = FeedMessage()
    message.header.gtfs_realtime_version = "2.0"
    message.header.timestamp = 1_781_142_000
    for number in range(300):
        entity = message.entity.add(id=str(number))
        entity.trip_update.trip.trip_id = f"t{number}"
        entity.trip_update.trip.route_id = f"r{number % 20}"
        for stop in range(10):
            row = entity.trip_update.stop_time_update.add(stop_id=f"s{stop}")
            row.arrival.delay = 60 * stop - number
    return message.SerializeToString()


def take(redis, body, held, now_s):
    return ingest.take(
        redis, FEED, body, held=held, now_s=now_s, limits=POLICY.realtime
    )


@pytest.fixture
def held(redis, trains):
    """Redis holding the good feed of a moment ago, and that feed's timestamp."""
    redis.flushall()
    timestamp = FeedMessage.FromString(trains).header.timestamp
    assert take(redis, trains, Held(), timestamp).outcome == "stored"
    return store.held(redis, [FEED.name])[FEED.name], timestamp


def later(body, timestamp):
    message = FeedMessage.FromString(body)
    message.header.timestamp = timestamp
    return message.SerializeToString()


def judge(redis, held, body, now_s):
    """Take a damaged body; what is stored then is what the bindings read from it."""
    taken = take(redis, body, held, now_s)
    reason = taken.outcome
    assert reason in KNOWN_OUTCOMES
    if reason == "stored":
        message = FeedMessage.FromString(body)
        for entity in list(message.entity)[:3]:
            trip = entity.trip_update.trip
            # What is no text, the bindings hand out as bytes.
            if isinstance(trip.trip_id, str) and isinstance(trip.route_id, str):
                found = read.route(redis, trip.route_id).trip_updates
                assert entity.is_deleted or entity.trip_update in found
    return reason


def test_a_cut_at_every_entity_boundary_is_refused_or_loses_little(redis, trains, held):
    before, timestamp = held
    body = later(trains, timestamp + 15)
    opened = open_message(body)
    share = POLICY.realtime.collapse_share

    reasons = Counter()
    for kept, end in enumerate(opened.at.tolist()):
        if kept % 7:
            continue
        reason = judge(redis, before, body[:end], timestamp + 15)
        if kept < share * opened.entities:
            assert reason == "collapsed"
        reasons[reason] += 1

    assert set(reasons) <= {"collapsed", "stored"}


@given(share=st.floats(0, 1), data=st.data())
@on_shared_fixtures
def test_a_cut_anywhere_else_is_refused(redis, trains, held, share, data):
    before, timestamp = held
    body = later(trains, timestamp + 15)
    ends = set(open_message(body).at.tolist()) | {len(body)}
    cut = min(int(share * len(body)), len(body) - 1)
    while cut in ends:
        cut -= 1

    reason = judge(redis, before, body[: max(cut, 0)], timestamp + 15)

    assert reason in {"malformed", "empty"}
    assert read.freshness(redis)[FEED.name].timestamp == timestamp


@given(flips=st.lists(st.tuples(st.floats(0, 0.9999), st.integers(0, 7)), min_size=1))
@on_shared_fixtures
def test_flipped_bits_never_crash_and_what_is_accepted_the_bindings_accept(
    redis, trains, held, flips
):
    before, timestamp = held
    body = bytearray(later(trains, timestamp + 15))
    for share, bit in flips:
        body[int(share * len(body))] ^= 1 << bit

    judge(redis, before, bytes(body), timestamp + 15)


@given(body=st.binary(max_size=400))
@on_shared_fixtures
def test_random_bytes_never_replace_what_is_held(redis, held, body):
    before, timestamp = held

    assert judge(redis, before, b"\n" + body, timestamp + 15) != "stored"
    assert read.freshness(redis)[FEED.name].timestamp == timestamp


@pytest.mark.parametrize(
    "name",
    [
        "sample_trip_update.pb",
        "vehiclepos_sydneytrains.pb",
        "sample_alert.pb",
        "GTFS_VP2020-09-01_08_00.pb.gz",
    ],
)
def test_another_feeds_body_is_refused(redis, held, recordings, name):
    before, timestamp = held
    body = later(recordings[name], timestamp + 15)

    reason = judge(redis, before, body, timestamp + 15)

    assert reason in {"wrong_kind", "other_routes", "collapsed"}


@pytest.mark.parametrize("times", [2, 3])
def test_a_body_glued_to_itself_is_refused(redis, trains, held, times):
    before, timestamp = held
    body = later(trains, timestamp + 15)

    assert judge(redis, before, body * times, timestamp + 15) == "malformed"


@given(
    piece=st.binary(min_size=1, max_size=60),
    share=st.floats(0, 1),
)
@on_shared_fixtures
def test_the_walk_accepts_only_what_the_bindings_parse(trains, piece, share):
    at = int(share * len(trains))
    body = trains[:at] + piece + trains[at + len(piece) :]

    try:
        opened = open_message(body)
        check_others(opened, opened.trip_updates)
        _, updates = decode.trip_updates(opened)
        times = decode.stop_times(opened, updates)
    except Malformed:
        return
    try:
        message = FeedMessage.FromString(body)
    except DecodeError:
        pytest.fail("the walk accepts bytes that the bindings refuse")
    rows = [
        row
        for entity in message.entity
        if not entity.is_deleted
        for row in entity.trip_update.stop_time_update
    ]
    assert len(times) == len(rows)
    assert times.arrival_delay.tolist() == [row.arrival.delay for row in rows]
    assert times.departure_time.tolist() == [row.departure.time for row in rows]
