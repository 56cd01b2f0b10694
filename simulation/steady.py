"""Whether a system settles, and after how long."""

from collections.abc import Iterable
from math import ceil

import numpy as np

from simulation import theory
from simulation.demands import PUSH, Calibration
from simulation.layout import Layout
from simulation.scenario import Scenario
from simulation.tables import Floats
from worker.errors import UsageError
from worker.policy import Every, Pool


def loads(calibration: Calibration, layout: Layout) -> dict[str, float]:
    """Children that each pool's ticks keep busy on average, in erlangs."""
    found = dict.fromkeys(layout.pools, 0.0)
    for name, task in layout.tasks.items():
        demand = calibration.demands.get(name)
        if demand is None or not isinstance(task.tick, Every):
            continue
        serving = [pool for pool in layout.pools.values() if task.queue in pool.queues]
        for pool in serving:
            share = 1 / len(serving)
            found[pool.name] += share * demand.service_s() / task.tick.period_s
    return found


def push_load(
    calibration: Calibration,
    layout: Layout,
    scenario: Scenario,
    onsets: Iterable[tuple[float, int]],
) -> float:
    """Children that the scenario's pushes keep busy, in erlangs: its publisher at its
    highest rate, and what its onsets, (published_at, riders), make on average.
    """
    demand = calibration.demands[PUSH]

    def work_s(notifications: int) -> float:
        messages = ceil(notifications / layout.batch_size)
        return (messages - 1) * demand.service_s() + demand.service_s(notifications)

    sizes = range(scenario.group_least, scenario.group_most + 1)
    a_group_s = sum(work_s(size) for size in sizes) / len(sizes)
    told_s = sum(work_s(riders) for _, riders in onsets if riders)
    return max(scenario.groups_per_s, default=0.0) * a_group_s + (
        told_s / scenario.duration_s
    )


def require_stable(calibration: Calibration, layout: Layout) -> None:
    """Raise UsageError, and by how much, when ticks alone overload a pool."""
    for name, load in loads(calibration, layout).items():
        why = _overloaded(load, layout.pools[name])
        if why:
            raise UsageError(f"pool {name} cannot keep up with its ticks: {why}")


def overload(
    calibration: Calibration,
    layout: Layout,
    scenario: Scenario,
    onsets: Iterable[tuple[float, int]],
) -> str:
    """Which pool a scenario's pushes overload, and by how much; nothing where none is.

    Raises UsageError where the scenario has one rate throughout, for then nothing
    settles. One of several rates, or of bursts, may pass the knee: that is its point.
    """
    of_ticks, task = loads(calibration, layout), layout.tasks[PUSH]
    serving = [pool for pool in layout.pools.values() if task.queue in pool.queues]
    pushed = push_load(calibration, layout, scenario, onsets) / len(serving)
    for pool in serving:
        why = _overloaded(of_ticks[pool.name] + pushed, pool)
        if not why:
            continue
        rates = scenario.groups_per_s
        when = f" at {max(rates):g} groups a second" if rates else ""
        said = f"pool {pool.name} cannot keep up with the pushes{when}: {why}"
        if len(rates) == 1:
            raise UsageError(f"{said}; give fewer --users, or more children")
        return said
    return ""


def _overloaded(load: float, pool: Pool) -> str:
    """By how much a pool is overloaded, nothing where it is not."""
    try:
        theory.stable(load, 1.0, pool.children)
    except UsageError as error:
        return str(error)
    return ""


BATCH = 5


def truncation(course: Floats) -> int:
    """How many of the first observations to leave out: MSER-5 (White 1997).

    The start is over where the mean of what follows is known best; at most the first
    half is left out. 0 when the course is too short to say.
    """
    count = len(course) // BATCH
    if count < 4:
        return 0
    means = course[: count * BATCH].reshape(count, BATCH).mean(axis=1)
    left = np.arange(count, 0, -1)
    total = np.cumsum(means[::-1])[::-1]
    squares = np.cumsum((means**2)[::-1])[::-1]
    error = (squares - total**2 / left) / left**2
    return BATCH * int(np.argmin(error[: count // 2 + 1]))
