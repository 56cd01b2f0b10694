"""A compiled run as the attempts' records that a real run leaves."""

from simulation.kernel.twin import OUTCOMES, Attempts
from simulation.layout import Layout
from worker.records import TaskRecord


def task_records(attempts: Attempts, layout: Layout) -> list[TaskRecord]:
    """One record an attempt, as the engine leaves them but for processor time, memory
    and detail: the kernel keeps none.
    """
    columns = zip(
        attempts.task.tolist(),
        attempts.number.tolist(),
        attempts.attempt.tolist(),
        attempts.child.tolist(),
        attempts.outcome.tolist(),
        attempts.enqueued_at.tolist(),
        attempts.started_at.tolist(),
        attempts.finished_at.tolist(),
        strict=True,
    )
    return [
        TaskRecord(
            task_id=f"{(name := attempts.tasks[task])}-{number}",
            attempt=attempt,
            task=name,
            queue=layout.tasks[name].queue,
            worker=f"child-{child}" if child >= 0 else "",
            enqueued_at=enqueued_at,
            started_at=None if started_at != started_at else started_at,  # NaN: expired
            finished_at=finished_at,
            outcome=OUTCOMES[outcome],
        )
        for (
            task,
            number,
            attempt,
            child,
            outcome,
            enqueued_at,
            started_at,
            finished_at,
        ) in columns
    ]
