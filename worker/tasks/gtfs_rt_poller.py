"""The tick that keeps riders' realtime data fresh."""

import os
import time
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING

from pydantic import SecretStr

from worker.clients.nsw import Nsw
from worker.errors import TransientError
from worker.policy.feeds import RealtimeLimits
from worker.records import Detail
from worker.tasks.shell import SLOT, task
from worker.tasks.world import World

if TYPE_CHECKING:
    from worker.realtime import poll


def tick(world: World) -> "poll.Tick":
    """A tick against the Transport for NSW of this world."""
    from worker.realtime import poll  # numpy: for the children that poll, not for all

    settings = world.settings
    source = _nsw(
        settings.nsw_base_url,
        settings.nsw_api_key,
        world.policy.realtime,
        os.getpid(),
    )
    return poll.Tick(world.redis, source, world.policy, now=world.now, clock=time.time)


@task("gtfs_rt_poller", once_per=SLOT)
def gtfs_rt_poller(world: World) -> Detail:
    """Ask the feeds that are due, store what is new, wake the matcher for delays.

    A tick that leaves riders without any fresh core feed did not succeed, even where
    nothing was due because every breaker is open.
    """
    from worker.realtime import read
    from worker.realtime.nudge import nudge

    polled = tick(world).run()
    nudged = nudge(world.redis, world.publish, world.policy)
    outcomes = Counter(row.outcome for row in polled)
    if polled and not any(row.good for row in polled):
        raise TransientError(f"no feed gave good data: {dict(outcomes)}")
    if not read.core_is_fresh(world.redis, now_s=world.now().timestamp()):
        raise TransientError(
            "no core feed is fresh; `python -m worker status` says why"
        )
    return Detail(
        feeds=len(polled),
        outcomes=dict(outcomes),
        new_delays=sum(row.new_delays for row in polled),
        implausible=sum(row.implausible for row in polled),
        nudged=nudged,
        received=sum(row.received for row in polled),
    )


@lru_cache(maxsize=1)
def _nsw(base_url: str, key: SecretStr, limits: RealtimeLimits, _pid: int) -> Nsw:
    """The child's connections, kept open from tick to tick: sockets fear a fork."""
    return Nsw(base_url, key.get_secret_value(), limits)
