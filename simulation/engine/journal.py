"""What the children leave: one line an attempt, one line a batch of pushes."""

from dataclasses import dataclass, field
from typing import NamedTuple

from simulation.engine.message import Message, Portion
from simulation.tables import Demand
from worker.records import Outcome


class Line(NamedTuple):
    """One attempt, as plain as its record; ``units`` are its notifications."""

    task: str
    number: int
    attempt: int
    worker: str
    enqueued_at: float
    started_at: float | None
    finished_at: float
    outcome: Outcome
    cpu_s: float
    rss_mib: float
    units: int


class Batch(NamedTuple):
    """Pushes that one message sent: ``portions`` of events, between two instants."""

    portions: tuple[Portion, ...]
    first_at: float
    last_at: float


@dataclass(slots=True)
class Journal:
    """The lines of one run, in the order in which attempts ended.

    ``matched_at``: when an onset's notifications were committed.
    """

    lines: list[Line] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)
    matched_at: dict[int, float] = field(default_factory=dict)

    def leave(
        self,
        message: Message,
        worker: str,
        started_at: float | None,
        finished_at: float,
        outcome: Outcome,
        demand: Demand | None = None,
    ) -> None:
        """Write the line of an attempt."""
        self.lines.append(
            Line(
                message.task.name,
                message.number,
                message.attempt,
                worker,
                message.enqueued_at,
                started_at,
                finished_at,
                outcome,
                demand.cpu_s if demand else 0.0,
                demand.rss_mib if demand else 0.0,
                message.units,
            )
        )
