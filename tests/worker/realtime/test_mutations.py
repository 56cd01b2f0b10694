"""Real and made-up feeds, damaged in every way that a wire or a server can."""

from collections import Counter

import pytest
from google.protobuf.message import DecodeError
from google.transit.gtfs_realtime_pb2 import FeedMessage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from worker import keys
from worker.policy import POLICY
from worker.realtime import decode, ingest, read, store
from worker.realtime.accept import Held
from worker.realtime.envelope import check_others, open_message
from worker.realtime.wire import Malformed

MADE_UP = {name: name for name in ("metro_trips", "metro_vehicles", "alerts")}
RECORDED = {
    "tripupdates_sydneytrains.pb": "sydneytrains_trips",
    "vehiclepos_sydneytrains.pb": "sydneytrains_vehicles",
    "vehiclepos_buses.pb": "buses_vehicles",
    "vehiclepos_metro.pb": "metro_vehicles",
    "vehiclepos_lightrail_innerwest.pb": "lightrail_innerwest_vehicles",
    "sample_trip_update.pb": "metro_trips",
    "sample_alert.pb": "alerts",
    "GTFS_TU2020-09-01_08_00.pb.gz": "buses_trips",
    "GTFS_VP2020-09-01_08_00.pb.gz": "buses_vehicles",
}
"""A real body, and the feed that it is of."""

