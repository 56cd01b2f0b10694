"""The watchdog: a worker that takes nothing although messages wait is ended.

A half-open connection or a deadlocked pool leaves a worker that looks alive and answers
pings, and never takes a message again (https://github.com/celery/celery/issues/8030,
https://github.com/celery/celery/issues/10205). Ticks arrive at least every 15 s, so
they are the canaries. The process exits with a failure; the platform starts a new one.
"""

import logging
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from celery import Celery
from celery.worker import state
from redis import Redis

from worker.clients import broker
from worker.policy import Policy
from worker.reliability.beside import beside

log = logging.getLogger(__name__)

EXIT_CODE = 70  # EX_SOFTWARE


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """What one look at a worker sees; ``overdue_s`` is how far the slowest running
    attempt is past its hard limit, negative while none is.
    """

    started: int  # attempts started since the worker began
    idle_children: int
    waiting: int
    overdue_s: float


class Watchdog:
    """Compares each look with the one before; ``patience_s`` of standstill is enough.

    A look that cannot be taken (Redis is away) is no standstill: call ``forget``.
    """

    def __init__(self, patience_s: float) -> None:
        self.patience_s = patience_s
        self._before: Look | None = None
        self._stands_since: float | None = None

    def verdict(self, look: Look, now: float) -> str | None:
        """Why the worker must end, as a sentence; None while it may go on."""
        if look.overdue_s > self.patience_s:
            return (
                f"an attempt is {look.overdue_s:.0f} s past its hard limit and the "
                "pool does not end it"
            )
        before, self._before = self._before, look
        if before is None or look.started > before.started or not _could_start(look):
            self._stands_since = None
            return None
        if self._stands_since is None:
            self._stands_since = now
        if now - self._stands_since < self.patience_s:
            return None
        return (
            f"{look.waiting} messages wait, {look.idle_children} children are idle, "
            f"and nothing was started for {now - self._stands_since:.0f} s"
        )

    def forget(self) -> None:
        """Start over, as after a time in which nothing could be seen."""
        self._before = self._stands_since = None


def install(app: Celery, policy: Policy, redis: Callable[[], Redis]) -> None:
    """Watch every worker that ``app`` starts; ``redis`` is called in its parent."""
    watchdog = Watchdog(policy.recording.wedged_after_s)

    def act(worker: Any) -> None:
        if state.should_stop is not None or state.should_terminate is not None:
            return
        look = None
        try:
            look = _look(worker, redis(), policy)
        finally:
            if look is None:
                watchdog.forget()
        why = watchdog.verdict(look, time.monotonic())
        if why is not None:
            _end(worker, why)

    beside(app, "watchdog", policy.recording.watchdog_period_s, act)


def _could_start(look: Look) -> bool:
    return look.waiting > 0 and look.idle_children > 0


def _look(worker: Any, redis: Redis, policy: Policy) -> Look:
    queues = list(worker.app.amqp.queues.consume_from)
    running = list(state.active_requests)
    return Look(
        started=sum(state.total_count.values()),
        idle_children=max(0, worker.concurrency - len(running)),
        waiting=sum(broker.queue_depth(redis, policy.broker, name) for name in queues),
        overdue_s=max((_overdue_s(each, policy) for each in running), default=-1.0),
    )


def _overdue_s(request: Any, policy: Policy) -> float:
    if request.time_start is None or request.name not in policy.tasks:
        return -1.0
    limit_s = policy.tasks[request.name].time_limit_s
    return float(time.time() - request.time_start - limit_s)


def _end(worker: Any, why: str) -> NoReturn:
    """Leave at once: a stuck worker cannot be asked to stop. Children go first, for
    nobody would hold an orphan to its time limit.
    """
    log.critical("worker is stuck", extra={"why": why, "worker": worker.hostname})
    for child in worker.pool._pool._pool:
        try:
            os.kill(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    logging.shutdown()
    os._exit(EXIT_CODE)
