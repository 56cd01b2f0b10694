"""A small world for the engine: one class of tasks, demands written out by hand."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from simulation.engine import Growth, World
from simulation.engine.behaviours import Behaviours
from simulation.layout import Layout
from simulation.tables import Machine, Stream, Tables, Window
from worker.policy import POLICY, Pool, Task


def job(name: str = "job", **changes: object) -> Task:
    row = Task(
        name=name,
        queue="q",
        tick=None,
        expires_s=1_000,
        soft_time_limit_s=100,
        time_limit_s=200,
        max_retries=0,
        ack="early",
        reason="A test's task.",
    )
    return replace(row, **changes)


def pool(name: str = "p", queues: Sequence[str] = ("q",), **changes: object) -> Pool:
    row = Pool(
        name=name,
        queues=tuple(queues),
        children=1,
        max_tasks_per_child=10_000,
        max_memory_per_child_mib=10_000,
        reason="A test's pool.",
    )
    return replace(row, **changes)


def demands(
    io_s: Sequence[float] | float = 0.0,
    cpu_s: Sequence[float] | float = 0.0,
    rss_mib: Sequence[float] | float = 0.0,
    *,
    failure: float = 0.0,
    poison: float = 0.0,
    deaf: bool = False,
    size: int = 64,
) -> Stream:
    def column(values: Sequence[float] | float) -> np.ndarray:
        return np.resize(np.asarray(values, dtype=float), size)

    return Stream(
        io_s=column(io_s),
        cpu_s=column(cpu_s),
        rss_mib=column(rss_mib),
        luck=np.full(size, 0.5),
        chance=np.full(size, 0.5),
        failure=failure,
        poison=poison,
        deaf=deaf,
    )


RunWorld = Callable[..., World]


@pytest.fixture
def run_world() -> RunWorld:
    """Publishes ``ticks`` (at, task), runs to ``end`` and gives the world back."""

    def run(
        ticks: Sequence[tuple[float, str]],
        streams: dict[str, Stream],
        *,
        tasks: Sequence[Task] = (),
        pools: Sequence[Pool] = (),
        cores: float = 1e9,
        end: float = 1_000.0,
        prefetch: int = 0,
        machine: Machine | None = None,
        broker: dict[str, object] | None = None,
        replicas: dict[str, int] | None = None,
        windows: Sequence[Window] = (),
        growth: Sequence[Growth] = (),
    ) -> World:
        rows = tasks or [job(name) for name in streams]
        layout = Layout(
            tasks={row.name: row for row in rows},
            pools={row.name: row for row in pools or [pool()]},
            vcpu={row.name: 1.0 for row in pools or [pool()]},
            prefetch=prefetch,
            replicas=replicas or {},
            broker=replace(POLICY.broker, **(broker or {})),
        )
        tables = replace(
            Tables.of(
                ticks,
                streams,
                machine or Machine(v_eff=cores, respawn_s=2.0),
                start_at=0.0,
                end_at=end,
            ),
            windows=tuple(windows),
        )
        world = World(layout, tables, growth=growth, behaviours=lambda _: Behaviours())
        world.run()
        return world

    return run
