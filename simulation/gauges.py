"""Gauges that follow from task records: depth, oldest age, feed age.

The model reads them off its records afterwards instead of watching itself each
second; the same functions read them off a real run.
"""

from collections.abc import Sequence

import numpy as np

from simulation.tables import Floats
from worker.records import Outcome, Sample, TaskRecord


def instants(start_at: float, end_at: float, every_s: float) -> Floats:
    """Times at which gauges are read."""
    return np.arange(start_at + every_s, end_at, every_s)


def depth(records: Sequence[TaskRecord], at: Floats) -> Floats:
    """Messages waiting at each instant: enqueued, and neither started nor expired."""
    enqueued, taken = _waits(records)
    return (
        np.searchsorted(np.sort(enqueued), at, side="right")
        - np.searchsorted(np.sort(taken), at, side="right")
    ).astype(np.float64)


def oldest_age_s(records: Sequence[TaskRecord], at: Floats) -> Floats:
    """Age of the message that waits longest at each instant; 0 when none waits."""
    enqueued, taken = _waits(records)
    ages = np.zeros_like(at)
    for begun, ended in zip(enqueued, taken, strict=True):
        first, last = np.searchsorted(at, (begun, ended), side="left")
        ages[first:last] = np.maximum(ages[first:last], at[first:last] - begun)
    return ages


def feed_age_s(records: Sequence[TaskRecord], poll: str, at: Floats) -> Floats:
    """Age of what the last successful poll fetched; NaN before the first."""
    polls = sorted(
        (record.finished_at, record.started_at)
        for record in records
        if record.task == poll
        and record.outcome is Outcome.SUCCEEDED
        and record.started_at is not None
    )
    if not polls:
        return np.full_like(at, np.nan)
    finished = np.array([finish for finish, _ in polls])
    fetched = np.maximum.accumulate(np.array([start for _, start in polls]))
    last = np.searchsorted(finished, at, side="right") - 1
    ages = at - fetched[np.maximum(last, 0)]
    return np.where(last >= 0, ages, np.nan)


def gauges(
    records: Sequence[TaskRecord],
    start_at: float,
    end_at: float,
    *,
    every_s: float,
    poll: str,
) -> list[Sample]:
    """Samples ``depth`` and ``oldest_age_s`` a queue, ``feed_age_s`` of the feed."""
    at = instants(start_at, end_at, every_s)
    samples = []
    for queue in sorted({record.queue for record in records}):
        mine = [record for record in records if record.queue == queue]
        samples += _samples("depth", queue, at, depth(mine, at))
        samples += _samples("oldest_age_s", queue, at, oldest_age_s(mine, at))
    return samples + _samples("feed_age_s", "", at, feed_age_s(records, poll, at))


def _waits(records: Sequence[TaskRecord]) -> tuple[Floats, Floats]:
    enqueued = np.array([record.enqueued_at for record in records], dtype=np.float64)
    taken = np.array(
        [
            record.finished_at if record.started_at is None else record.started_at
            for record in records
        ],
        dtype=np.float64,
    )
    return enqueued, taken


def _samples(name: str, label: str, at: Floats, values: Floats) -> list[Sample]:
    return [
        Sample(at=instant, name=name, label=label, value=value)
        for instant, value in zip(at.tolist(), values.tolist(), strict=True)
        if value == value  # NaN: nothing was there to read
    ]
