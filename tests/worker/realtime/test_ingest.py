import pytest
from google.transit.gtfs_realtime_pb2 import FeedMessage

from worker import keys
from worker.errors import TransientError
from worker.policy import POLICY
from worker.realtime import ingest, read, store
from worker.realtime.accept import Held

TRIPS = POLICY.feeds["buses_trips"]
VEHICLES = POLICY.feeds["buses_vehicles"]
ALERTS = POLICY.feeds["alerts"]


@pytest.fixture
def take(redis, limits):
    """Take a message as a tick would, judged by what Redis holds."""

    def taken(message, *, now_s, feed=TRIPS):
        body = message if isinstance(message, bytes) else message.SerializeToString()
        held = store.held(redis, [feed.name])[feed.name]
        return ingest.take(redis, feed, body, held=held, now_s=now_s, limits=limits)

    return taken


def live_keys(redis):
    return {key.decode() for key in redis.scan_iter("live:*")}


def test_a_message_is_stored_and_every_key_of_it_expires(redis, take, feeds):
    taken = take(feeds.city(delay=900), now_s=feeds.NOON)

    assert taken.outcome == "stored"
    assert live_keys(redis) == {
        f"live:buses_trips:{part}"
        for part in ("meta", "routes", "trips", "stops", "delays", "significant")
    }
    assert all(redis.ttl(key) > 0 for key in redis.scan_iter("*"))


def test_no_staged_key_outlives_a_minute_when_redis_dies_between(redis, limits, feeds):
    staged = store.Staged(redis, TRIPS.name, limits)
    staged.add([("routes", {b"r": b"x"}), ("routes", {b"s": b"y"})])

    (name,) = redis.keys("*")

    assert 0 < redis.ttl(name) <= 60
    assert live_keys(redis) == {name.decode()}
    assert not read.route(redis, "r").as_of


def test_the_same_content_under_a_newer_header_is_unchanged(redis, take, feeds):
    take(feeds.city(), now_s=feeds.NOON)
    redis.expire(keys.live(TRIPS.name, "routes"), 5)
    again = feeds.city()
    again.header.timestamp += 15

    taken = take(again, now_s=feeds.NOON + 15)

    assert taken.outcome == "unchanged"
    assert taken.held.timestamp == feeds.NOON + 15
    assert redis.ttl(keys.live(TRIPS.name, "routes")) > 5
    assert read.freshness(redis)[TRIPS.name].age_s(feeds.NOON + 15) == 0


def test_vanished_routes_and_stops_vanish(redis, take, feeds):
    take(feeds.city(trips=45), now_s=feeds.NOON)
    later = feeds.city(trips=45, timestamp=feeds.NOON + 15)
    for entity in list(later.entity):
        if entity.trip_update.trip.route_id == "r3":
            later.entity.remove(entity)

    assert take(later, now_s=feeds.NOON + 15).outcome == "stored"

    assert not read.route(redis, "r3").trip_updates
    assert not read.trip(redis, "t3").trip_updates
    assert read.route(redis, "r4").trip_updates


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        pytest.param(lambda body: b"", "empty", id="empty"),
        pytest.param(lambda body: b"<html>busy</html>", "html", id="a page"),
        pytest.param(lambda body: b'{"error": 1}', "json", id="json"),
        pytest.param(lambda body: body[:-3], "malformed", id="cut inside"),
        pytest.param(lambda body: body + body, "malformed", id="glued"),
        pytest.param(lambda body: body[15:], "not_protobuf", id="headless"),
    ],
)
def test_a_refused_body_leaves_the_held_message_alone(
    redis, take, feeds, spoil, reason
):
    take(feeds.city(), now_s=feeds.NOON)
    before = {key: redis.dump(key) for key in live_keys(redis)}
    later = feeds.city(timestamp=feeds.NOON + 15).SerializeToString()

    taken = take(spoil(later), now_s=feeds.NOON + 15)

    assert taken.outcome == reason
    assert taken.held.timestamp == feeds.NOON
    assert {key: redis.dump(key) for key in live_keys(redis)} == before


