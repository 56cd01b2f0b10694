"""Gauges: what waits, how old it is, what each process uses. Read, then appended to
a capped Redis stream as Samples.
"""

import json
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from celery import Celery
from celery.worker import state
from redis import Redis

from worker import keys
from worker.clients import broker
from worker.policy import Policy
from worker.records import Sample, as_row
from worker.reliability.beside import beside
from worker.telemetry import usage


def of_queues(redis: Redis, policy: Policy, *, now: float) -> list[Sample]:
    """Depth and the oldest message's age, of each queue; age 0 when nothing waits."""
    queues, held = broker.waiting(redis, policy.broker, list(policy.queues))
    found = [sample(now, "unacknowledged", "", held)]
    for name, queue in queues.items():
        age_s = 0.0 if queue.since is None else now - queue.since
        found.append(sample(now, "depth", name, queue.depth))
        found.append(sample(now, "oldest_age_s", name, age_s))
    return found


def of_tasks(redis: Redis, policy: Policy, *, now: float) -> list[Sample]:
    """Seconds since each task last succeeded; nothing for one that never has."""
    names = list(policy.tasks)
    succeeded = redis.mget([keys.last_success(name) for name in names])
    return [
        sample(now, "success_age_s", name, now - float(at))
        for name, at in zip(names, succeeded, strict=True)
        if at is not None
    ]


def of_pushes(redis: Redis, *, now: float) -> list[Sample]:
    """1 while all senders rest, because Apple refuses the provider, else 0; and how
    many pushes failed of late by our own mistake.
    """
    paused, mistakes = redis.mget([keys.APNS_PAUSED, keys.APNS_MISTAKES])
    return [
        sample(now, "paused", "apns_worker", paused is not None),
        sample(now, "mistakes", "apns_worker", int(mistakes or 0)),
    ]


def of_processes(
    worker: Any, cpu_before: dict[str, float], *, now: float
) -> list[Sample]:
    """Memory and processor time of a worker's parent and children.

    ``worker`` is Celery's WorkController; ``cpu_before`` holds the last reading by
    process and is brought up to date. Labels are the pool's name and the place in it,
    so that a recycled child keeps its line.
    """
    pool = worker.hostname.partition("@")[0]
    processes = {f"{pool}/parent": os.getpid()}
    for child in worker.pool._pool._pool:
        processes[f"{pool}/child-{child.index}"] = child.pid
    found = [
        sample(now, "children", pool, worker.concurrency),
        sample(now, "busy_children", pool, len(state.active_requests)),
    ]
    for label, pid in processes.items():
        memory_mib, cpu_s = usage.memory_mib(pid), usage.cpu_of_s(pid)
        if memory_mib is not None:
            found.append(sample(now, "memory_mib", label, memory_mib))
        if cpu_s is not None:
            used_s = cpu_s - cpu_before.get(label, cpu_s)
            cpu_before[label] = cpu_s
            found.append(sample(now, "cpu_s", label, used_s))  # since the last one
    return found


def append(redis: Redis, policy: Policy, samples: list[Sample]) -> None:
    """Add samples to the stream ``keys.SAMPLES``, one entry for all of them."""
    recording = policy.recording
    text = json.dumps([as_row(each) for each in samples])
    with redis.pipeline() as pipe:
        pipe.xadd(keys.SAMPLES, {"samples": text}, maxlen=recording.stream_cap)
        pipe.expire(keys.SAMPLES, recording.stream_ttl_s)
        pipe.execute()


def parsed(fields: Mapping[bytes, bytes]) -> list[Sample]:
    """The samples of one entry of the stream, as XRANGE and XREAD give it."""
    return [Sample(**row) for row in json.loads(fields[b"samples"])]


def install(app: Celery, policy: Policy, redis: Callable[[], Redis]) -> None:
    """Sample the processes of every worker that ``app`` starts, in its parent."""
    cpu_before: dict[str, float] = {}
    period_s = policy.recording.gauge_period_s

    def act(worker: Any) -> None:
        now = time.time() // period_s * period_s  # the same instant in every worker
        append(redis(), policy, of_processes(worker, cpu_before, now=now))

    beside(app, "gauges", period_s, act)


def sample(at: float, name: str, label: str, value: float) -> Sample:
    """One reading, not below 0: a clock that is ahead makes no negative age."""
    return Sample(at=at, name=name, label=label, value=max(0.0, float(value)))
