"""Beat: publishes each tick when its slot is due; a load test publishes alike."""

from collections.abc import Callable, Generator
from typing import Any

from simpy import Environment, Event

from simulation.tables import Tables


def beat(
    env: Environment, tables: Tables, publish: Callable[[str, int], None]
) -> Generator[Event, Any, None]:
    """Publish the ticks of the tables, one after the other."""
    units = tables.tick_units or [0] * len(tables.tick_at)
    for at, task, carried in zip(tables.tick_at, tables.tick_task, units, strict=True):
        if at > env.now:
            yield env.timeout(at - env.now)
        publish(task, carried)
