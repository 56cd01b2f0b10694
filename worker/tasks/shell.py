"""The shell: what every attempt has in common.

Guards the slot, records the attempt from start to end, and answers each error once:
transient -> the next tick, or a bounded retry where the row allows one; rate limited
-> the same, as late as the other side asked; permanent, or unforeseen -> a dead
letter. Out of time is not success: a soft limit is recorded and raised again.
"""

import os
import random
import time
from collections.abc import Callable
from typing import Any, Final

from celery import Celery
from celery.exceptions import SoftTimeLimitExceeded
from celery.utils.time import get_exponential_backoff_interval

from worker.errors import PermanentError, RateLimitedError, TransientError, WorkerError
from worker.policy import Every, Task
from worker.records import Detail, Outcome
from worker.reliability import dead_letters, slots
from worker.tasks.world import World
from worker.telemetry import recording

SLOT: Final = "slot"
"""``once_per=SLOT``: one attempt succeeds a slot, however often beat sends it."""

Body = Callable[..., Detail]


class Shell:
    """A task's body and its guard; ``register`` makes it a task of an app."""

    def __init__(self, name: str, body: Body, once_per: str | None) -> None:
        self.name = name
        self.body = body
        self.once_per = once_per
        self.__doc__ = body.__doc__

    def __call__(self, world: World, *args: object) -> Detail:
        """Run the body alone, without Celery, guard or record."""
        return self.body(world, *args)

    def register(self, app: Celery, world_here: Callable[[], World]) -> None:
        """Make it a task of ``app``; limits, ack and expiry come by annotation."""

        def run(celery_task: Any, *args: Any) -> None:
            self._attempt(celery_task, world_here(), args)

        app.task(run, name=self.name, bind=True, shared=False, throws=(WorkerError,))

    def _attempt(self, celery_task: Any, world: World, args: tuple[Any, ...]) -> None:
        request = celery_task.request
        row = world.policy.tasks[self.name]
        kept = world.policy.recording
        attempt = recording.opened(
            world.redis,
            kept,
            task_id=request.id,
            task=self.name,
            queue=request.delivery_info["routing_key"],
            worker=f"{request.hostname}/{os.getpid()}",
            enqueued_at=getattr(request, "enqueued_at", None),
            time_limit_s=row.time_limit_s,
        )

        def end(outcome: Outcome, detail: Detail) -> None:
            recording.closed(world.redis, kept, attempt, outcome, detail)

        try:
            slot, rest = self._slot(args)
            if slot is not None and not self._claimed(world, row, slot, request.id):
                return end(Outcome.SKIPPED, {"slot": slot})
            end(Outcome.SUCCEEDED, self.body(world, *rest))
        except SoftTimeLimitExceeded:
            end(Outcome.TIMED_OUT, {"limit_s": row.soft_time_limit_s})
            raise
        except (RateLimitedError, TransientError) as error:
            if row.ack == "early" or request.retries >= row.max_retries:
                end(Outcome.FAILED, _said(error))
                raise
            end(Outcome.RETRIED, _said(error))
            countdown_s = _countdown_s(row, request.retries, error)
            raise celery_task.retry(countdown=countdown_s, exc=error) from error
        except Exception as error:
            end(Outcome.FAILED, _said(error))
            dead_letters.park(
                world.redis,
                dead_letters.DeadLetter(
                    # A tick that fails each time is one letter, not one each 15 s.
                    id=request.id if row.max_retries else self.name,
                    task=self.name,
                    args=list(args),
                    attempt=attempt.attempt,
                    error=type(error).__name__,
                    reason=str(error),
                    parked_at=time.time(),
                ),
                kept,
            )
            if isinstance(error, MemoryError):
                # Celery ends the whole worker on a MemoryError, not the child.
                raise PermanentError(f"{self.name} ran out of memory") from None
            raise

    def _slot(self, args: tuple[Any, ...]) -> tuple[int | None, tuple[Any, ...]]:
        """The slot a tick carries, and the other arguments; a nudge carries none."""
        if self.once_per != SLOT:
            return None, args
        return (int(args[0]), args[1:]) if args else (None, ())

    def _claimed(self, world: World, row: Task, slot: int, message_id: str) -> bool:
        period_s = row.tick.period_s if isinstance(row.tick, Every) else 86_400
        ttl_s = slots.ttl_s(period_s, row.expires_s)
        return slots.claim(world.redis, self.name, slot, message_id, ttl_s=ttl_s)


def task(name: str, *, once_per: str | None = None) -> Callable[[Body], Shell]:
    """Declare the body of the task that the policy's row ``name`` describes."""
    return lambda body: Shell(name, body, once_per)


def _countdown_s(row: Task, retries: int, error: WorkerError) -> float:
    """Backoff with full jitter, or what the other side asked for if that is longer."""
    backoff_s = get_exponential_backoff_interval(
        factor=row.retry_backoff_s,
        retries=retries,
        maximum=row.retry_backoff_max_s,
        full_jitter=True,
    )
    if isinstance(error, RateLimitedError):
        asked_s = min(error.retry_after_s, row.retry_backoff_max_s)
        return max(float(backoff_s), asked_s) + random.random()
    return float(backoff_s)


def _said(error: BaseException) -> Detail:
    return {"error": type(error).__name__, "message": str(error)[:300]}
