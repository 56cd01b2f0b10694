import pytest
from google.transit.gtfs_realtime_pb2 import TripDescriptor, TripUpdate

from worker.realtime import decode, delays, significant, slices
from worker.realtime.envelope import open_message

ROW = TripUpdate.StopTimeUpdate
FEED = "buses_trips"


def find(message, limits, seen=b""):
    opened = open_message(message.SerializeToString())
    trips, updates = decode.trip_updates(opened)
    times = decode.stop_times(opened, updates)
    return significant.find(
        FEED,
        message.header.timestamp,
        trips,
        times,
        slices.stop_ids(opened, times),
        seen=seen,
        limits=limits,
    )


def told(message, limits, seen=b""):
    return delays.unpack(find(message, limits, seen).packed)


def one_trip(feeds, *times, timestamp=None, relationship=None, date="20260611"):
    message = feeds.empty(timestamp or feeds.NOON)
    feeds.trip(message, "t", "r", times, relationship=relationship, date=date)
    return message


def test_a_delay_is_told_with_all_that_a_matcher_needs(feeds, limits):
    (delay,) = told(one_trip(feeds, ("s", 300, feeds.NOON + 600)), limits)

    assert delay == delays.Delay(
        kind="delay",
        feed=FEED,
        route_id="r",
        trip_id="t",
        service_date="20260611",
        stop_id="s",
        delay_s=300,
        expected_at=feeds.NOON + 600,
        published_at=float(feeds.NOON),
    )


@pytest.mark.parametrize(
    ("delay", "time_s", "count"),
    [
        pytest.param(299, 600, 0, id="a second too little"),
        pytest.param(300, 600, 1, id="just significant"),
        pytest.param(-900, 600, 0, id="early"),
        pytest.param(900, -60, 1, id="passed a minute ago"),
        pytest.param(900, -61, 0, id="passed before that"),
        pytest.param(900, None, 1, id="without a time, as trains send it"),
    ],
)
def test_only_what_still_delays_somebody_is_told(feeds, limits, delay, time_s, count):
    time = None if time_s is None else feeds.NOON + time_s

    assert len(told(one_trip(feeds, ("s", delay, time)), limits)) == count


@pytest.mark.parametrize("relationship", [ROW.SKIPPED, ROW.NO_DATA])
def test_a_skipped_stop_and_one_without_data_delay_nobody(feeds, limits, relationship):
    message = one_trip(feeds, ("s", 900, feeds.NOON + 60))
    row = message.entity[0].trip_update.stop_time_update[0]
    row.schedule_relationship = relationship

    assert told(message, limits) == []


def test_the_worse_of_arrival_and_departure_counts(feeds, limits):
    message = one_trip(feeds, ("s", 100, feeds.NOON + 60))
    row = message.entity[0].trip_update.stop_time_update[0]
    row.arrival.delay = 800

    assert [delay.delay_s for delay in told(message, limits)] == [800]


def test_rows_are_the_worst_of_a_route_at_a_stop_and_of_a_trip(feeds, limits):
    message = feeds.empty()
    at = feeds.NOON + 600
    feeds.trip(message, "a", "r", [("s1", 400, at), ("s2", 900, at)])
    feeds.trip(message, "b", "r", [("s1", 500, at), ("s2", 700, at)])
    feeds.trip(message, "c", "r", [("s1", 310, at), ("s2", 320, at)])

    rows = {(row.trip_id, row.stop_id, row.delay_s) for row in told(message, limits)}

    assert rows == {
        ("a", "s2", 900),  # worst at s2, and of trip a
        ("b", "s1", 500),  # worst at s1
        ("b", "s2", 700),  # worst of trip b
        ("c", "s2", 320),  # worst of trip c
    }


def test_a_delay_later_in_the_day_hides_none_of_now(feeds, limits):
    message = feeds.empty()
    soon, later = feeds.NOON + 600, feeds.NOON + 4 * 3600
    feeds.trip(message, "a", "r", [("s1", 400, soon), ("s2", 410, soon)])
    feeds.trip(message, "b", "r", [("s1", 900, later)])

    rows = {(row.trip_id, row.stop_id) for row in told(message, limits)}

    assert rows == {("a", "s1"), ("a", "s2"), ("b", "s1")}


def test_a_delay_towards_another_stop_hides_none_of_a_riders_way(feeds, limits):
    message = feeds.empty()
    at = feeds.NOON + 600
    feeds.trip(message, "a", "r", [("s1", 400, at), ("s2", 410, at)])
    feeds.trip(message, "b", "r", [("s1", 900, at), ("s3", 910, at)])
    feeds.trip(message, "c", "r", [("s1", 950, at), ("s3", 0, at)])

    rows = {(row.trip_id, row.stop_id) for row in told(message, limits)}

    assert rows == {("a", "s1"), ("a", "s2"), ("b", "s3"), ("c", "s1")}


