"""Between two attempts: hand-overs, gaps, replaced children, late ticks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from simulation.demands import MATCH, TaskDemand
from simulation.tables import Floats
from worker.policy import Every, Policy
from worker.records import TaskRecord

SERIAL_SHARE = 0.10
"""The quickest hand-overs show what the single-threaded parent takes; the rest of a
wait is the child's own way to its first line, which occupies nobody else."""

FEWEST_RESPAWNS = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Overheads:
    """Seconds between attempts.

    ``parent_s``: the parent hands one message over. ``lags``: task -> what each of its
    messages waited beyond that though a child was idle. ``between_s``: mean time from
    an attempt's end until the parent hands the next one over. ``respawn_s``: mean time
    until a replaced child works, None where too few were replaced under load.
    """

    parent_s: float
    lags: dict[str, Floats]
    between_s: float
    respawn_s: float | None


def overheads(runs: Sequence[tuple[Sequence[TaskRecord], Policy]]) -> Overheads:
    """Read the overheads off the attempts of each run, under its policy.

    A message came to an idle child when fewer attempts were under way or waiting in
    its pool than there are children. A gap is between an attempt and the next one of
    the same child, whose message had been waiting when the first one ended.
    """
    idle: dict[str, list[float]] = {}
    gaps: list[float] = []
    respawns: list[float] = []
    for attempts, policy in runs:
        for mine, children in _by_pool(attempts, policy):
            for record in _met_idle(mine, children):
                idle.setdefault(record.task, []).append(record.wait_s)
            gaps += _gaps(mine)
            respawns += _respawns(mine, children)
    waits = np.concatenate([np.empty(0), *map(np.asarray, idle.values())])
    parent_s = float(np.quantile(waits, SERIAL_SHARE)) if len(waits) else 0.0
    lags = {
        task: np.maximum(0.0, np.asarray(waited) - parent_s)
        for task, waited in idle.items()
    }
    gap_s = float(np.mean(gaps)) if gaps else parent_s
    enough = len(respawns) >= FEWEST_RESPAWNS
    return Overheads(
        parent_s=parent_s,
        lags=lags,
        between_s=max(0.0, gap_s - parent_s),
        respawn_s=max(0.0, float(np.mean(respawns)) - parent_s) if enough else None,
    )


def with_lag(demand: TaskDemand, lags: dict[str, Floats]) -> tuple[float, ...]:
    """A lag for each attempt of the demand: those measured, evenly repeated."""
    mine = np.sort(lags.get(demand.task, np.zeros(1)))
    spread = np.random.default_rng(len(mine)).permutation(len(demand.io_s))
    places = spread * len(mine) // len(demand.io_s)
    return tuple(mine[places].tolist())


def beat_lags(records: Sequence[TaskRecord], policy: Policy) -> tuple[float, ...]:
    """Published minus slot, of tasks that nothing but beat publishes."""
    lags = []
    for record in records:
        tick = policy.tasks[record.task].tick if record.task in policy.tasks else None
        if record.attempt == 0 and isinstance(tick, Every) and record.task != MATCH:
            lags.append(record.enqueued_at % tick.period_s)
    return tuple(lags) or (0.0,)


def _by_pool(
    attempts: Sequence[TaskRecord], policy: Policy
) -> Iterator[tuple[list[TaskRecord], int]]:
    for pool in policy.pools.values():
        mine = [
            record
            for record in attempts
            if record.queue in pool.queues and record.started_at is not None
        ]
        yield mine, pool.children


def _met_idle(mine: Sequence[TaskRecord], children: int) -> Iterator[TaskRecord]:
    begun = np.sort([record.enqueued_at + record.wait_s for record in mine])
    ended = np.sort([record.finished_at for record in mine])
    published = np.sort([record.enqueued_at for record in mine])
    for record in mine:
        at = record.enqueued_at
        busy = np.searchsorted(begun, at) - np.searchsorted(ended, at)
        waiting = np.searchsorted(published, at) - np.searchsorted(begun, at)
        if busy + waiting < children:
            yield record


def _gaps(mine: Sequence[TaskRecord]) -> Iterator[float]:
    by_child: dict[str, list[TaskRecord]] = {}
    for record in sorted(mine, key=lambda r: r.enqueued_at + r.wait_s):
        by_child.setdefault(record.worker, []).append(record)
    for attempts in by_child.values():
        for before, after in pairwise(attempts):
            if after.enqueued_at < before.finished_at:
                yield max(0.0, after.enqueued_at + after.wait_s - before.finished_at)


def _respawns(mine: Sequence[TaskRecord], children: int) -> Iterator[float]:
    """From a child's last attempt to the first of its successor, whose message had been
    waiting by then. Those that begin beyond the first ``children`` replace those that
    ended, in order of time.
    """
    firsts: dict[str, TaskRecord] = {}
    lasts: dict[str, TaskRecord] = {}
    for record in sorted(mine, key=lambda r: r.finished_at):
        firsts.setdefault(record.worker, record)
        lasts[record.worker] = record
    starts = sorted(firsts.values(), key=lambda r: r.enqueued_at + r.wait_s)
    ends = sorted(record.finished_at for record in lasts.values())
    for ended_at, record in zip(ends, starts[children:], strict=False):
        if record.enqueued_at < ended_at:
            yield max(0.0, record.enqueued_at + record.wait_s - ended_at)
