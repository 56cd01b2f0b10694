import random

import pytest
from google.transit.gtfs_realtime_pb2 import FeedMessage

from worker.policy import POLICY
from worker.realtime import ingest, places, read
from worker.realtime.accept import Held
from worker.realtime.store import held as held_of


def store(redis, feed_name, message, now_s=None):
    body = message if isinstance(message, bytes) else message.SerializeToString()
    timestamp = FeedMessage.FromString(body).header.timestamp
    taken = ingest.take(
        redis,
        POLICY.feeds[feed_name],
        body,
        held=Held(),
        now_s=now_s or timestamp,
        limits=POLICY.realtime,
    )
    assert taken.outcome == "stored"


def test_nothing_is_read_from_an_empty_redis(redis):
    assert read.route(redis, "r").trip_updates == []
    assert read.trip(redis, "t").vehicles == []
    assert read.stop(redis, "s") == []
    assert read.vehicles_near(redis, -33.8, 151.2, 500) == []
    assert read.alerts(redis) == []
    assert read.worst_delays(redis) == []
    assert read.generation(redis) == (0, 0)
    assert read.freshness(redis) == {}


def test_a_route_and_a_trip_have_their_updates_and_vehicles(redis, feeds):
    vehicles = feeds.empty()
    feeds.vehicle(vehicles, "t1", "r1", -33.87, 151.2)
    feeds.vehicle(vehicles, "t2", "r1", -33.88, 151.2)
    store(redis, "buses_trips", feeds.city(trips=12))
    store(redis, "buses_vehicles", vehicles)

    route, trip = read.route(redis, "r1"), read.trip(redis, "t1")

    assert [update.trip.trip_id for update in route.trip_updates] == ["t1", "t11"]
    assert [vehicle.trip.trip_id for vehicle in route.vehicles] == ["t1", "t2"]
    assert [update.trip.trip_id for update in trip.trip_updates] == ["t1"]
    assert [vehicle.trip.trip_id for vehicle in trip.vehicles] == ["t1"]
    assert route.as_of == {"buses_trips": feeds.NOON, "buses_vehicles": feeds.NOON}


def test_a_stop_has_every_call_soonest_first(redis, feeds):
    message = feeds.empty()
    feeds.trip(message, "late", "r", [("s", 60, feeds.NOON + 300)])
    feeds.trip(message, "soon", "r", [("s", -30, feeds.NOON + 60)])
    feeds.trip(message, "some-time", "r", [("s", 5, None)])
    feeds.trip(message, "elsewhere", "r", [("s2", 5, None)])
    store(redis, "buses_trips", message)

    calls = read.stop(redis, "s")

    assert [call.trip_id for call in calls] == ["soon", "late", "some-time"]
    assert calls[0].departure_delay_s == -30
    assert calls[0].departure_at == feeds.NOON + 60
    assert (calls[0].arrival_at, calls[0].arrival_delay_s) == (None, None)
    assert (calls[2].expected_at, calls[2].stop_sequence) == (None, None)


@pytest.mark.parametrize(
    "name", ["tripupdates_sydneytrains.pb", "sample_trip_update.pb"]
)
def test_every_stop_of_a_real_feed_reads_as_the_bindings_read(redis, recordings, name):
    message = FeedMessage.FromString(recordings[name])
    expected = {}
    for entity in message.entity:
        trip = entity.trip_update.trip
        for row in entity.trip_update.stop_time_update:
            arrival, departure = row.arrival, row.departure
            given = (
                (trip.trip_id, trip.route_id, row.schedule_relationship),
                row.stop_sequence if row.HasField("stop_sequence") else None,
                arrival.delay if arrival.HasField("delay") else None,
                arrival.time if arrival.HasField("time") else None,
                departure.delay if departure.HasField("delay") else None,
                departure.time if departure.HasField("time") else None,
            )
            expected.setdefault(row.stop_id, []).append(given)
    store(redis, "sydneytrains_trips", recordings[name])

    for stop_id, rows in expected.items():
        found = [
            (
                (call.trip_id, call.route_id, call.relationship),
                call.stop_sequence,
                call.arrival_delay_s,
                call.arrival_at,
                call.departure_delay_s,
                call.departure_at,
            )
            for call in read.stop(redis, stop_id)
        ]
        assert sorted(found, key=repr) == sorted(rows, key=repr)


