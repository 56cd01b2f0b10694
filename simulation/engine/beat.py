"""Beat: publishes each tick when its slot is due."""

from collections.abc import Callable, Generator, Mapping
from typing import Any

from simpy import Environment, Event, Timeout

from simulation.tables import Tables
from worker.policy import Task


def beat(
    env: Environment,
    tables: Tables,
    tasks: Mapping[str, Task],
    publish: Callable[[str], object],
) -> Generator[Event, Any, None]:
    """Publish the ticks of the tables, one after the other."""
    for at, task in ticks(tables, tasks):
        if at > env.now:
            yield Timeout(env, at - env.now)
        publish(task)


def ticks(tables: Tables, tasks: Mapping[str, Task]) -> list[tuple[float, str]]:
    """What is published when: every tick, but for those that beat was away for.

    It keeps no memory: back again it sends each task's slot that is due, if that is
    not too old by then.
    """
    names = tables.ticking
    due = [
        (at, names[code])
        for at, code in zip(
            tables.tick_at.tolist(), tables.tick_task.tolist(), strict=True
        )
    ]
    for window in tables.windows:
        if window.kind != "beat_down":
            continue
        missed = [tick for tick in due if window.start_at <= tick[0] < window.end_at]
        last = {task: at for at, task in missed}
        kept = [tick for tick in due if not window.start_at <= tick[0] < window.end_at]
        late = [
            (window.end_at, task)
            for task, at in last.items()
            if window.end_at - at < tasks[task].expires_s
        ]
        due = sorted((*kept, *late))
    return due
