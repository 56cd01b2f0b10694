"""24 hours of the poller in simulated time: its requests beside its quota.

The deployed tick, with the quota and the breakers in a real Redis; only Transport for
NSW is a function that answers, and only waiting takes no time. Requests arrive as late
as paths to Sydney make them, so that a second there may see what two sent.
"""

import asyncio
import random
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from google.transit.gtfs_realtime_pb2 import FeedMessage
from redis import Redis

from loadtests.bench.row import Row
from loadtests.quota_day import MIDNIGHT
from loadtests.simulated import SimulatedLoop
from worker.clients import redis as redis_client
from worker.clients.nsw import Admit, Answer, Handle, Sent
from worker.policy import POLICY, Every
from worker.policy.feeds import DAY_S, Kind
from worker.realtime.poll import Tick

_CONNECT_S, _ON_ITS_WAY_S, _ANSWER_S = (0.0, 0.05), (0.02, 0.08), 0.1


def rows(redis_url: str) -> Iterator[Row]:
    """Requests of a day beside what is granted, and the most in any second."""
    with redis_client.connect(redis_url, policy=POLICY) as redis:
        redis.flushdb()
        arrived = arrivals(redis, DAY_S)
    quota = POLICY.quota
    yield Row(
        name="realtime_requests_of_a_day",
        value=len(arrived),
        unit="requests",
        baseline="granted a day",
        baseline_value=quota.granted_per_day,
        repeats=1,
        target=quota.planned_share,
    )
    yield Row(
        name="realtime_requests_of_a_second",
        value=busiest(arrived, 1.0),
        unit="requests",
        repeats=1,
        target=quota.granted_per_s,
    )


def arrivals(redis: Redis, seconds: int) -> list[float]:
    """When each request of the ticks arrives, simulated epoch seconds, in order."""
    tick = POLICY.tasks["gtfs_rt_poller"].tick
    assert isinstance(tick, Every)
    with Sydney() as outside:
        for slot in range(MIDNIGHT, MIDNIGHT + seconds, tick.period_s):
            outside.wait_until(slot)
            Tick(redis, outside, POLICY, now=outside.now, clock=outside.clock).run()
        return sorted(outside.arrived)


def busiest(times: list[float], window_s: float) -> int:
    """The most of some sorted times that lie within any window."""
    return max(
        (bisect_left(times, at + window_s) - begin for begin, at in enumerate(times)),
        default=0,
    )


class Sydney:
    """A Transport for NSW in simulated time, in which every feed always changes."""

    def __init__(self) -> None:
        self.arrived: list[float] = []
        self._draw = random.Random(24)
        self._loop = SimulatedLoop()
        self._runner = asyncio.Runner(loop_factory=lambda: self._loop)

    def __enter__(self) -> "Sydney":
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.close()

    def clock(self) -> float:
        """Simulated epoch seconds."""
        return MIDNIGHT + self._loop.time()

    def now(self) -> datetime:
        """The same, aware."""
        return datetime.fromtimestamp(self.clock(), UTC)

    def wait_until(self, at: float) -> None:
        """Let the time pass; it never goes back."""
        self._loop.now_s = max(self._loop.now_s, at - MIDNIGHT)

    def fetch(
        self, paths: Mapping[str, str], admit: Admit, sent: Sent, handle: Handle
    ) -> None:
        """Answer every feed that is admitted; see ``poll.Source``."""
        self._runner.run(self._fetch(paths, admit, sent, handle))

    async def _fetch(
        self, paths: Mapping[str, str], admit: Admit, sent: Sent, handle: Handle
    ) -> None:
        await asyncio.gather(*(self._one(f, admit, sent, handle) for f in paths))

    async def _one(self, feed: str, admit: Admit, sent: Sent, handle: Handle) -> None:
        if not await admit(feed):
            return
        await asyncio.sleep(self._draw.uniform(*_CONNECT_S))
        sent(feed)
        await asyncio.sleep(self._draw.uniform(*_ON_ITS_WAY_S))
        self.arrived.append(self.clock())
        await asyncio.sleep(_ANSWER_S)
        body = _body(POLICY.feeds[feed].kind, int(self.clock()))
        handle(Answer(feed=feed, seconds=_ANSWER_S, body=body, status=200))


def _body(kind: Kind, timestamp: int) -> bytes:
    """A message of one entity, another one each second."""
    message = FeedMessage()
    message.header.gtfs_realtime_version = "2.0"
    message.header.timestamp = timestamp
    entity = message.entity.add(id=str(timestamp))
    if kind == "trip_updates":
        entity.trip_update.trip.trip_id = str(timestamp)
    elif kind == "vehicle_positions":
        entity.vehicle.trip.trip_id = str(timestamp)
    else:
        entity.alert.header_text.translation.add(text=str(timestamp))
    return message.SerializeToString()
