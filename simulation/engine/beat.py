"""Beat: publishes each tick when its slot is due."""

from collections.abc import Callable, Generator
from typing import Any

from simpy import Environment, Event

from simulation.tables import Tables


def beat(
    env: Environment, tables: Tables, publish: Callable[[str], None]
) -> Generator[Event, Any, None]:
    """Publish the ticks of the tables, one after the other."""
    for at, task in zip(tables.tick_at, tables.tick_task, strict=True):
        if at > env.now:
            yield env.timeout(at - env.now)
        publish(task)
