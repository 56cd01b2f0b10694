"""Waking the matcher early."""

from collections.abc import Callable

from redis import Redis

from worker import keys
from worker.policy import Policy
from worker.realtime import read


def nudge(redis: Redis, publish: Callable[[str], None], policy: Policy) -> bool:
    """Wake the matcher while riders were not told of the newest delays.

    Level, not edge: a nudge that got lost is repeated, and one is under way at a time.
    """
    wanted, matched = read.generation(redis)
    if wanted == matched:
        return False
    if not redis.set(keys.NUDGED, wanted, nx=True, ex=policy.realtime.nudge_s):
        return False
    publish("alert_matcher")
    return True