def test_a_slow_writer_does_not_replace_what_a_newer_one_stored(redis, limits, feeds):
    slow = feeds.city().SerializeToString()
    newer = feeds.city(timestamp=feeds.NOON + 15).SerializeToString()

    def take(body):
        return ingest.take(
            redis, TRIPS, body, held=Held(), now_s=feeds.NOON + 15, limits=limits
        )

    assert take(newer).outcome == "stored"
    assert take(slow).outcome == "older"

    assert read.freshness(redis)[TRIPS.name].timestamp == feeds.NOON + 15
    assert read.route(redis, "r1").as_of == {TRIPS.name: feeds.NOON + 15}


def test_what_is_unchanged_is_stored_again_when_redis_was_wiped_meanwhile(
    redis, limits, feeds
):
    body = feeds.city().SerializeToString()

    def take(held):
        return ingest.take(
            redis, TRIPS, body, held=held, now_s=feeds.NOON, limits=limits
        )

    held = take(Held()).held
    redis.flushall()

    assert take(held).outcome == "stored"
    assert len(read.route(redis, "r1").trip_updates) == 6
    assert store.held(redis, [TRIPS.name])[TRIPS.name] == held


def test_a_slow_writer_does_not_make_what_is_held_older(redis, limits, feeds):
    def take(shift_s, held):
        again = feeds.city()
        again.header.timestamp += shift_s
        return ingest.take(
            redis,
            TRIPS,
            again.SerializeToString(),
            held=held,
            now_s=feeds.NOON + 60,
            limits=limits,
        )

    held = take(0, Held()).held
    assert take(30, held).outcome == "unchanged"
    assert take(15, held).outcome == "unchanged"

    assert read.freshness(redis)[TRIPS.name].timestamp == feeds.NOON + 30


