"""What waits in the broker's lists, as Celery leaves it there."""

import json
from collections.abc import Iterator

import pytest
from redis import Redis

from worker.clients import broker
from worker.clients.broker import Waiting
from worker.policy import POLICY

QUEUES = ("critical", "normal", "batch")


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as client:
        yield client


def enqueue(redis: Redis, queue: str, headers: dict[str, float]) -> None:
    redis.lpush(f"{POLICY.broker.key_prefix}{queue}", json.dumps({"headers": headers}))


def test_the_oldest_message_says_since_when_a_queue_waits(redis: Redis) -> None:
    for at in (10.0, 20.0, 30.0):
        enqueue(redis, "normal", {"enqueued_at": at})
    redis.hset(f"{POLICY.broker.key_prefix}unacked", "tag", "a message")

    queues, held = broker.waiting(redis, POLICY.broker, QUEUES)

    nothing = Waiting(depth=0, since=None)
    assert queues == {
        "critical": nothing,
        "normal": Waiting(depth=3, since=10.0),
        "batch": nothing,
    }
    assert held == 1


def test_another_publishers_message_waits_since_nobody_knows_when(
    redis: Redis,
) -> None:
    enqueue(redis, "batch", {})

    queues, _ = broker.waiting(redis, POLICY.broker, QUEUES)

    assert queues["batch"] == Waiting(depth=1, since=None)
