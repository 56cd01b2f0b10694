"""Whether a system settles, and after how long."""

import numpy as np

from simulation import theory
from simulation.demands import Calibration
from simulation.layout import Layout
from simulation.tables import Floats
from worker.errors import UsageError
from worker.policy import Every


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


def require_stable(calibration: Calibration, layout: Layout) -> None:
    """Raise UsageError, and by how much, when ticks alone overload a pool."""
    for name, load in loads(calibration, layout).items():
        try:
            theory.stable(load, 1.0, layout.pools[name].children)
        except UsageError as error:
            raise UsageError(
                f"pool {name} cannot keep up with its ticks: {error}"
            ) from None


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
