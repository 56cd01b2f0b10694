"""Whether pools can keep up with their ticks at all, before anything is simulated."""

from simulation import theory
from simulation.demands import Calibration
from simulation.layout import Layout
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
