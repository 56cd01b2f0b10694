"""A message as the broker holds it."""

from dataclasses import dataclass, replace
from math import inf

from worker.policy import Task

Portion = tuple[int, int]
"""(event, riders): so many notifications of this event."""


@dataclass(slots=True, eq=False)
class Message:
    """One message; ``number`` counts the messages of its task, so that a task's
    n-th message has the same demand whatever the policy (common random numbers).

    ``attempt`` counts its starts, redeliveries included; ``retries`` only what Celery
    counts. Nobody starts it after ``expires_at``, which a retry does not renew, nor
    before ``due_at``, the end of a retry's countdown. ``portions`` is what a push
    message carries, ``units`` its notifications, ``born_at`` when they were matched.
    """

    task: Task
    number: int
    enqueued_at: float
    expires_at: float
    units: int = 0
    portions: tuple[Portion, ...] = ()
    born_at: float = 0.0
    attempt: int = 0
    retries: int = 0
    due_at: float = -inf

    def again(self, now: float, countdown_s: float) -> "Message":
        """The next attempt as Celery publishes a retry: at once, due later.

        https://github.com/celery/celery/blob/main/celery/app/task.py
        """
        due_at = now + countdown_s
        return replace(
            self,
            attempt=self.attempt + 1,
            retries=self.retries + 1,
            enqueued_at=due_at,
            due_at=due_at,
        )

    def redelivered(self) -> "Message":
        """The same message handed out again because it was never acknowledged.

        Its notifications are claimed by the first attempt: there is nothing to send.
        """
        return replace(self, attempt=self.attempt + 1, portions=(), units=0)
