"""A whole tick of all feeds that are due, while a static sync uses the same machine."""

import subprocess
import sys
from collections.abc import Iterator
from statistics import quantiles
from time import perf_counter, sleep

from loadtests.bench.row import Row
from worker import env, keys
from worker.tasks.gtfs_rt_poller import tick
from worker.tasks.world import World, world

_TICKS = 20
_PAUSE_S = 2.5  # two ticks must not share the tokens of one second


def rows() -> Iterator[Row]:
    """Run inside the stand-in world; the sync is that of its own timetable."""
    settings = env.settings()
    here = world(settings.policy(), settings, lambda *_: None)
    _tick_s(here)  # the first of a child imports numpy and opens connections
    sync = subprocess.Popen(
        [sys.executable, "-m", "worker", "sync", "--json"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    seconds: list[float] = []
    try:
        while len(seconds) < _TICKS and sync.poll() is None:
            sleep(_PAUSE_S)
            seconds.append(_tick_s(here))
    finally:
        sync.terminate()
        sync.wait()
    if len(seconds) > 1:
        yield Row(
            name="realtime_tick_p99",
            value=quantiles(seconds, n=100, method="inclusive")[-1],
            unit="s",
            repeats=len(seconds),
            target=1.5,
        )


def _tick_s(here: World) -> float:
    """Seconds of a tick that finds as many feeds due as one may ask.

    A feed that fails is not left out: it makes the tick as long as its deadline.
    """
    here.redis.delete(keys.FEED_STATES)
    began = perf_counter()
    tick(here).run()
    return perf_counter() - began
