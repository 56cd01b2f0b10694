"""The open workload: groups of notifications published at instants fixed beforehand.

An open workload waits for nothing: not for an answer, not for the senders, not for the
group before. What it measures counts from the instant at which a group was due, so that
a stall is felt by every group that was due in it (no coordinated omission). Free of
locust.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from kombu.exceptions import BatchPublishError, OperationalError

from loadtests.assignment import Assignment
from worker.clients.broker import queue_depth
from worker.errors import TransientError
from worker.notifications import outbox

NICE = -10

AWAY = "the broker is away: the group was left to the sweep"

TOGETHER = 16
"""Groups that are due are handed over together, so many at most: what is overdue costs
one round trip, and the first of them does not wait for the last of a long stall."""

Group = tuple[float, Sequence[int]]
"""When it is due, epoch seconds, and the ids of its notifications."""

Hand = Callable[[Sequence[Sequence[int]]], int]
"""Hand the ids of some groups to the broker, each group in batches of its own; how many
were left to the sweep. TransientError: the broker is away, and all of them are."""

Tell = Callable[[float, TransientError | None], None]
"""Hear of a group: seconds from when it was due until the broker had it, or until it
was known to be away."""


@dataclass(kw_only=True)
class Publishing:
    """What a publisher has done. ``published_at``: epoch seconds before a group was
    handed over; ``late_s``: from when it was due until the broker had all of it.
    ``handed_at``: the same instants, one for each of ``message_ids``. ``left_at``:
    those at which notifications were left to the sweep, without a message.
    """

    published_at: list[float] = field(default_factory=list)
    notifications: list[int] = field(default_factory=list)
    late_s: list[float] = field(default_factory=list)
    message_ids: list[str] = field(default_factory=list)
    handed_at: list[float] = field(default_factory=list)
    left_to_sweep: int = 0
    left_at: list[float] = field(default_factory=list)

    def publish(
        self,
        groups: Iterator[Group],
        hand: Hand,
        *,
        sleep: Callable[[float], None],
        tell: Tell = lambda took_s, error: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Hand each group over when it is due, one that is overdue at once; none is
        left out.
        """
        for together in _due(groups, sleep, clock):
            at = clock()
            away: TransientError | None = None
            try:
                left = hand([ids for _, ids in together])
            except TransientError as error:
                away, left = error, sum(len(ids) for _, ids in together)
            if left:
                self.left_to_sweep += left
                self.left_at.append(at)
            over_at = clock()
            self.handed_at += [at] * (len(self.message_ids) - len(self.handed_at))
            for due_at, ids in together:
                self.published_at.append(at)
                self.notifications.append(len(ids))
                self.late_s.append(over_at - due_at)
                tell(over_at - due_at, away)

    def as_json(self) -> dict[str, Any]:
        """For the process that records the run."""
        return {
            "published_at": [round(at, 6) for at in self.published_at],
            "notifications": self.notifications,
            "late_s": [round(late_s, 6) for late_s in self.late_s],
            "message_ids": self.message_ids,
            "handed_at": [round(at, 6) for at in self.handed_at],
            "left_to_sweep": self.left_to_sweep,
            "left_at": [round(at, 6) for at in self.left_at],
        }


def _due(
    groups: Iterator[Group],
    sleep: Callable[[float], None],
    clock: Callable[[], float],
) -> Iterator[list[Group]]:
    """Wait for each group; those that are due at once come together."""
    ahead = next(groups, None)
    while ahead is not None:
        sleep(max(0.0, ahead[0] - clock()))
        now, found = clock(), [ahead]
        ahead = next(groups, None)
        while ahead is not None and ahead[0] <= now and len(found) < TOGETHER:
            found.append(ahead)
            ahead = next(groups, None)
        yield found


def groups_of(run: Assignment) -> Iterator[Group]:
    """(due_at, ids) of the run's groups; the ids are those of its prepared rows."""
    groups = run.scenario.groups()
    ends = list(accumulate(size for _, size in groups))
    for (at_s, size), end in zip(groups, ends, strict=True):
        yield run.starts_at + at_s, run.notifications[end - size : end]


def hand_over_as_the_matcher_does(message_ids: list[str]) -> Hand:
    """The worker's own way from committed rows to messages; it appends their ids.

    Groups that come together share one look at the queue and one round trip, a batch of
    kombu's producer: round trips, each of which waits for Redis to get a core beside
    the workers, are what keeps a publisher from its schedule. With a broker that is
    away (TransientError) the groups are left to the sweep, as the worker leaves them.

    Imports the worker's app, which reads the environment: REDIS_URL and POLICY_SET.
    """
    from worker.app import app
    from worker.clients import redis
    from worker.env import settings

    here = settings()
    policy = here.policy()
    client = redis.connect(here.needed_redis_url(), policy=policy)
    producer = app.producer_pool.acquire(block=True)  # kept: a tenth less for each
    task, queue = app.tasks[outbox.TASK], policy.tasks[outbox.TASK].queue
    with suppress(
        TransientError, OperationalError
    ):  # now, and not with the first group
        queue_depth(client, policy.broker, queue)
        producer.maybe_declare(app.amqp.queues[queue])

    def hand(groups: Sequence[Sequence[int]]) -> int:
        sent: list[str] = []
        left = 0
        try:
            waiting = queue_depth(client, policy.broker, queue)
            with producer.batch():
                for ids in groups:
                    batches = outbox.batches_of(
                        ids, policy.push, waiting=waiting + len(sent)
                    )
                    left += len(ids) - sum(map(len, batches))
                    for batch in batches:
                        message = task.apply_async(args=(batch,), producer=producer)
                        sent.append(message.id)
        except (TransientError, OperationalError, BatchPublishError):
            raise TransientError(AWAY) from None
        message_ids.extend(sent)
        return left

    return hand


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
    """Publish one message without arguments, as an operator does by hand.

    Raises TransientError when the broker is away.
    """
    from worker.app import app

    try:
        app.tasks[task].apply_async()
    except OperationalError:
        raise TransientError(f"the broker is away: no {task} was asked for") from None
