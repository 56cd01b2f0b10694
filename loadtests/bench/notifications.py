"""What a match cycle and a push cost, in time and in private memory.

2,000 delayed trips of 20 stops, as Redis holds them, against riders with five
favorites each, in a database as it is when deployed: the timetable is loaded. On the
first day nobody has been told of anything; later riders have been told of other things
for a fortnight, which each match has to look through and to write among. On one more
day there are alerts and canceled trips as well. The pushes are those of `pushes`.
"""

import os
import time
import uuid
from collections.abc import Iterator
from random import Random
from statistics import median
from typing import Any

import psycopg
from google.transit.gtfs_realtime_pb2 import FeedMessage, TripDescriptor

from loadtests.bench import network, pushes
from loadtests.bench.loading import load
from loadtests.bench.memory import memory_row
from loadtests.bench.row import Row
from loadtests.rig.rig import Rig
from worker import env, keys
from worker.notifications.service_days import today
from worker.policy import POLICY
from worker.realtime import decode, significant, slices
from worker.realtime.envelope import open_message
from worker.tasks.alert_matcher import alert_matcher
from worker.tasks.world import World, world

REPEATS = 5
_LATE_TRIPS = 2_000
_FAVORITES = 5
_TOLD_BEFORE = 20  # of each rider in the days that are kept: 1.4 a day
_CYCLES = ((10_000, 200.0), (100_000, 800.0))
_WITH_ALERTS, _CANCELED_TRIPS = 10_000, 100
_ALERTS = 200  # half of them of some lines, half of some stops
_NAMED_BY_AN_ALERT = 10
_FEED, _ALERT_FEED = "buses_trips", "alerts"

_HISTORY = """
insert into app.notifications (
    user_id, device_id, kind, route_id, stop_id, trip_id, service_date, delay_s,
    collapse_id, bucket, published_at, matched_at, expires_at, state, due_at, hinted_at,
    sent_at, outcome, title, body
)
select
    d.user_id, d.id, 'delay', (%(lines)s::text[])[t.trip + 1], 's1', 'trip' || t.trip,
    t.at::date, 900, md5(n::text || d.id), 3, t.at, t.at, t.at, 'sent', t.at, t.at,
    t.at, 'sent', '1: 15 min late',
    'The 08:15 at Stop 1 is now expected at 08:30.'
from generate_series(1, %(rows)s) n
cross join app.devices d
cross join lateral (
    select
        now() - (n - random()) * make_interval(days => %(days)s) / %(rows)s as at,
        floor(random() * cardinality(%(lines)s::text[]))::int as trip
    where d.id is not null  -- refers to the device: other ones for each
) t
order by t.at
"""


def rows(up: Rig) -> Iterator[Row]:
    """Every line of the notifications room, in a world that is migrated."""
    os.environ.update(up.environment)
    bundle = up.folder / "network.zip"
    network.write_timetable(bundle)
    load(up.servers.database_url, bundle)
    with psycopg.connect(up.servers.admin_database_url, autocommit=True) as owner:
        for riders, target_ms in _CYCLES:
            _write_riders(owner, riders)
            yield _cycle(owner, riders, "first_day", target_ms)
            _write_history(owner)
            yield _cycle(owner, riders, "later", target_ms)
            if riders == _WITH_ALERTS:
                yield _cycle(owner, riders, "alerts", None)
        yield memory_row("match_private_memory", _one_match, target_mib=40.0)
    yield from pushes.rows(up)


def _cycle(
    owner: psycopg.Connection[Any], riders: int, when: str, target_ms: float | None
) -> Row:
    """From Redis to committed rows, all of them new."""
    here = _world()
    more = when == "alerts"
    _write_delays(here, canceled=_CANCELED_TRIPS if more else 0)
    _write_alerts(here, _ALERTS if more else 0)
    times = []
    for _ in range(1 + REPEATS):
        began = time.perf_counter()
        said = alert_matcher(here)
        times.append((time.perf_counter() - began) * 1e3)
        # A day's autovacuum: no match meets the dead rows of the same one before.
        owner.execute("delete from app.notifications where state = 'new'")
        owner.execute("vacuum app.notifications")
        if said["notifications"] < riders // 10:
            raise RuntimeError(f"the bench matched too few riders: {said}")
    return Row(
        name=f"match_cycle_{riders}_{when}",
        value=median(times[1:]),
        unit="ms",
        repeats=REPEATS,
        target=target_ms,
    )


def _one_match() -> None:
    alert_matcher(_world())


def _world() -> World:
    settings = env.settings()
    return world(settings.policy(), settings, lambda *_: None)


