"""From Redis to PostgreSQL: records, samples, dead letters; and what was lost.

An entry leaves the stream only after the commit that holds it, and a while later, so
that a load test can follow the stream. Writing an entry twice changes nothing: records
are unique by (task_id, attempt), and the first closing of an attempt stands.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from psycopg.types.json import Jsonb
from redis import Redis

from worker import keys
from worker.clients.postgres import Connection
from worker.policy.recording import Recording
from worker.records import Sample, TaskRecord
from worker.reliability import dead_letters
from worker.telemetry import gauges
from worker.telemetry import recording as records

_OPENED = """
insert into ops.task_records
    (task_id, attempt, task, queue, worker, enqueued_at, started_at, deadline_at)
values (%s, %s, %s, %s, %s, to_timestamp(%s), to_timestamp(%s), to_timestamp(%s))
on conflict (task_id, attempt) do nothing
"""

# What upkeep gave up for lost may yet be told by a worker that was only cut off.
_CLOSED = """
insert into ops.task_records as kept
    (task_id, attempt, task, queue, worker, enqueued_at, started_at,
     finished_at, outcome, cpu_s, peak_rss_mib, detail)
values (%s, %s, %s, %s, %s, to_timestamp(%s), to_timestamp(%s),
        to_timestamp(%s), %s, %s, %s, %s)
on conflict (task_id, attempt) do update set
    finished_at = excluded.finished_at, outcome = excluded.outcome,
    cpu_s = excluded.cpu_s, peak_rss_mib = excluded.peak_rss_mib,
    detail = excluded.detail
where kept.outcome is null or kept.outcome = 'lost'
"""

_SAMPLE = """
insert into ops.samples (at, name, label, value)
values (to_timestamp(%s), %s, %s, %s) on conflict do nothing
"""

_LETTER = """
insert into ops.dead_letters
    (id, task, args, attempt, error, reason, parked_at, replays, replayed_at)
values (%s, %s, %s, %s, %s, %s, to_timestamp(%s), %s, to_timestamp(%s))
on conflict (id) do update set
    attempt = excluded.attempt, error = excluded.error, reason = excluded.reason,
    parked_at = excluded.parked_at, replays = excluded.replays,
    replayed_at = excluded.replayed_at
"""

_LOST = """
update ops.task_records set finished_at = to_timestamp(%s), outcome = 'lost'
where outcome is null and deadline_at < to_timestamp(%s)
"""

Entries = Sequence[tuple[bytes, Mapping[bytes, bytes]]]


def flush_records(redis: Redis, db: Connection, recording: Recording) -> int:
    """Move one batch of task records; how many entries were new to PostgreSQL."""

    def write(entries: Entries) -> None:
        parsed = [records.parsed(fields) for _, fields in entries]
        opened = [_opened_row(e) for e in parsed if isinstance(e, records.OpenAttempt)]
        closed = [_closed_row(e) for e in parsed if isinstance(e, TaskRecord)]
        with db.cursor() as cursor:
            cursor.executemany(_OPENED, opened)
            cursor.executemany(_CLOSED, closed)

    return _flush(redis, db, recording, keys.TASK_RECORDS, write)


def flush_samples(redis: Redis, db: Connection, recording: Recording) -> int:
    """Move one batch of samples; how many entries were new to PostgreSQL."""

    def write(entries: Entries) -> None:
        samples = [each for _, fields in entries for each in gauges.parsed(fields)]
        with db.cursor() as cursor:
            cursor.executemany(_SAMPLE, [_sample_row(each) for each in samples])

    return _flush(redis, db, recording, keys.SAMPLES, write)


def flush_dead_letters(redis: Redis, db: Connection) -> int:
    """Copy the letters that PostgreSQL does not have yet; they stay in Redis too."""
    members: Any = redis.smembers(keys.DEAD_LETTERS_UNSAVED)
    unsaved = [each.decode() for each in members]
    if not unsaved:
        return 0
    letters = dead_letters.read(redis, unsaved)
    with db.cursor() as cursor:
        cursor.executemany(_LETTER, [_letter_row(letter) for letter in letters])
    db.commit()
    redis.srem(keys.DEAD_LETTERS_UNSAVED, *unsaved)
    return len(letters)


def close_lost(db: Connection, recording: Recording, *, now: float) -> int:
    """Close attempts that are open long after their hard limit; how many there were."""
    lost = db.execute(_LOST, (now, now - recording.lost_grace_s)).rowcount
    db.commit()
    return lost


def _flush(
    redis: Redis,
    db: Connection,
    recording: Recording,
    stream: str,
    write: Callable[[Entries], None],
) -> int:
    """Write what is new since the last flush, commit, then let go of what is old."""
    mark = keys.flushed(stream)
    last: Any = redis.get(mark)
    after = f"({last.decode()}" if last else "-"
    entries: Any = redis.xrange(stream, min=after, count=recording.flush_batch)
    if not entries:
        return 0
    write(entries)
    db.commit()
    last_id = entries[-1][0].decode()
    grace_ms = recording.reader_grace_s * 1000
    oldest_kept = min(_millis(last_id), int(time.time() * 1000) - grace_ms)
    with redis.pipeline() as pipe:
        pipe.set(mark, last_id, ex=recording.stream_ttl_s)
        pipe.xtrim(stream, minid=oldest_kept, approximate=False)
        pipe.execute()
    return len(entries)


def _millis(entry_id: str) -> int:
    return int(entry_id.partition("-")[0])


def _opened_row(each: records.OpenAttempt) -> tuple[object, ...]:
    return (
        *(each.task_id, each.attempt, each.task, each.queue, each.worker),
        *(each.enqueued_at, each.started_at, each.deadline_at),
    )


def _closed_row(each: TaskRecord) -> tuple[object, ...]:
    return (
        *(each.task_id, each.attempt, each.task, each.queue, each.worker),
        *(each.enqueued_at, each.started_at, each.finished_at, each.outcome.value),
        *(each.cpu_s, each.peak_rss_mib, Jsonb(each.detail)),
    )


def _sample_row(each: Sample) -> tuple[object, ...]:
    return each.at, each.name, each.label, each.value


def _letter_row(each: dead_letters.DeadLetter) -> tuple[object, ...]:
    return (
        *(each.id, each.task, Jsonb(each.args), each.attempt, each.error, each.reason),
        *(each.parked_at, each.replays, each.replayed_at),
    )
