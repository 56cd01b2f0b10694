"""The door of the API and of the matcher to realtime data; needs Redis alone."""

from redis import Redis

from worker import keys
from worker.policy import POLICY
from worker.realtime import delays
from worker.realtime.delays import Delay


def worst_delays(redis: Redis) -> list[Delay]:
    """Of every feed: the worst delay for each route at each stop, and each trip's."""
    feeds = [f.name for f in POLICY.feeds.values() if f.kind == "trip_updates"]
    stored = redis.mget([keys.live(feed, "delays") for feed in feeds])
    return [row for packed in stored if packed for row in delays.unpack(packed)]


def generation(redis: Redis) -> tuple[int, int]:
    """How often a new significant delay was seen, and up to which riders were told."""
    wanted, matched = redis.mget(keys.GENERATION_WANTED, keys.GENERATION_MATCHED)
    return int(wanted or 0), int(matched or 0)


def mark_matched(redis: Redis, generation: int) -> None:
    """Say, after the commit, that riders were told up to ``generation``."""
    pipeline = redis.pipeline()
    pipeline.set(
        keys.GENERATION_MATCHED, generation, ex=POLICY.realtime.state_ttl_s
    )
    pipeline.delete(keys.NUDGED)
    pipeline.execute()
