"""The open workload: groups of notifications published at instants fixed beforehand.

An open workload waits for nothing: not for an answer, not for the senders, not for the
group before. What it measures counts from the instant at which a group was due, so that
a stall is felt by every group that was due in it (no coordinated omission). Free of
locust.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from loadtests.assignment import Assignment
from worker.notifications import outbox

NICE = -10

Enqueue = Callable[[Sequence[int]], int]
"""Publish these ids, in batches; how many were left to the sweep."""

Tell = Callable[[float], None]
"""Hear of a group: seconds from when it was due until it was enqueued."""


@dataclass(kw_only=True)
class Publishing:
    """What a publisher has done. ``published_at``: epoch seconds before a group's first
    message; ``late_s``: that instant less the one at which the group was due.
    """

    published_at: list[float] = field(default_factory=list)
    notifications: list[int] = field(default_factory=list)
    late_s: list[float] = field(default_factory=list)
    message_ids: list[str] = field(default_factory=list)
    left_to_sweep: int = 0

    def publish(
        self,
        groups: Iterator[tuple[float, Sequence[int]]],
        enqueue: Enqueue,
        *,
        sleep: Callable[[float], None],
        tell: Tell = lambda took_s: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Enqueue each group when it is due, one that is overdue at once; none is left
        out.
        """
        for due_at, ids in groups:
            sleep(max(0.0, due_at - clock()))
            at = clock()
            self.published_at.append(at)
            self.notifications.append(len(ids))
            self.late_s.append(at - due_at)
            self.left_to_sweep += enqueue(ids)
            tell(clock() - due_at)

    def as_json(self) -> dict[str, Any]:
        """For the process that records the run."""
        return {
            "published_at": [round(at, 6) for at in self.published_at],
            "notifications": self.notifications,
            "late_s": [round(late_s, 6) for late_s in self.late_s],
            "message_ids": self.message_ids,
            "left_to_sweep": self.left_to_sweep,
        }


def groups_of(run: Assignment) -> Iterator[tuple[float, Sequence[int]]]:
    """(due_at, ids) of the run's groups; the ids are those of its prepared rows."""
    groups = run.scenario.groups()
    ends = list(accumulate(size for _, size in groups))
    for (at_s, size), end in zip(groups, ends, strict=True):
        yield run.starts_at + at_s, run.notifications[end - size : end]


def enqueue_as_the_matcher_does(message_ids: list[str]) -> Enqueue:
    """The worker's own way from committed rows to messages; it appends their ids.

    Imports the worker's app, which reads the environment: REDIS_URL and POLICY_SET.
    """
    from worker.app import app
    from worker.clients import redis
    from worker.env import settings

    here = settings()
    policy = here.policy()
    client = redis.connect(here.needed_redis_url(), policy=policy)
    producer = app.producer_pool.acquire(block=True)  # kept: a tenth less for each

    def publish(task: str, *args: object) -> None:
        sent = app.tasks[task].apply_async(args=args, producer=producer)
        message_ids.append(sent.id)

    return lambda ids: outbox.enqueue(client, publish, ids, policy)


def ahead_of_the_workers() -> bool:
    """Put this process before others that want its core, where the system lets it.

    A publisher that waits behind the workers for a core measures itself; beside them it
    needs a third of one at 500 messages a second. False without the privilege.
    """
    try:
        os.setpriority(os.PRIO_PROCESS, 0, NICE)
    except PermissionError:
        return False
    return True


def publish_task(task: str) -> None:
    """Publish one message without arguments, as an operator does by hand."""
    from worker.app import app

    app.tasks[task].apply_async()
