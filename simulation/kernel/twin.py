"""The compiled twin's door: what it refuses, what it is given, what it leaves."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulation.engine import Growth
from simulation.kernel.arrays import WINDOWS, columns
from simulation.kernel.loop import loop
from simulation.layout import Layout
from simulation.tables import Counts, Floats, Tables
from worker.errors import UsageError
from worker.records import Outcome

OUTCOMES = (
    Outcome.SUCCEEDED,
    Outcome.FAILED,
    Outcome.RETRIED,
    Outcome.EXPIRED,
    Outcome.TIMED_OUT,
)
"""Outcome codes of the compiled loop, in its order."""
SUCCEEDED = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempts:
    """Attempts as columns, in order of their end; NaN in ``started_at``: expired.

    ``tasks`` names the codes in ``task``; ``child`` is -1 for a message that expired
    before a child had it. A push attempt sent the notifications ``first`` to ``last``
    of the outbox, in which the onsets' riders stand one after the other; one of a
    publisher's group sent none of them.
    """

    tasks: tuple[str, ...]
    task: Counts
    number: Counts
    attempt: Counts
    child: Counts
    outcome: Counts
    first: Counts
    last: Counts
    enqueued_at: Floats
    started_at: Floats
    finished_at: Floats
    published: int

    def of(self, task: str) -> NDArray[np.bool_]:
        """Mask of a task's attempts."""
        mask: NDArray[np.bool_] = self.task == self.tasks.index(task)
        return mask


def refusals(
    layout: Layout, tables: Tables, growth: Sequence[Growth] = ()
) -> list[str]:
    """What this kernel does not know, by name; empty when it can run the tables."""
    unknown = [f"window '{w.kind}'" for w in tables.windows if w.kind not in WINDOWS]
    if any(each.replica for each in growth):
        unknown.append("a replica added on the way")
    if layout.prefetch:
        unknown.append(f"prefetch {layout.prefetch}")
    for name, task in layout.tasks.items():
        stream = tables.streams.get(name)
        if stream is not None and stream.poison:
            unknown.append(f"poison among the messages of {name}")
        if task.ack == "late" and (
            task.time_limit_s > layout.broker.visibility_timeout_s
        ):
            unknown.append(f"a visibility timeout below the time limit of {name}")
    return sorted(set(unknown))


def require_known(
    layout: Layout, tables: Tables, growth: Sequence[Growth] = ()
) -> None:
    """Raise UsageError, by name, for what only the engine knows."""
    refused = refusals(layout, tables, growth)
    if refused:
        raise UsageError(
            f"the kernel does not know {', '.join(refused)}: use the engine"
        )


def run(layout: Layout, tables: Tables, *, growth: Sequence[Growth] = ()) -> Attempts:
    """Run the tables, with children that come and go on the way; raises UsageError for
    what only the engine knows.
    """
    require_known(layout, tables, growth)
    read = columns(layout, tables, growth)
    due = sum(tables.onset_riders) + sum(tables.group_size)
    capacity = len(tables.tick_at) + len(tables.group_at) + due // 10 + 1_000
    while True:
        count, published, whole, times = loop(read, capacity)
        if count >= 0:
            break
        capacity *= 2
    task, number, attempt, child, outcome, first, last = whole[:count].T
    enqueued_at, started_at, finished_at = times[:count].T
    return Attempts(
        tasks=tuple(layout.tasks),
        task=task,
        number=number,
        attempt=attempt,
        child=child,
        outcome=outcome,
        first=first,
        last=last,
        enqueued_at=enqueued_at,
        started_at=started_at,
        finished_at=finished_at,
        published=published,
    )
