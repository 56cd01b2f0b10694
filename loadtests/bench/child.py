"""What a child of the rt pool does tick for tick, in a process of its own."""

import time
from dataclasses import replace
from datetime import UTC, datetime

from worker import keys
from worker.clients import redis as redis_client
from worker.clients.nsw import Nsw
from worker.policy import POLICY
from worker.realtime.poll import Tick


def ticks(redis_url: str, nsw_url: str, feed: str, service_s: int, count: int) -> None:
    """Ask one feed ``count`` times and store its whole body each time."""
    policy = replace(POLICY, feeds={feed: POLICY.feeds[feed]})
    source = Nsw(nsw_url, "bench", policy.realtime)
    with redis_client.connect(redis_url, policy=policy) as redis:
        for _ in range(count):
            redis.delete(keys.live(feed, "meta"))
            (row,) = Tick(
                redis,
                source,
                policy,
                now=lambda: datetime.fromtimestamp(service_s, UTC),
                clock=time.time,
            ).run(everything=True)
            if row.outcome != "stored":
                raise RuntimeError(f"the bench's feed was refused: {row.outcome}")
    source.close()
