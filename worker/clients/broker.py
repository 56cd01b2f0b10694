"""The broker's lists, read from outside: how many messages wait, and since when.

kombu pushes at the head of a Redis list and pops at its tail, so the oldest message is
the last element: https://github.com/celery/kombu/blob/main/kombu/transport/redis.py
"""

import json

from redis import Redis

from worker.policy.broker import Broker


def queue_depth(redis: Redis, broker: Broker, queue: str) -> int:
    """Messages that wait in a queue; those a worker holds are not counted."""
    return int(redis.llen(_list_of(broker, queue)))


def oldest_enqueued_at(redis: Redis, broker: Broker, queue: str) -> float | None:
    """When the oldest waiting message was enqueued, epoch seconds; None without one.

    None too when the message does not say (another publisher's).
    """
    text = redis.lindex(_list_of(broker, queue), -1)
    if text is None:
        return None
    enqueued_at = json.loads(text)["headers"].get("enqueued_at")
    return None if enqueued_at is None else float(enqueued_at)


def unacknowledged(redis: Redis, broker: Broker) -> int:
    """Messages that workers hold and have not acknowledged yet, over all queues."""
    return int(redis.hlen(f"{broker.key_prefix}unacked"))


def _list_of(broker: Broker, queue: str) -> str:
    return f"{broker.key_prefix}{queue}"
