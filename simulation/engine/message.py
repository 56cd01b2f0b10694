"""A message as the broker holds it."""

from dataclasses import dataclass

from worker.policy import Task

Portion = tuple[int, int]
"""(event, riders): so many notifications of this event."""


@dataclass(slots=True, eq=False)
class Message:
    """One message; ``number`` counts the messages of its task, so that a task's
    n-th message has the same demand whatever the policy (common random numbers).

    ``portions`` is what a push message carries; ``units`` its notifications.
    """

    task: Task
    number: int
    enqueued_at: float
    attempt: int = 0
    units: int = 0
    portions: tuple[Portion, ...] = ()

    @property
    def expires_at(self) -> float:
        """Epoch seconds after which nobody starts it."""
        return self.enqueued_at + self.task.expires_s