@pytest.mark.parametrize("length", [1, 7, 8, 9, 16, 17, 64])
def test_stop_ids_of_every_length_are_found(redis, feeds, length):
    message = feeds.empty()
    stops = [("x" * (length - 1) + letter, 0, None) for letter in "abc"]
    feeds.trip(message, "t", "r", [*stops, ("short", 0, None)])
    store(redis, "buses_trips", message)

    assert all(len(read.stop(redis, stop_id)) == 1 for stop_id, *_ in stops)
    assert len(read.stop(redis, "short")) == 1


def test_vehicles_near_a_point_are_those_within_the_radius(redis, feeds):
    message = feeds.empty()
    draw = random.Random(7)
    spots = [
        (draw.uniform(-33.92, -33.82), draw.uniform(151.15, 151.25)) for _ in range(400)
    ]
    for number, (latitude, longitude) in enumerate(spots):
        feeds.vehicle(message, f"t{number}", "r", latitude, longitude)
    store(redis, "buses_vehicles", message)

    for radius_m in (50, 700, 2500):
        found = read.vehicles_near(redis, -33.87, 151.2, radius_m)

        metres = [places.metres(-33.87, 151.2, spot) for spot in spots]
        within = {f"t{n}" for n, each in enumerate(metres) if each <= radius_m - 1}
        beyond = {f"t{n}" for n, each in enumerate(metres) if each > radius_m + 1}
        names = [vehicle.trip.trip_id for vehicle in found]
        assert within <= set(names)
        assert not beyond & set(names)
        distances = [metres[int(name[1:])] for name in names]
        assert distances == pytest.approx(sorted(distances), abs=2)


@pytest.mark.parametrize("radius_m", [-1, 5001, float("inf"), float("nan")])
def test_a_radius_that_would_read_the_whole_map_is_refused(redis, radius_m):
    with pytest.raises(ValueError, match="between 0 and 5000 metres"):
        read.vehicles_near(redis, -33.87, 151.2, radius_m)


def test_a_vehicle_without_a_position_is_on_its_route_but_not_on_the_map(redis, feeds):
    message = feeds.empty()
    feeds.vehicle(message, "t", "r", -33.87, 151.2).vehicle.ClearField("position")
    store(redis, "buses_vehicles", message)

    assert len(read.route(redis, "r").vehicles) == 1
    assert read.vehicles_near(redis, -33.87, 151.2, 1000) == []


@pytest.mark.parametrize(
    "place",
    [(0.0, 0.0), (1e30, 151.2), (-33.8, 200.0), (float("nan"), 151.2)],
    ids=["none known", "no latitude", "no longitude", "no number"],
)
def test_a_vehicle_that_is_nowhere_on_earth_is_not_on_the_map(redis, feeds, place):
    message = feeds.empty()
    feeds.vehicle(message, "t", "r", *place)
    feeds.vehicle(message, "t2", "r", -33.87, 151.2)
    store(redis, "buses_vehicles", message)

    assert len(read.route(redis, "r").vehicles) == 2
    assert len(redis.hkeys("live:buses_vehicles:cells")) == 1


def test_a_prediction_that_cannot_be_is_left_out(redis, feeds):
    limits = POLICY.realtime
    message = feeds.empty()
    worst, far = limits.delay_limit_s, limits.horizon_s
    feeds.trip(message, "most", "r", [("s", worst, feeds.NOON + far)])
    feeds.trip(message, "more", "r", [("s", worst + 1, feeds.NOON + far + 1)])
    feeds.trip(message, "zero", "r", [("s", -30, 0)])
    store(redis, "buses_trips", message)

    calls = {call.trip_id: call for call in read.stop(redis, "s")}

    assert calls["most"].departure_delay_s == worst
    assert calls["most"].expected_at == feeds.NOON + far
    assert (calls["more"].departure_delay_s, calls["more"].expected_at) == (None, None)
    assert (calls["zero"].departure_delay_s, calls["zero"].expected_at) == (-30, None)
    assert [delay.trip_id for delay in read.worst_delays(redis)] == ["most"]


