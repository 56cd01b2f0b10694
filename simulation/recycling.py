"""What replacing children costs: how often, for how long they are away, who is late."""

import numpy as np

from simulation import kernel
from simulation.assumptions import believed
from simulation.days import sydney_day
from simulation.demands import Calibration
from simulation.hour import deployed, platform
from simulation.layout import Layout
from simulation.loop import sender
from simulation.tables import RETRY_STRIDE, Tables
from simulation.workload import tables_of
from worker.policy import Policy
from worker.policy.objectives import LATE_PUSH_S


def recycled(
    calibration: Calibration, policy: Policy, *, users: int, day: int = 3, seed: int = 1
) -> dict[str, float]:
    """A day of the sender's pool: ``replacements``, ``away_s`` of child-seconds without
    a child, that as ``away_share`` of all, and ``late`` pushes.
    """
    layout, here = Layout.of(policy), deployed(calibration)
    happenings = sydney_day(day, users, seed=seed, beliefs=believed())
    tables = tables_of(
        happenings, here, layout, seed=seed, replication=day, belief=0,
        machine=platform(calibration, policy),
    )  # fmt: skip
    attempts = kernel.run(layout, tables)
    published, arrived = kernel.pushes(attempts, tables)
    count = replacements(attempts, tables, layout)
    away_s = count * tables.machine.respawn_s
    return {
        "replacements": count,
        "away_s": away_s,
        "away_share": away_s / (sender(layout).children * tables.duration_s),
        "late": float((arrived - published > LATE_PUSH_S).mean()),
    }


def replacements(attempts: kernel.Attempts, tables: Tables, layout: Layout) -> int:
    """How often the sender's pool replaced a child: by tasks, or by its peak."""
    pool = sender(layout)
    served = [n for n, task in enumerate(layout.tasks.values())
              if task.queue in pool.queues]  # fmt: skip
    mine = np.isin(attempts.task, served) & ~np.isnan(attempts.started_at)
    rss_mib = np.zeros(len(attempts.task))
    for code, name in enumerate(attempts.tasks):
        stream, here = tables.streams.get(name), attempts.task == code
        if stream is not None:
            place = attempts.number + attempts.attempt * RETRY_STRIDE
            rss_mib[here] = stream.rss_mib[place[here] % len(stream)]
    count = 0
    for child in np.unique(attempts.child[mine]):
        done, peak = 0, 0.0
        for mib in rss_mib[mine & (attempts.child == child)].tolist():
            done, peak = done + 1, max(peak, mib)
            full = done >= pool.max_tasks_per_child
            if full or peak > pool.max_memory_per_child_mib:
                count, done, peak = count + 1, 0, 0.0
    return count
