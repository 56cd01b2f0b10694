"""What only a worker's parent sees: killed children, hard limits, expired messages."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from billiard.exceptions import TimeLimitExceeded, WorkerLostError
from celery import Celery, signals
from redis import Redis

from worker.errors import WorkerError
from worker.policy import Policy
from worker.records import Outcome
from worker.reliability import dead_letters
from worker.telemetry import recording

log = logging.getLogger(__name__)


def connect(app: Celery, policy: Policy, redis: Callable[[], Redis]) -> None:
    """Record in the parent of each worker of ``app`` what its children cannot.

    ``redis`` gives this process's client. An attempt of a retried kind of task that
    was killed or ran out of time for the last time is parked as a dead letter; a lost
    tick is healed by the next one.
    """

    def on_failure(
        sender: Any, task_id: str, exception: object, args: Any, **_: object
    ) -> None:
        if not _mine(app, sender):
            return
        if isinstance(exception, TimeLimitExceeded):
            outcome = Outcome.TIMED_OUT
        elif isinstance(exception, WorkerLostError):
            outcome = Outcome.KILLED
        else:
            return  # the child has told
        with _not_in_the_way(sender.name, task_id):
            record = _close(redis(), policy, task_id, outcome, exception)
            if record is not None and policy.tasks[sender.name].max_retries:
                letter = dead_letters.DeadLetter(
                    id=task_id,
                    task=sender.name,
                    args=list(args or ()),
                    attempt=record.attempt,
                    error=type(exception).__name__,
                    reason=str(exception),
                    parked_at=time.time(),
                )
                dead_letters.park(redis(), letter, policy.recording)

    def on_retry(sender: Any, request: Any, reason: Any, **_: object) -> None:
        # A child's own retry has an error of ours as its reason and is closed already.
        if not _mine(app, sender) or isinstance(reason.exc, WorkerError):
            return
        with _not_in_the_way(sender.name, request.id):
            _close(redis(), policy, request.id, Outcome.KILLED, reason)

    def on_revoked(
        sender: Any, request: Any, terminated: bool, expired: bool, **_: object
    ) -> None:
        if not _mine(app, sender):
            return
        with _not_in_the_way(sender.name, request.id):
            if terminated:
                _close(redis(), policy, request.id, Outcome.KILLED, "terminated")
            elif expired:
                recording.never_started(
                    redis(),
                    policy.recording,
                    task_id=request.id,
                    task=sender.name,
                    queue=policy.tasks[sender.name].queue,
                    worker=request.hostname,
                    enqueued_at=getattr(request, "enqueued_at", None),
                )

    signals.task_failure.connect(on_failure, weak=False)
    signals.task_retry.connect(on_retry, weak=False)
    signals.task_revoked.connect(on_revoked, weak=False)


def _mine(app: Celery, task: Any) -> bool:
    return bool(task.app is app)


def _close(
    redis: Redis, policy: Policy, task_id: str, outcome: Outcome, error: object
) -> Any:
    return recording.closed_for_it(
        redis, policy.recording, task_id, outcome, str(error) or type(error).__name__
    )


@contextmanager
def _not_in_the_way(task: str, task_id: str) -> Iterator[None]:
    """A record that cannot be written must not disturb the consumer."""
    try:
        yield
    except WorkerError as error:
        log.warning(
            "record not written",
            extra={"task": task, "task_id": task_id, "error": str(error)},
        )
