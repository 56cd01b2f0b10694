"""The publisher of a load test: hands groups of notifications to the senders."""

from collections.abc import Generator
from typing import Any, Protocol

from simpy import Environment, Event

from simulation.demands import PUSH
from simulation.tables import Tables


class Publish(Protocol):
    """How a message with notifications of no onset is published."""

    def __call__(self, task: str, *, units: int) -> bool: ...


def publisher(
    env: Environment, tables: Tables, publish: Publish, batch_size: int
) -> Generator[Event, Any, None]:
    """Publish the groups of the tables, each cut into batches, whatever waits."""
    for at, size in zip(tables.group_at, tables.group_size, strict=True):
        if at > env.now:
            yield env.timeout(at - env.now)
        for first in range(0, size, batch_size):
            publish(PUSH, units=min(batch_size, size - first))