def test_an_alert_that_is_no_text_is_read_all_the_same(redis, feeds):
    message = feeds.empty()
    alert = message.entity.add(id="a").alert
    alert.header_text.translation.add(text="xxxx", language="en")
    alert.informed_entity.add(
        agency_id="xxxx", route_id="xxxx", stop_id="xxxx", trip={"trip_id": "xxxx"}
    )
    message.entity[0].id = "xxxx"
    body = message.SerializeToString().replace(b"xxxx", b"\xff\xfexx")
    store(redis, "alerts", body)

    ((found,),) = [read.alerts(redis)]
    (who,) = found.informed
    texts = (found.alert_id, who.agency_id, who.route_id, who.stop_id, who.trip_id)
    assert {found.title, *texts} == {"\ufffd\ufffdxx"}


def test_alerts_are_read_by_route_by_stop_or_all(redis, feeds):
    message = feeds.empty()
    for name, informed in {
        "route": {"route_id": "r1"},
        "stop": {"stop_id": "s1"},
        "network": {"agency_id": "SMNW"},
    }.items():
        alert = message.entity.add(id=name).alert
        alert.informed_entity.add(**informed)
        alert.header_text.translation.add(text=name.title(), language="en")
    store(redis, "alerts", message)

    def ids(found):
        return {alert.alert_id for alert in found}

    assert ids(read.alerts(redis)) == {"route", "stop", "network"}
    assert ids(read.alerts_for(redis, route_id="r1")) == {"route", "network"}
    assert ids(read.alerts_for(redis, stop_id="s1")) == {"stop", "network"}
    assert ids(read.alerts_for(redis, route_id="r1", stop_id="s1")) == {
        "route",
        "stop",
        "network",
    }
    assert ids(read.alerts_for(redis, route_id="r9")) == {"network"}


def test_a_real_alert_keeps_its_texts_periods_and_informed_entities(redis, recordings):
    store(redis, "alerts", recordings["sample_alert.pb"])

    alerts = {alert.alert_id: alert for alert in read.alerts(redis)}

    first = alerts["cbd2e2c2-d0e1-5727-950d-99f78d6ffe31"]
    assert len(alerts) == 4
    assert first.title.startswith("Metro services run between Tallawong")
    assert set(first.description) == {"en", "en/html"}
    assert first.periods == ((1743591000, 1743606000),)
    assert (first.active(1743591000), first.active(1743606000)) == (True, False)
    assert [(each.route_id, each.direction_id) for each in first.informed] == [
        ("SMNW_M1", 1),
        ("SMNW_M1", 0),
    ]
    assert (first.cause, first.effect) == ("MAINTENANCE", "MODIFIED_SERVICE")


def test_freshness_tells_the_true_age(redis, feeds):
    store(redis, "buses_trips", feeds.city(trips=3), now_s=feeds.NOON + 40)

    held = read.freshness(redis)["buses_trips"]

    assert (held.age_s(feeds.NOON + 40), held.entities) == (40, 3)
    assert not held.stale(feeds.NOON + 90)
    assert held.stale(feeds.NOON + 91)


def test_an_answer_is_as_old_as_the_last_time_the_feed_said_so(redis, feeds):
    store(redis, "buses_trips", feeds.city())
    held = held_of(redis, ["buses_trips"])["buses_trips"]
    again = feeds.city()
    again.header.timestamp += 45

    taken = ingest.take(
        redis,
        POLICY.feeds["buses_trips"],
        again.SerializeToString(),
        held=held,
        now_s=feeds.NOON + 45,
        limits=POLICY.realtime,
    )

    assert taken.outcome == "unchanged"
    for live in (read.route(redis, "r1"), read.trip(redis, "t1")):
        assert live.as_of == {"buses_trips": feeds.NOON + 45}


def test_a_generation_is_matched_once_it_is_marked(redis, feeds):
    store(redis, "buses_trips", feeds.city(delay=900))
    wanted, matched = read.generation(redis)

    read.mark_matched(redis, wanted)

    assert (wanted, matched) == (1, 0)
    assert read.generation(redis) == (1, 1)
