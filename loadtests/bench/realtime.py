"""What the poller costs beside bare protobuf and one SET of the bytes.

The three real bus snapshots where there is real data, else a seeded feed of that size.
"""

import gzip
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle
from pathlib import Path
from threading import Thread
from typing import cast

from google.transit.gtfs_realtime_pb2 import FeedMessage
from redis import Redis

from loadtests.bench import memory
from loadtests.bench.row import Row, medians
from worker import keys
from worker.clients import redis as redis_client
from worker.policy import POLICY
from worker.realtime import decode, ingest, read, slices, store
from worker.realtime.accept import Held
from worker.realtime.envelope import open_message, peek

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
    """The most private memory of a child above what it has before its first tick."""
    with _serving(body) as url:
        work = partial(
            memory.named,
            "loadtests.bench.child",
            "ticks",
            redis_url,
            url,
            _FEED.name,
            _service_s(body),
            _TICKS,
        )
        return memory.memory_row("realtime_private_memory", work, target_mib=70.0)


@contextmanager
def _serving(body: bytes) -> Iterator[str]:
    """A server on loopback that answers every request with this body."""

    class Answers(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing: a bench has its own words."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    serving = Thread(target=server.serve_forever, args=(0.05,))
    serving.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


def _service_s(body: bytes) -> int:
    """A moment after the body was published, epoch seconds."""
    return FeedMessage.FromString(body[: peek(body)[1]]).header.timestamp + 5


def _take(redis: Redis, body: bytes, held: Held) -> None:
    """The production path from bytes to everything in Redis."""
    if not held.timestamp:
        redis.delete(keys.live(_FEED.name, "meta"))
    taken = ingest.take(
        redis, _FEED, body, held=held, now_s=_service_s(body), limits=POLICY.realtime
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