DAMAGED = [*MADE_UP, "tripupdates_sydneytrains.pb", "sample_alert.pb"]
REFUSALS = {
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
PARTS = {"trip_updates": "trip_update", "vehicle_positions": "vehicle"}
on_shared_fixtures = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


class Body(bytes):
    """Bytes of a feed; too long to be shown whole when a test fails."""

    def __repr__(self):
        return f"<{len(self)} bytes>"


class Good:
    """A good body of one feed, held by Redis, and what may come after it."""

    def __init__(self, redis, feed, body):
        self.redis = redis
        self.feed = feed
        self.timestamp = FeedMessage.FromString(body).header.timestamp
        redis.flushall()
        assert self.take(body, Held(), self.timestamp).outcome == "stored"
        self.held = store.held(redis, [feed.name])[feed.name]
        self.next = Body(later(body, self.timestamp + 15))

    def take(self, body, held, now_s):
        return ingest.take(
            self.redis, self.feed, body, held=held, now_s=now_s, limits=POLICY.realtime
        )

    def judge(self, body, *, compare=True):
        """Take a damaged body; what is stored then is what the bindings read from it,
        and what is refused has changed nothing.
        """
        meta = self.redis.hgetall(keys.live(self.feed.name, "meta"))
        outcome = self.take(body, self.held, self.timestamp + 15).outcome
        if outcome == "stored":
            assert not compare or self.stored() == self.entities(body)
        elif outcome != "unchanged":
            assert outcome in REFUSALS
            assert self.redis.hgetall(keys.live(self.feed.name, "meta")) == meta
        return outcome

    def stored(self):
        part = "all" if self.feed.kind == "alerts" else "routes"
        found = Counter()
        for slice_ in self.redis.hvals(keys.live(self.feed.name, part)):
            found.update(self.entities(slice_))
        return found

    def entities(self, body):
        """The entities of the feed's kind, as the bindings read them, in any order."""
        kind = PARTS.get(self.feed.kind, "alert")
        return Counter(
            entity.SerializePartialToString()  # a flipped bit may hide a required field
            for entity in FeedMessage.FromString(body).entity
            if entity.HasField(kind) and not entity.is_deleted
        )


def later(body, timestamp):
    message = FeedMessage.FromString(body)
    message.header.timestamp = timestamp
    return message.SerializeToString()


def made_up(feeds, name):
    if name == "metro_trips":
        return feeds.city(trips=70).SerializeToString()
    message = feeds.empty()
    for number in range(30):
        if name == "metro_vehicles":
            feeds.vehicle(message, f"t{number}", f"r{number % 3}", -33.8, 151.2)
        else:
            alert = message.entity.add(id=str(number)).alert
            alert.informed_entity.add(route_id=f"r{number % 3}", stop_id="s")
            alert.header_text.translation.add(text="Works", language="en")
    return message.SerializeToString()


@pytest.fixture
def body_of(request, feeds):
    """The bytes of a good feed by its name."""

    def body(name):
        if name in MADE_UP:
            return made_up(feeds, name)
        return request.getfixturevalue("recordings")[name]

    return body


@pytest.fixture
def good(request, redis, body_of):
    """The feed that the test names, held since a moment ago."""
    name = request.param
    feed = (MADE_UP | RECORDED)[name]
    return Good(redis, POLICY.feeds[feed], body_of(name))


def of(*names):
    return pytest.mark.parametrize("good", names, indirect=True)


@of(*MADE_UP, *RECORDED)
def test_a_cut_at_every_entity_boundary_is_refused_or_loses_little(good):
    ends = open_message(good.next).at.tolist()
    fewest = POLICY.realtime.fewest_entities(len(ends))
    # Thousands of cuts of megabytes would say no more than fifty do.
    step = 1 if len(ends) < 1000 else len(ends) // 50

    reasons = Counter()
    for kept in range(0, len(ends), step):
        compare = step > 1 or not kept % 10
        reason = good.judge(good.next[: ends[kept]], compare=compare)
        assert (reason == "collapsed") == (kept < fewest), f"{kept} of {len(ends)}"
        reasons[reason] += 1

    assert set(reasons) <= {"collapsed", "stored"}


@of(*DAMAGED)
@given(share=st.floats(0, 1))
@on_shared_fixtures
def test_a_cut_anywhere_else_is_refused(good, share):
    ends = {*open_message(good.next).at.tolist(), len(good.next)}
    cut = min(int(share * len(good.next)), len(good.next) - 1)
    while cut in ends:
        cut -= 1

    assert good.judge(good.next[: max(cut, 0)]) in {"malformed", "empty"}


@of(*DAMAGED)
@given(flips=st.lists(st.tuples(st.floats(0, 0.9999), st.integers(0, 7)), min_size=1))
@on_shared_fixtures
def test_flipped_bits_never_crash_and_what_is_stored_the_bindings_read(good, flips):
    body = bytearray(good.next)
    for share, bit in flips:
        body[int(share * len(body))] ^= 1 << bit

    good.judge(bytes(body))


@of(*DAMAGED)
@given(flip=st.tuples(st.floats(0, 0.9999), st.integers(0, 7)))
@on_shared_fixtures
def test_no_flipped_bit_tells_riders_of_a_delay_that_cannot_be(good, flip):
    body = bytearray(good.next)
    body[int(flip[0] * len(body))] ^= 1 << flip[1]

    good.judge(bytes(body), compare=False)

    limits = POLICY.realtime
    for delay in read.worst_delays(good.redis):
        assert abs(delay.delay_s) <= limits.delay_limit_s
        at = delay.expected_at or good.timestamp
        assert abs(at - good.timestamp) <= limits.horizon_s + 15


@of("metro_trips", "tripupdates_sydneytrains.pb")
@given(
    share=st.floats(0, 0.9999),
    delay=st.integers(-(2**31), 2**31 - 1),
    time=st.integers(-(2**40), 2**40),
)
@on_shared_fixtures
def test_no_delay_that_cannot_be_is_told_to_riders(good, share, delay, time):
    message = FeedMessage.FromString(good.next)
    updates = [each.trip_update for each in message.entity]
    for update in updates[int(share * len(updates)) :][:20]:
        for stop_time in update.stop_time_update:
            stop_time.departure.delay = delay
            stop_time.arrival.time = time

    reason = good.judge(message.SerializeToString(), compare=False)

    assert reason in ("stored", "unchanged")  # the same when no update is changed
    limits = POLICY.realtime
    for row in read.worst_delays(good.redis):
        assert abs(row.delay_s) <= limits.delay_limit_s
        at = row.expected_at or good.timestamp
        assert abs(at - good.timestamp) <= limits.horizon_s + 15


@of(*MADE_UP)
@given(body=st.binary(max_size=400))
@on_shared_fixtures
def test_random_bytes_never_replace_what_is_held(good, body):
    assert good.judge(b"\n" + body) in REFUSALS


@of(*RECORDED)
def test_another_feeds_body_is_refused(good, body_of):
    reasons = {}
    for name, feed in RECORDED.items():
        if feed != good.feed.name:
            reasons[name] = good.judge(later(body_of(name), good.timestamp + 15))

    assert set(reasons.values()) <= {"wrong_kind", "other_routes", "collapsed"}, reasons


@of(*MADE_UP, *RECORDED)
def test_bodies_glued_together_are_refused(good, body_of):
    other = later(body_of("metro_trips"), good.timestamp + 15)

    for glued in (good.next * 2, good.next * 3, good.next + other, other + good.next):
        assert good.judge(glued) == "malformed"


@of(*DAMAGED)
@given(piece=st.binary(min_size=1, max_size=60), share=st.floats(0, 1))
@on_shared_fixtures
def test_the_walk_accepts_only_what_the_bindings_parse(good, piece, share):
    at = int(share * len(good.next))
    body = good.next[:at] + piece + good.next[at + len(piece) :]

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


def test_what_a_deleted_entity_holds_is_walked_all_the_same(feeds):
    message = feeds.city(trips=2)
    message.entity[1].is_deleted = True
    trip = message.entity[1].trip_update.trip.SerializeToString()
    broken = message.SerializeToString().replace(trip, b"\x01" + trip[1:])

    with pytest.raises(DecodeError):
        FeedMessage.FromString(broken)
    with pytest.raises(Malformed):
        open_message(broken)