@pytest.mark.parametrize("lost", ["routes", "trips", "stops", "delays"])
def test_a_redis_that_lost_a_staged_part_keeps_what_was_held(redis, take, feeds, lost):
    take(feeds.city(), now_s=feeds.NOON)
    later = feeds.city(timestamp=feeds.NOON + 15, delay=900)

    class Forgetful(store.Staged):
        def commit(self, *args, **kwargs):
            redis.delete(self._staged(lost))
            return super().commit(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(store, "Staged", Forgetful)
        with pytest.raises(TransientError, match="lost a part"):
            take(later, now_s=feeds.NOON + 15)

    assert read.freshness(redis)[TRIPS.name].timestamp == feeds.NOON
    assert len(read.route(redis, "r1").trip_updates) == 6
    assert read.generation(redis) == (0, 0)
    assert take(later, now_s=feeds.NOON + 15).outcome == "stored"


@pytest.mark.parametrize("where", ["message", "header"])
def test_an_extension_anywhere_is_no_reason_to_refuse(redis, take, feeds, where):
    message = feeds.city()
    extended = message if where == "message" else message.header
    extended.MergeFromString(b"\xfa\x3e\x82\x01" + b"x" * 130)  # field 1007

    assert take(message, now_s=feeds.NOON).outcome == "stored"
    assert len(read.route(redis, "r1").trip_updates) == 6


def test_stale_delays_are_stored_for_screens_and_told_to_nobody(redis, take, feeds):
    taken = take(feeds.city(delay=900), now_s=feeds.NOON + TRIPS.stale_s + 1)

    assert taken.outcome == "stored"
    assert read.route(redis, "r1").trip_updates
    assert read.worst_delays(redis) == []
    assert read.generation(redis) == (0, 0)


def test_a_full_redis_fails_the_tick_and_the_next_one_heals(redis, take, feeds):
    take(feeds.city(), now_s=feeds.NOON)
    later = feeds.city(timestamp=feeds.NOON + 15)
    before = redis.config_get("maxmemory")["maxmemory"]
    redis.config_set("maxmemory", 1)
    try:
        with pytest.raises(TransientError):
            take(later, now_s=feeds.NOON + 15)
    finally:
        redis.config_set("maxmemory", before)

    assert read.route(redis, "r1").as_of == {TRIPS.name: feeds.NOON}
    assert take(later, now_s=feeds.NOON + 15).outcome == "stored"


def test_entities_that_share_an_id_are_all_kept(redis, take, feeds):
    message = feeds.empty()
    for number in range(3):
        feeds.trip(message, "", "_T80", [(f"s{number}", 0, None)]).id = "same"

    take(message, now_s=feeds.NOON)

    assert len(read.route(redis, "_T80").trip_updates) == 3


def test_alerts_that_share_an_id_are_all_read(redis, take, feeds):
    message = feeds.empty()
    for number in range(2):
        alert = message.entity.add(id="same").alert
        alert.informed_entity.add(route_id="r1", stop_id="s1")
        alert.header_text.translation.add(text=f"text {number}")

    take(message, now_s=feeds.NOON, feed=ALERTS)

    for found in (
        read.alerts(redis),
        read.alerts_for(redis, route_id="r1"),
        read.alerts_for(redis, route_id="r1", stop_id="s1"),
    ):
        assert sorted(alert.title for alert in found) == ["text 0", "text 1"]


def test_an_alert_without_a_required_text_is_read_all_the_same(redis, take, feeds):
    message = feeds.empty()
    alert = message.entity.add(id="a").alert
    alert.informed_entity.add(route_id="r1")
    alert.header_text.translation.add(language="en")

    take(message.SerializePartialToString(), now_s=feeds.NOON, feed=ALERTS)

    (found,) = read.alerts_for(redis, route_id="r1")
    assert found.alert_id == "a"


def test_a_vehicle_that_brings_its_trip_update_is_read_as_a_vehicle(redis, take, feeds):
    message = feeds.empty()
    for number in range(20):
        entity = feeds.vehicle(message, f"t{number}", "r1", -33.87, 151.2)
        entity.trip_update.trip.trip_id = f"t{number}"
        entity.trip_update.trip.route_id = "r1"

    take(message, now_s=feeds.NOON, feed=VEHICLES)

    live = read.route(redis, "r1")
    assert (len(live.vehicles), live.trip_updates) == (20, [])


def test_a_body_of_millions_of_entities_is_refused_before_it_is_walked(take, feeds):
    header = feeds.empty().SerializeToString()
    many = header + b"\x12\x00" * (POLICY.realtime.entity_limit + 1)

    assert take(many, now_s=feeds.NOON).outcome == "malformed"


def test_an_extension_is_stored_with_its_entity(redis, take, feeds):
    extension = b"\xfa\x3e\x03abc"  # field 1007
    message = feeds.city(trips=1)
    update = message.entity[0].trip_update
    update.MergeFromString(extension)

    take(message, now_s=feeds.NOON)

    (stored,) = read.route(redis, "r0").trip_updates
    assert extension in stored.SerializeToString()


def test_consecutive_snapshots_are_replayed_and_read_as_the_bindings_read(
    redis, take, recordings
):
    bodies = [body for name, body in recordings.items() if name.startswith("GTFS_TU")]
    assert len(bodies) == 3

    for body in bodies:
        message = FeedMessage.FromString(body)
        taken = take(body, now_s=message.header.timestamp + 5)

        assert taken.outcome == "stored"
        routes = {}
        for entity in message.entity:
            update = entity.trip_update
            routes.setdefault(update.trip.route_id, []).append(update)
        names = redis.hkeys(keys.live(TRIPS.name, "routes"))
        assert {name.decode() for name in names} == set(routes)
        for route_id in sorted(routes)[::400]:
            assert read.route(redis, route_id).trip_updates == routes[route_id]
