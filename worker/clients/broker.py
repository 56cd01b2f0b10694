"""The broker's lists, read from outside: how many messages wait, and since when.

kombu pushes at the head of a Redis list and pops at its tail, so the oldest message is
the last element: https://github.com/celery/kombu/blob/main/kombu/transport/redis.py
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from redis import Redis

from worker.policy.broker import Broker


def queue_depth(redis: Redis, broker: Broker, queue: str) -> int:
    """Messages that wait in a queue; those a worker holds are not counted."""
    return int(redis.llen(_list_of(broker, queue)))


@dataclass(frozen=True, kw_only=True, slots=True)
class Waiting:
    """What the broker holds: messages in a queue, and when the oldest was enqueued.

    ``since``: epoch seconds; None where nothing waits, and where the message does not
    say (another publisher's).
    """

    depth: int
    since: float | None


def waiting(
    redis: Redis, broker: Broker, queues: Sequence[str]
) -> tuple[dict[str, Waiting], int]:
    """What waits in each queue, and how many messages workers hold, over all queues,
    that they have not acknowledged yet; one round trip.
    """
    pipeline = redis.pipeline(transaction=False)
    for queue in queues:
        pipeline.llen(_list_of(broker, queue))
        pipeline.lindex(_list_of(broker, queue), -1)
    pipeline.hlen(f"{broker.key_prefix}unacked")
    *found, unacknowledged = pipeline.execute()
    return {
        queue: Waiting(depth=int(depth), since=_enqueued_at(oldest))
        for queue, depth, oldest in zip(queues, found[::2], found[1::2], strict=True)
    }, int(unacknowledged)


def _enqueued_at(message: bytes | None) -> float | None:
    if message is None:
        return None
    enqueued_at = json.loads(message)["headers"].get("enqueued_at")
    return None if enqueued_at is None else float(enqueued_at)


def _list_of(broker: Broker, queue: str) -> str:
    return f"{broker.key_prefix}{queue}"
