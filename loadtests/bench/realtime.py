"""What the poller costs beside bare protobuf and one SET of the bytes.

The three real bus snapshots where there is real data, else a seeded feed of that size.
"""

import gzip
import multiprocessing
import os
import random
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from itertools import cycle
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Event, Thread
from typing import cast

from google.transit.gtfs_realtime_pb2 import FeedMessage
from redis import Redis

from loadtests.bench.row import Row, medians
from worker import keys
from worker.clients import redis as redis_client
from worker.policy import POLICY
from worker.realtime import decode, ingest, read, slices, store
from worker.realtime.accept import Held
from worker.realtime.envelope import open_message, peek
from worker.telemetry import usage

REPEATS = 9
_FEED = POLICY.feeds["buses_trips"]
_BASELINE = "ParseFromString + one SET"
_SNAPSHOTS = "realtime/*/GTFS_TU*.pb.gz"
_TRIPS, _STOPS_A_TRIP, _STOP_IDS, _ROUTES = 7_200, 28, 33_000, 2_700
_SERVICE_TIME = 1_598_911_200
_TICKS, _READS = 5, 200


def rows(redis_url: str, data: Path | None) -> Iterator[Row]:
    """Every line of the realtime room; ``data``: the folder of TRANSIT_DATA."""
    bodies = _bodies(data)
    with redis_client.connect(redis_url, policy=POLICY) as redis:
        yield from _times(redis, bodies)
    yield _memory(redis_url, bodies[0])


def _times(redis: Redis, bodies: list[bytes]) -> Iterator[Row]:
    everything, routes, bare = medians(
        [
            _each(bodies, lambda body: _take(redis, body, Held())),
            _each(bodies, lambda body: _routes_alone(redis, body)),
            _each(bodies, lambda body: _bare(redis, body)),
        ],
        repeats=REPEATS,
    )
    for name, value, target in (
        ("realtime_route_slices", routes, 2.5),
        ("realtime_everything", everything, 8.0),
    ):
        yield Row(
            name=name,
            value=value,
            unit="ms",
            baseline=_BASELINE,
            baseline_value=bare,
            repeats=REPEATS,
            target=target,
        )
    yield Row(
        name="realtime_everything_ms",
        value=everything,
        unit="ms",
        repeats=REPEATS,
        target=400.0,
    )
    _take(redis, bodies[0], Held())
    held = store.held(redis, [_FEED.name])[_FEED.name]
    slices_of = keys.live(_FEED.name, "routes")
    sizes = cast(dict[bytes, bytes], redis.hgetall(slices_of))
    by_size = sorted(sizes, key=lambda route: len(sizes[route]))
    unchanged, bare = medians(
        [
            lambda: _take(redis, bodies[0], held),
            lambda: _bare(redis, bodies[0]),
        ],
        repeats=REPEATS,
    )
    yield Row(
        name="realtime_unchanged",
        value=unchanged,
        unit="ms",
        baseline=_BASELINE,
        baseline_value=bare,
        repeats=REPEATS,
        target=0.2,
    )
    for name, route in (
        ("median", by_size[len(by_size) // 2]),
        ("largest", by_size[-1]),
    ):
        (one,) = medians(
            [partial(read.route, redis, route.decode())], repeats=_READS, warm=10
        )
        yield Row(
            name=f"realtime_read_{name}_route",
            value=one,
            unit="ms",
            repeats=_READS,
            target=1.0,
        )


def _memory(redis_url: str, body: bytes) -> Row:
    """The most private memory of a child above the same child before its first tick."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=_grow, args=(theirs, redis_url))
    child.start()
    theirs.close()  # so that a child that dies is an error here, not a silence
    ours.send(body)
    idle_mib, peak_mib, peak_rss_mib = ours.recv()
    child.join()
    return Row(
        name="realtime_private_memory",
        value=peak_mib - idle_mib,
        unit="MiB",
        repeats=_TICKS,
        target=70.0,
        peak_rss_mib=round(peak_rss_mib, 1),
    )


def _grow(pipe: Connection, redis_url: str) -> None:
    """Be a child: tell its private memory when idle, and at most in some ticks."""
    os.environ["REDIS_URL"] = redis_url
    import_module("worker.app")
    with redis_client.connect(redis_url, policy=POLICY) as redis:
        redis.ping()
        idle_mib = _private_mib()
        peak_mib, done = [idle_mib], Event()

        def watch() -> None:
            while not done.wait(0.002):
                peak_mib.append(_private_mib())

        watcher = Thread(target=watch)
        watcher.start()
        body = pipe.recv()
        for _ in range(_TICKS):
            _take(redis, body, Held())
        done.set()
        watcher.join()
    pipe.send((idle_mib, max(peak_mib), usage.peak_rss_mib()))


def _private_mib() -> float:
    """Anonymous memory: what no other process shares, whatever it has forked from."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("RssAnon"))
    return int(line.split()[1]) / 1024


def _take(redis: Redis, body: bytes, held: Held) -> None:
    """The production path from bytes to everything in Redis."""
    redis.delete(keys.live(_FEED.name, "meta"))
    service_s = FeedMessage.FromString(body[: peek(body)[1]]).header.timestamp + 5
    taken = ingest.take(
        redis, _FEED, body, held=held, now_s=service_s, limits=POLICY.realtime
    )
    if taken.outcome not in ("stored", "unchanged"):
        raise RuntimeError(f"the bench's feed was refused: {taken.outcome}")


def _routes_alone(redis: Redis, body: bytes) -> None:
    """The same as far as the routes' slices."""
    redis.delete(keys.live(_FEED.name, "meta"))
    message = open_message(body)
    trips, _ = decode.trip_updates(message)
    staged = store.Staged(redis, _FEED.name, POLICY.realtime)
    staged.add(slices.by_route(message, trips))
    staged.commit(Held(timestamp=message.timestamp))


def _bare(redis: Redis, body: bytes) -> None:
    """What it costs at least to parse the bytes and to put them into Redis."""
    FeedMessage().ParseFromString(body)
    redis.set("bench", body, ex=60)


def _each(bodies: list[bytes], part: Callable[[bytes], None]) -> Callable[[], None]:
    """``part`` with the next of the bodies at each call."""
    turn = cycle(bodies)
    return lambda: part(next(turn))


def _bodies(data: Path | None) -> list[bytes]:
    found = sorted(data.glob(_SNAPSHOTS)) if data else []
    return [gzip.decompress(path.read_bytes()) for path in found] or [_seeded()]


def _seeded() -> bytes:
    """A feed of the size and the shape of the real one, the same every time."""
    draw = random.Random(2020)
    message = FeedMessage()
    message.header.gtfs_realtime_version = "2.0"
    message.header.timestamp = _SERVICE_TIME
    for number in range(_TRIPS):
        entity = message.entity.add(id=f"{number}_19266056_2450_{number % 97}")
        update = entity.trip_update
        update.trip.trip_id = str(100_000 + number)
        update.trip.start_date = "20200901"
        update.trip.route_id = f"{2400 + number % _ROUTES % 60}_{number % _ROUTES}"
        delay = round(draw.gauss(60, 150))
        first = draw.randrange(_STOP_IDS - _STOPS_A_TRIP)
        for order in range(_STOPS_A_TRIP):
            row = update.stop_time_update.add(stop_sequence=order + 1)
            row.stop_id = str(200_000 + first + order)
            at = _SERVICE_TIME + 90 * order + delay
            row.arrival.delay, row.arrival.time = delay, at
            row.departure.delay, row.departure.time = delay + 20, at + 20
            row.schedule_relationship = row.SCHEDULED
    return message.SerializeToString()
