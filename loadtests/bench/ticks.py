"""A whole tick of all feeds that are due, while a static sync uses the same machine."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from statistics import quantiles
from time import perf_counter, sleep

from loadtests.bench.row import Row
from loadtests.rig.clock import SYDNEY
from loadtests.rig.feeds import synthetic_bundle
from loadtests.rig.scales import NSW
from worker import env, keys
from worker.tasks.gtfs_rt_poller import tick
from worker.tasks.world import World, world

_TICKS = 60
_PAUSE_S = 1.2  # two ticks must not share the tokens of one second
_SEEDS = (1, 2)


def rows(folder: Path) -> Iterator[Row]:
    """Run inside the stand-in world; archives of the sync are written to ``folder``."""
    settings = env.settings()
    here = world(settings.policy(), settings, lambda *_: None)
    archives = [folder / f"network-{seed}.zip" for seed in _SEEDS]
    for seed, archive in zip(_SEEDS, archives, strict=True):
        today = here.now().astimezone(SYDNEY).date()
        synthetic_bundle(archive, NSW, seed=seed, service_day=today)
    _tick_s(here)  # the first of a child imports numpy and opens connections
    seconds: list[float] = []
    with _syncs(archives) as keep_syncing:
        for _ in range(_TICKS):
            keep_syncing()
            sleep(_PAUSE_S)
            seconds.append(_tick_s(here))
    yield Row(
        name="realtime_tick_p99",
        value=quantiles(seconds, n=100, method="inclusive")[-1],
        unit="s",
        repeats=len(seconds),
        target=1.5,
    )


@contextmanager
def _syncs(archives: list[Path]) -> Iterator[Callable[[], None]]:
    """Syncs one after the other, each of another network than the one before."""
    turn = cycle(archives)

    def start() -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [sys.executable, "-m", "worker", "sync", "--archive", str(next(turn))],
            stdout=subprocess.DEVNULL,
        )

    running = start()

    def keep() -> None:
        nonlocal running
        if running.poll() is not None:
            if running.returncode:
                raise RuntimeError("the sync beside the ticks failed")
            running = start()

    try:
        yield keep
    finally:
        running.terminate()
        running.wait()


def _tick_s(here: World) -> float:
    """Seconds of a tick that finds as many feeds due as one may ask.

    A feed that is too slow makes the tick as long as its deadline; one that fails at
    once would make it shorter, and ends the bench.
    """
    here.redis.delete(keys.FEED_STATES)
    began = perf_counter()
    polled = tick(here).run()
    seconds = perf_counter() - began
    if bad := [row for row in polled if not row.good and row.outcome != "deadline"]:
        raise RuntimeError(f"{bad[0].feed} answered {bad[0].outcome}: no whole tick")
    return seconds