def test_a_delay_without_a_time_hides_none_of_another_trip(feeds, limits):
    message = feeds.empty()
    feeds.trip(message, "a", "r", [("s1", 400, None), ("s2", 410, None)])
    feeds.trip(message, "b", "r", [("s1", 900, None)])

    rows = {(row.trip_id, row.stop_id) for row in told(message, limits)}

    assert rows == {("a", "s1"), ("a", "s2"), ("b", "s1")}


def test_published_at_stays_while_a_delay_keeps_its_size(feeds, limits):
    at = feeds.NOON + 3000
    published, seen = [], b""
    for tick, delay in enumerate([310, 590, 610, 620, 310]):
        message = one_trip(feeds, ("s", delay, at), timestamp=feeds.NOON + 15 * tick)
        found = find(message, limits, seen)
        seen = found.seen
        (row,) = delays.unpack(found.packed)
        published.append((row.published_at - feeds.NOON, found.new))

    assert published == [(0, 1), (0, 0), (30, 1), (30, 0), (60, 1)]


def test_published_at_is_that_of_the_stop_not_of_the_trip(feeds, limits):
    at = feeds.NOON + 3000
    before = find(one_trip(feeds, ("s1", 400, at), ("s2", 0, at)), limits)

    later = one_trip(feeds, ("s1", 400, at), ("s2", 400, at), timestamp=feeds.NOON + 15)
    rows = {row.stop_id: row for row in told(later, limits, before.seen)}

    assert rows["s2"].published_at == feeds.NOON + 15


def test_other_trips_do_not_change_what_is_known_of_one(feeds, limits):
    at = feeds.NOON + 3000
    before = find(one_trip(feeds, ("s", 400, at)), limits)
    later = feeds.empty(feeds.NOON + 15)
    feeds.trip(later, "much-longer-name", "r2", [("another-longer-stop", 900, at)])
    feeds.trip(later, "t", "r", [("s", 420, at)], date="20260611")

    found = find(later, limits, before.seen)

    rows = {row.trip_id: row.published_at for row in delays.unpack(found.packed)}
    assert rows["t"] == feeds.NOON
    assert (found.new, found.late_trips) == (1, 2)


@pytest.mark.parametrize(
    ("relationship", "kind"),
    [
        (TripDescriptor.CANCELED, "canceled"),
        (TripDescriptor.DELETED, "canceled"),
        (TripDescriptor.REPLACEMENT, "replaced"),
    ],
)
def test_a_trip_that_does_not_run_as_planned_is_told_whole(
    feeds, limits, relationship, kind
):
    (row,) = told(one_trip(feeds, relationship=relationship), limits)

    assert (row.kind, row.stop_id, row.delay_s, row.expected_at) == (kind, "", 0, None)


def test_every_canceled_trip_of_a_route_is_told(feeds, limits):
    message = feeds.empty()
    for number in range(3):
        feeds.trip(message, f"t{number}", "r", relationship=TripDescriptor.CANCELED)

    assert {row.trip_id for row in told(message, limits)} == {"t0", "t1", "t2"}


@pytest.mark.parametrize(
    ("clock", "day"),
    [
        pytest.param(1_781_142_000, "20260611", id="noon"),
        pytest.param(1_781_102_400 - 1, "20260610", id="00:39 belongs to yesterday"),
        pytest.param(1_781_110_799, "20260610", id="02:59"),
        pytest.param(1_781_110_800, "20260611", id="03:00"),
    ],
)
def test_a_trip_without_a_date_runs_on_the_sydney_service_day(
    feeds, limits, clock, day
):
    message = one_trip(feeds, ("s", 400, None), timestamp=clock, date=None)

    assert [row.service_date for row in told(message, limits)] == [day]


def test_a_quiet_network_tells_nothing(feeds, limits):
    found = find(feeds.city(delay=0), limits)

    assert delays.unpack(found.packed) == []
    assert (found.new, found.late_trips, found.seen) == (0, 0, b"")


def test_real_delays_are_those_that_the_bindings_find(recordings, limits):
    from google.transit.gtfs_realtime_pb2 import FeedMessage

    message = FeedMessage.FromString(recordings["tripupdates_sydneytrains.pb"])
    now = message.header.timestamp
    worst = {}
    for entity in message.entity:
        update = entity.trip_update
        for row in update.stop_time_update:
            known = [
                event.delay
                for event in (row.arrival, row.departure)
                if event.HasField("delay")
            ]
            at = row.departure.time or row.arrival.time
            if row.schedule_relationship in (ROW.SKIPPED, ROW.NO_DATA) or not known:
                continue
            if max(known) >= 300 and (not at or at >= now - 60):
                key = (update.trip.route_id, row.stop_id)
                worst[key] = max(worst.get(key, 0), max(known))

    rows = [row for row in told(message, limits) if row.kind == "delay"]

    found = {}
    for row in rows:
        key = (row.route_id, row.stop_id)
        found[key] = max(found.get(key, 0), row.delay_s)
    assert worst
    assert found == worst