def _write_riders(owner: psycopg.Connection[Any], riders: int) -> None:
    """Riders with a device each, and their favorites."""
    owner.execute("truncate app.devices, app.favorites, app.notifications")
    with owner.cursor() as cursor:
        with cursor.copy("copy app.devices (user_id, token) from stdin") as copy:
            for rider in range(riders):
                copy.write_row((uuid.UUID(int=rider + 1), f"{rider:064x}"))
        with cursor.copy(
            "copy app.favorites (user_id, route_id, stop_id, to_stop_id, trip_id, "
            "from_minute, to_minute, weekdays, threshold_s) from stdin"
        ) as copy:
            for number, favorite in enumerate(_favorites(riders * _FAVORITES)):
                copy.write_row((uuid.UUID(int=number % riders + 1), *favorite))
    owner.execute("vacuum analyze app.favorites, app.devices, app.notifications")


def _write_history(owner: psycopg.Connection[Any]) -> None:
    """What the riders were told before."""
    with owner.transaction():
        owner.execute("set local session_replication_role = replica")  # as a restore
        values = {
            "rows": _TOLD_BEFORE,
            "days": POLICY.matching.kept_days,
            "lines": [f"r{line}" for _, line, _ in network.trips()],
        }
        owner.execute(_HISTORY, values)
    owner.execute("vacuum analyze app.notifications")


def _favorites(count: int) -> Iterator[tuple[object, ...]]:
    """Of twenty one is a line, one a stop or a station, one a way, one a trip; the
    others are a line at a stop.
    """
    random, trips = Random(1), network.trips()
    stops = [network.stops_of(line) for line in range(network.ROUTES)]
    for number, line in enumerate(network.lines(random, count)):
        here, there = sorted(random.sample(range(network.STOPS_A_ROUTE), 2))
        stop = stops[line][here]
        what = {
            0: (f"r{line}", None, None, None),
            1: (None, network.station_of(stop) or stop, None, None),
            2: (f"r{line}", stop, stops[line][there], None),
            3: (None, None, None, random.choice(trips)[0]),
        }.get(number % 20, (f"r{line}", stop, None, None))
        opens = random.randrange(0, 1_380)
        late_s = random.choice((600, 900, 1_200))
        yield *what, opens, opens + 60, 31 if number % 3 else 127, late_s


def _write_delays(here: World, canceled: int = 0) -> None:
    """What the poller leaves of 2,000 late trips, and of some that do not run."""
    random, now = Random(2), here.now()
    message = FeedMessage()
    message.header.gtfs_realtime_version = "2.0"
    message.header.timestamp = int(now.timestamp())
    trips_of_day = network.trips()
    for trip_id, line, _ in trips_of_day[_LATE_TRIPS : _LATE_TRIPS + canceled]:
        trip = message.entity.add(id=trip_id).trip_update.trip
        trip.trip_id, trip.route_id, trip.start_date = trip_id, f"r{line}", today(now)
        trip.schedule_relationship = TripDescriptor.CANCELED
    for trip_id, line, calls in trips_of_day[:_LATE_TRIPS]:
        update = message.entity.add(id=trip_id).trip_update
        update.trip.trip_id, update.trip.route_id = trip_id, f"r{line}"
        update.trip.start_date = today(now)
        late_s = 300 + int(random.expovariate(1 / 400))
        at = int(now.timestamp()) + random.randrange(60, 3_600)
        for place, stop in enumerate(calls):
            call = update.stop_time_update.add(stop_id=stop)
            call.departure.delay = late_s + random.randrange(60)
            call.departure.time = at + place * 120
    opened = open_message(message.SerializeToString())
    trips, updates = decode.trip_updates(opened)
    times = decode.stop_times(opened, updates)
    found = significant.find(
        _FEED,
        message.header.timestamp,
        trips,
        times,
        slices.stop_ids(opened, times),
        seen=b"",
        limits=POLICY.realtime,
    )
    here.redis.set(keys.live(_FEED, "delays"), found.packed)


def _write_alerts(here: World, count: int) -> None:
    """What the poller leaves of alerts: of lines, and of stops."""
    random, message = Random(5), FeedMessage()
    message.header.gtfs_realtime_version = "2.0"
    for number in range(count):
        alert = message.entity.add(id=f"alert{number}").alert
        alert.header_text.translation.add(language="en", text=f"Trackwork {number}")
        for _ in range(_NAMED_BY_AN_ALERT):
            line = random.randrange(network.ROUTES)
            if number % 2:
                alert.informed_entity.add(route_id=f"r{line}")
            else:
                stop = random.choice(network.stops_of(line))
                alert.informed_entity.add(stop_id=stop)
    here.redis.hset(keys.live(_ALERT_FEED, "all"), "", message.SerializeToString())
