"""Task records: an attempt is opened when it starts and closed when it ends.

The shell opens and closes in the child. What a dead child cannot say, signals in the
worker's parent do: killed, out of time, expired. Entries wait in a capped Redis stream
for upkeep; PostgreSQL is never waited for. A record that cannot be written is logged
and given up: recording must not fail the work that it records.
"""

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from redis import Redis

from worker import keys
from worker.errors import TransientError
from worker.policy.recording import Recording
from worker.records import Detail, Outcome, TaskRecord, as_row, task_record
from worker.telemetry import usage

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenAttempt:
    """An attempt that has started; ``deadline_at`` is when it must have ended."""

    task_id: str
    attempt: int
    task: str
    queue: str
    worker: str
    enqueued_at: float
    started_at: float
    deadline_at: float
    cpu_before_s: float = 0.0


Entry = OpenAttempt | TaskRecord


def opened(
    redis: Redis,
    recording: Recording,
    *,
    task_id: str,
    task: str,
    queue: str,
    worker: str,
    enqueued_at: float | None,
    time_limit_s: float,
) -> OpenAttempt:
    """Open the next attempt at this message and say so; the child's first act.

    Attempts count from 0, redeliveries after a crash included. ``enqueued_at`` None:
    the publisher did not say, so it counts from now.
    """
    now = time.time()
    attempt = OpenAttempt(
        task_id=task_id,
        attempt=_next_attempt(redis, recording, task_id),
        task=task,
        queue=queue,
        worker=worker,
        enqueued_at=min(now, enqueued_at or now),
        started_at=now,
        deadline_at=now + time_limit_s,
        cpu_before_s=usage.cpu_s(),
    )
    usage.reset_peak()
    text = json.dumps(asdict(attempt))
    try:
        with redis.pipeline() as pipe:
            pipe.set(keys.open_attempt(task_id), text, ex=recording.attempt_ttl_s)
            _append(pipe, recording, "opened", text)
            pipe.execute()
    except TransientError as error:
        _given_up(task, task_id, error)
    return attempt


def closed(
    redis: Redis,
    recording: Recording,
    attempt: OpenAttempt,
    outcome: Outcome,
    detail: Detail | None = None,
) -> TaskRecord:
    """Close an attempt in the child that ran it: with what it used and what it said."""
    record = TaskRecord(
        **_identity(attempt),
        finished_at=time.time(),
        outcome=outcome,
        cpu_s=max(0.0, usage.cpu_s() - attempt.cpu_before_s),
        peak_rss_mib=usage.peak_rss_mib(),
        detail=detail or {},
    )
    _write(redis, recording, record)
    return record


def closed_for_it(
    redis: Redis, recording: Recording, task_id: str, outcome: Outcome, error: str
) -> TaskRecord | None:
    """Close the attempt of a child that cannot: in the parent, once.

    None when nothing is open, which is so the second time: Celery 5.7.0 tells of a
    hard limit twice.
    """
    text = redis.getdel(keys.open_attempt(task_id))
    if text is None:
        return None
    record = TaskRecord(
        **_identity(OpenAttempt(**json.loads(text))),
        finished_at=time.time(),
        outcome=outcome,
        detail={"error": error},
    )
    _write(redis, recording, record)
    return record


def never_started(
    redis: Redis,
    recording: Recording,
    *,
    task_id: str,
    task: str,
    queue: str,
    worker: str,
    enqueued_at: float | None,
) -> TaskRecord:
    """Record a message that was too old when it was taken."""
    now = time.time()
    record = TaskRecord(
        task_id=task_id,
        attempt=_next_attempt(redis, recording, task_id),
        task=task,
        queue=queue,
        worker=worker,
        enqueued_at=min(now, enqueued_at or now),
        started_at=None,
        finished_at=now,
        outcome=Outcome.EXPIRED,
    )
    _write(redis, recording, record)
    return record


def parsed(fields: Mapping[bytes, bytes]) -> Entry:
    """An entry of the stream ``keys.TASK_RECORDS``, as XRANGE and XREAD give it.

    A reader of the stream keeps the first closing entry of a (task_id, attempt).
    """
    ((kind, text),) = fields.items()
    values = json.loads(text)
    return OpenAttempt(**values) if kind == b"opened" else task_record(values)


def _identity(attempt: OpenAttempt) -> dict[str, Any]:
    return {
        "task_id": attempt.task_id,
        "attempt": attempt.attempt,
        "task": attempt.task,
        "queue": attempt.queue,
        "worker": attempt.worker,
        "enqueued_at": attempt.enqueued_at,
        "started_at": attempt.started_at,
    }


def _next_attempt(redis: Redis, recording: Recording, task_id: str) -> int:
    key = keys.attempts(task_id)
    try:
        with redis.pipeline() as pipe:
            pipe.incr(key)
            pipe.expire(key, recording.attempt_ttl_s)
            count, _ = pipe.execute()
    except TransientError:
        return 0
    return int(count) - 1


def _write(redis: Redis, recording: Recording, record: TaskRecord) -> None:
    try:
        with redis.pipeline() as pipe:
            pipe.delete(keys.open_attempt(record.task_id))
            _append(pipe, recording, "closed", json.dumps(as_row(record)))
            if record.outcome is Outcome.SUCCEEDED:
                key = keys.last_success(record.task)
                pipe.set(key, repr(record.finished_at), ex=recording.stream_ttl_s)
            pipe.execute()
    except TransientError as error:
        _given_up(record.task, record.task_id, error)


def _append(pipe: Any, recording: Recording, kind: str, text: str) -> None:
    pipe.xadd(keys.TASK_RECORDS, {kind: text}, maxlen=recording.stream_cap)
    pipe.expire(keys.TASK_RECORDS, recording.stream_ttl_s)


def _given_up(task: str, task_id: str, error: Exception) -> None:
    log.warning(
        "record not written",
        extra={"task": task, "task_id": task_id, "error": str(error)},
    )
