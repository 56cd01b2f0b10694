"""A model run as the records that a real run leaves."""

from collections.abc import Mapping
from itertools import count

import numpy as np

from simulation.demands import POLL
from simulation.engine.journal import Batch, Journal, Line
from simulation.engine.world import Result
from simulation.gauges import gauges
from simulation.layout import Layout
from simulation.tables import Floats, Tables
from worker.measures import Recorded
from worker.records import Delivery, Sample, TaskRecord


def recorded(
    result: Result, layout: Layout, *, every_s: float | None = 1.0
) -> Recorded:
    """Task records, deliveries and, each ``every_s`` seconds, the gauges.

    No gauges when ``every_s`` is None. Messages still inside at the end leave no
    record, as with a real run.
    """
    tables = result.tables
    tasks = task_records(result.journal, layout)
    samples: list[Sample] = [
        Sample(
            at=tables.start_at,
            name="children",
            label=pool.name,
            value=float(pool.children),
        )
        for pool in layout.pools.values()
    ]
    if every_s is not None:
        samples += gauges(
            tasks, tables.start_at, tables.end_at, every_s=every_s, poll=POLL
        )
    return Recorded(
        tasks=tasks,
        deliveries=_deliveries(
            result.journal.batches, result.journal.matched_at, tables
        ),
        samples=samples,
        started_at=tables.start_at,
        finished_at=tables.end_at,
    )


def pushes(result: Result) -> tuple[Floats, Floats]:
    """(published_at, arrived_at) of each push, as arrays: what a sweep needs."""
    published: list[Floats] = [np.empty(0)]
    arrived: list[Floats] = [np.empty(0)]
    for batch in result.journal.batches:
        onsets = [onset for onset, _ in batch.portions]
        riders = [riders for _, riders in batch.portions]
        total = sum(riders)
        step = (batch.last_at - batch.first_at) / total
        sent = np.arange(1, total + 1, dtype=np.float64)
        arrived.append(batch.first_at + step * sent)
        published.append(
            np.repeat([result.tables.onset_at[onset] for onset in onsets], riders)
        )
    return np.concatenate(published), np.concatenate(arrived)


def task_records(journal: Journal, layout: Layout) -> list[TaskRecord]:
    """The attempts alone."""
    return [_task_record(line, layout) for line in journal.lines]


def _task_record(line: Line, layout: Layout) -> TaskRecord:
    return TaskRecord(
        task_id=f"{line.task}-{line.number}",
        attempt=line.attempt,
        task=line.task,
        queue=layout.tasks[line.task].queue,
        worker=line.worker,
        enqueued_at=line.enqueued_at,
        started_at=line.started_at,
        finished_at=line.finished_at,
        outcome=line.outcome,
        cpu_s=line.cpu_s,
        peak_rss_mib=line.rss_mib,
        detail={"notifications": line.units} if line.units else {},
    )


def _deliveries(
    batches: list[Batch], matched_at: Mapping[int, float], tables: Tables
) -> list[Delivery]:
    """One delivery a rider: sent one after the other between the batch's instants.

    A rider whose push was not sent by the end has a delivery that never arrived, as he
    has in a real run's records.
    """
    left = dict(enumerate(tables.onset_riders))
    serial = count()
    deliveries = []
    for batch in batches:
        total = sum(riders for _, riders in batch.portions)
        gap_s = (batch.last_at - batch.first_at) / total
        at = batch.first_at
        for onset, riders in batch.portions:
            left[onset] -= riders
            for _ in range(riders):
                at += gap_s
                deliveries.append(
                    Delivery(
                        notification_id=f"{onset}-{next(serial)}",
                        published_at=tables.onset_at[onset],
                        matched_at=matched_at[onset],
                        sent_at=at,
                        arrived_at=at,
                        outcome="sent",
                    )
                )
    for onset, riders in left.items():
        published_at = tables.onset_at[onset]
        deliveries += [
            Delivery(
                notification_id=f"{onset}-{next(serial)}",
                published_at=published_at,
                matched_at=matched_at.get(onset, tables.end_at),
                sent_at=None,
                arrived_at=None,
                outcome="lost",
            )
            for _ in range(riders)
        ]
    return deliveries
