"""What attempts asked for, from their records: the demand of each task."""

from collections.abc import Sequence

import numpy as np

from simulation.demands import TaskDemand
from simulation.tables import Floats
from worker.policy import Policy
from worker.records import Outcome, TaskRecord

MOST_COMPARED = 700
"""Attempts, evenly spread, that a slope is the median of: pairs grow as the square."""


def demands_of(attempts: Sequence[TaskRecord], policy: Policy) -> dict[str, TaskDemand]:
    """The demand of each task that succeeded at least once."""
    mine: dict[str, list[TaskRecord]] = {}
    for record in attempts:
        if record.started_at is not None:
            mine.setdefault(record.task, []).append(record)
    return {
        name: demand_of(mine[name])
        for name in policy.tasks
        if any(r.outcome is Outcome.SUCCEEDED for r in mine.get(name, ()))
    }


def units_of(record: TaskRecord) -> int:
    """Notifications that an attempt made, or claimed to send; else 0."""
    made = (record.detail.get(name) for name in ("notifications", "claimed"))
    return next((int(count) for count in made if count), 0)


def demand_of(records: Sequence[TaskRecord]) -> TaskDemand:
    """Joint samples of one task, what its notifications cost taken apart.

    Time outside is service less CPU: what an attempt waited for a core counts there,
    as it does in a run of the same load.
    """
    done = [record for record in records if record.outcome is Outcome.SUCCEEDED]
    units = np.array([units_of(record) for record in done], dtype=np.float64)
    cpu_s = np.array([min(record.cpu_s, record.service_s) for record in done])
    io_s = np.array([record.service_s for record in done]) - cpu_s
    io_base, io_per_unit_s = per_unit(units, io_s)
    cpu_base, cpu_per_unit_s = per_unit(units, cpu_s)
    failed = sum(
        record.outcome in (Outcome.FAILED, Outcome.RETRIED) for record in records
    )
    return TaskDemand(
        task=done[0].task,
        io_s=tuple(io_base.tolist()),
        cpu_s=tuple(cpu_base.tolist()),
        rss_mib=tuple(record.peak_rss_mib for record in done),
        io_per_unit_s=io_per_unit_s,
        cpu_per_unit_s=cpu_per_unit_s,
        failure=failed / (failed + len(done)),
    )


def per_unit(units: Floats, seconds: Floats) -> tuple[Floats, float]:
    """Seconds less what the units cost, and the cost of one: the median slope between
    attempts of different sizes (Theil and Sen), never negative.
    """
    some = np.unique(
        np.linspace(0, len(units) - 1, min(len(units), MOST_COMPARED)).astype(int)
    )
    first, second = np.triu_indices(len(some), 1)
    first, second = some[first], some[second]
    apart = np.abs(units[first] - units[second]) > 0
    if not apart.any():
        return seconds, 0.0
    first, second = first[apart], second[apart]
    slopes = (seconds[first] - seconds[second]) / (units[first] - units[second])
    # Pairs far apart say more about a slope than neighbours do.
    weights = np.abs(units[first] - units[second])
    order = np.argsort(slopes)
    middle = np.searchsorted(np.cumsum(weights[order]), weights.sum() / 2)
    slope = max(0.0, float(slopes[order][middle]))
    return np.maximum(0.0, seconds - slope * units), slope
