"""What a task is handed: connections, a way to publish, and the time."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from typing import Any

from psycopg import Connection
from redis import Redis

from worker.clients import postgres, redis
from worker.env import Settings
from worker.policy import Policy

Publish = Callable[..., None]
"""``publish("apns_worker", [1, 2])``: a task's name and its arguments."""


@dataclass(frozen=True, kw_only=True, slots=True)
class World:
    """The outside, as one child sees it.

    ``now`` is service time, aware UTC: the real clock moved by a replay's offset.
    Slots, expiry, leases and records use the real clock.
    """

    policy: Policy
    settings: Settings
    redis: Redis
    postgres: Callable[[str], AbstractContextManager[Connection[Any]]]
    publish: Publish
    now: Callable[[], datetime]


def world(policy: Policy, settings: Settings, publish: Publish) -> World:
    """A world that connects when it is first used; one a process."""
    offset = timedelta(seconds=settings.clock_offset_s)
    return World(
        policy=policy,
        settings=settings,
        redis=redis.connect(settings.needed_redis_url(), policy=policy),
        postgres=partial(_postgres, policy, settings),
        publish=publish,
        now=lambda: datetime.now(UTC) + offset,
    )


def one_per_process(build: Callable[[], World]) -> Callable[[], World]:
    """``build``, called again in each process: sockets must not cross a fork."""

    @lru_cache(maxsize=1)
    def of_process(_pid: int) -> World:
        return build()

    return lambda: of_process(os.getpid())


def _postgres(
    policy: Policy, settings: Settings, role: str
) -> AbstractContextManager[Connection[Any]]:
    return postgres.connect(settings.needed_database_url(), role, policy=policy)
