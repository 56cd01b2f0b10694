"""What attempts asked for, from their records: the demand of each task."""

from collections.abc import Mapping, Sequence

import numpy as np

from simulation.demands import TaskDemand
from simulation.tables import Floats
from worker.policy import Policy
from worker.records import Outcome, TaskRecord

MOST_COMPARED = 700
"""Attempts, evenly spread, that a slope is the median of: pairs grow as the square."""

PACE_WINDOW_S, PACE_LEAST, PACE_WINDOWS = 15.0, 10, 4
"""A window, the attempts that it needs to count, and the windows that are needed."""

MEDIAN_NOISE = np.pi / 2
"""Variance of a median over that of a mean, of normal values."""

NORMAL_QUARTILES = 1.349
"""Distance between the quartiles of normal values, in standard deviations."""

FEWEST_WARM = 3
"""Attempts beyond a process's first, without which nothing is known of the first."""


def demands_of(
    attempts: Sequence[TaskRecord], policy: Policy, cold: Sequence[bool]
) -> dict[str, TaskDemand]:
    """The demand of each task that succeeded at least once; ``cold``: see cold_of."""
    mine: dict[str, list[tuple[TaskRecord, bool]]] = {}
    for record, first in zip(attempts, cold, strict=True):
        if record.started_at is not None:
            mine.setdefault(record.task, []).append((record, first))
    return {
        name: demand_of(*zip(*mine[name], strict=True))
        for name in policy.tasks
        if any(r.outcome is Outcome.SUCCEEDED for r, _ in mine.get(name, ()))
    }


def cold_of(attempts: Sequence[TaskRecord], policy: Policy, warm: bool) -> list[bool]:
    """Which attempts were the first of their process at their task.

    In a ``warm`` run the processes that a pool had from the start made theirs before.
    """
    known: set[tuple[str, str]] = set()
    if warm:
        for pool in policy.pools.values():
            mine = [r for r in attempts if r.queue in pool.queues]
            mine.sort(key=lambda record: record.finished_at - record.service_s)
            workers = list(dict.fromkeys(record.worker for record in mine))
            known |= {(w, t) for w in workers[: pool.children] for t in policy.tasks}
    order = sorted(
        range(len(attempts)),
        key=lambda k: attempts[k].finished_at - attempts[k].service_s,
    )
    cold = [False] * len(attempts)
    for k in order:
        who = attempts[k].worker, attempts[k].task
        cold[k] = who not in known
        known.add(who)
    return cold


def units_of(record: TaskRecord) -> int:
    """Notifications that an attempt made, or claimed to send; else 0."""
    made = (record.detail.get(name) for name in ("notifications", "claimed"))
    return next((int(count) for count in made if count), 0)


def demand_of(records: Sequence[TaskRecord], cold: Sequence[bool] = ()) -> TaskDemand:
    """Joint samples of one task, what its notifications cost taken apart, and what a
    process's first attempt costs besides: connections are opened then.

    Time outside is service less CPU: what an attempt waited for a core counts there,
    as it does in a run of the same load.
    """
    pairs = zip(records, cold or [False] * len(records), strict=True)
    kept = [(r, c) for r, c in pairs if r.outcome is Outcome.SUCCEEDED]
    done = [record for record, _ in kept]
    first = np.array([is_first for _, is_first in kept])
    if (~first).sum() < FEWEST_WARM:
        first[:] = False
    units = np.array([units_of(record) for record in done], dtype=np.float64)
    cpu_s = np.array([min(record.cpu_s, record.service_s) for record in done])
    io_s = np.array([record.service_s for record in done]) - cpu_s
    _, io_per_unit_s = per_unit(units[~first], io_s[~first])
    io_base = np.maximum(0.0, io_s - io_per_unit_s * units)
    cold_s = 0.0
    if first.any():
        cold_s = max(0.0, float(np.median(io_base[first]) - np.median(io_base[~first])))
        io_base[first] = np.maximum(0.0, io_base[first] - cold_s)
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
        cold_s=cold_s,
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


def pace(
    runs: Sequence[Sequence[TaskRecord]], demands: Mapping[str, TaskDemand]
) -> tuple[float, ...]:
    """How slow each window of the runs was, relative to all: of the task with most
    attempts, service over what its notifications let expect. (1,) without enough
    windows. What windows differ by because few attempts fell into them is taken out.
    """
    task = max(demands, key=lambda name: len(demands[name].io_s))
    demand = demands[task]
    windows: list[list[float]] = []
    for attempts in runs:
        mine: dict[int, list[float]] = {}
        for record in attempts:
            if record.task == task and record.outcome is Outcome.SUCCEEDED:
                expected_s = demand.service_s(units_of(record))
                window = int(record.enqueued_at // PACE_WINDOW_S)
                mine.setdefault(window, []).append(record.service_s / expected_s)
        windows += [values for values in mine.values() if len(values) >= PACE_LEAST]
    if len(windows) < PACE_WINDOWS:
        return (1.0,)
    # Medians: a process's first attempt says nothing about the machine.
    middles = np.array([np.median(values) for values in windows])
    middles /= middles.mean()
    chance = np.mean([MEDIAN_NOISE * _spread(v) ** 2 / len(v) for v in windows])
    real = max(0.0, 1 - float(chance) / max(1e-12, float(middles.var(ddof=1))))
    return tuple((1 + (middles - 1) * real**0.5).tolist())


def _spread(values: Sequence[float]) -> float:
    """Standard deviation as the quartiles of normal values show it."""
    low, high = np.quantile(values, (0.25, 0.75))
    return float(high - low) / NORMAL_QUARTILES
