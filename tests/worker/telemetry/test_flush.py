"""From a real Redis to a real PostgreSQL: nothing twice, nothing forgotten."""

import time
from dataclasses import replace

import pytest

from worker import keys
from worker.clients import postgres
from worker.errors import TransientError
from worker.policy import POLICY, vary
from worker.records import Outcome, Sample
from worker.reliability import dead_letters
from worker.telemetry import flush, gauges, recording

RECORDING = POLICY.recording
NO_GRACE = vary(POLICY, "recording.reader_grace_s", 0).recording


@pytest.fixture
def db(database_url):
    with postgres.connect(database_url, "upkeep", POLICY) as connection:
        yield connection
    postgres.close_all()


def opened(redis, task_id="m", time_limit_s=70.0):
    return recording.opened(
        redis,
        RECORDING,
        task_id=task_id,
        task="alert_matcher",
        queue="normal",
        worker="bg@here/7",
        enqueued_at=time.time() - 3,
        time_limit_s=time_limit_s,
    )


def outcomes(db):
    return dict(db.execute("select task_id, outcome from ops.task_records").fetchall())


def test_an_attempt_is_open_and_then_closed(redis, db):
    attempt = opened(redis)
    flush.flush_records(redis, db, RECORDING)
    assert outcomes(db) == {"m": None}

    record = recording.closed(redis, RECORDING, attempt, Outcome.SUCCEEDED, {"new": 1})
    flush.flush_records(redis, db, RECORDING)

    (row,) = db.execute(
        "select attempt, task, queue, worker, extract(epoch from enqueued_at)::float8, "
        "extract(epoch from started_at)::float8, "
        "extract(epoch from finished_at)::float8, outcome, detail from ops.task_records"
    ).fetchall()
    assert row == (
        *(0, "alert_matcher", "normal", "bg@here/7"),
        pytest.approx(record.enqueued_at, abs=1e-5),
        pytest.approx(record.started_at, abs=1e-5),
        pytest.approx(record.finished_at, abs=1e-5),
        "succeeded",
        {"new": 1},
    )


def test_opening_and_closing_in_one_batch_is_closed(redis, db):
    recording.closed(redis, RECORDING, opened(redis), Outcome.FAILED)

    assert flush.flush_records(redis, db, RECORDING) == 2
    assert outcomes(db) == {"m": "failed"}


def test_a_flush_moves_each_entry_once(redis, db):
    recording.closed(redis, RECORDING, opened(redis), Outcome.SUCCEEDED)

    assert flush.flush_records(redis, db, RECORDING) == 2
    assert flush.flush_records(redis, db, RECORDING) == 0


def test_a_flush_that_is_repeated_after_its_commit_changes_nothing(redis, db):
    recording.closed(redis, RECORDING, opened(redis), Outcome.SUCCEEDED)
    flush.flush_records(redis, db, RECORDING)
    redis.delete(keys.flushed(keys.TASK_RECORDS))  # it died before it could tell

    flush.flush_records(redis, db, RECORDING)

    assert outcomes(db) == {"m": "succeeded"}


def test_the_first_closing_of_an_attempt_stands(redis, db):
    attempt = opened(redis)
    recording.closed_for_it(redis, RECORDING, "m", Outcome.TIMED_OUT, "70 s")
    recording.closed(redis, RECORDING, attempt, Outcome.SUCCEEDED)

    flush.flush_records(redis, db, RECORDING)

    assert outcomes(db) == {"m": "timed_out"}


def test_a_batch_is_bounded_and_the_next_goes_on(redis, db):
    small = vary(POLICY, "recording.flush_batch", 4).recording
    for place in range(3):
        attempt = opened(redis, f"m{place}")
        recording.closed(redis, RECORDING, attempt, Outcome.SUCCEEDED)

    assert [flush.flush_records(redis, db, small) for _ in range(3)] == [4, 2, 0]
    assert len(outcomes(db)) == 3


def test_an_entry_stays_for_other_readers_until_their_grace_is_over(redis, db):
    opened(redis)
    flush.flush_records(redis, db, RECORDING)
    assert redis.xlen(keys.TASK_RECORDS) == 1

    opened(redis, "later")
    flush.flush_records(redis, db, NO_GRACE)
    assert redis.xlen(keys.TASK_RECORDS) == 1  # the last one marks the place


def test_what_postgresql_did_not_take_stays_in_redis(redis, database_url):
    opened(redis)

    def flush_in_vain():
        with postgres.connect(database_url, "upkeep", POLICY) as db:
            db.execute("set local lock_timeout = '10ms'")
            flush.flush_records(redis, db, NO_GRACE)

    with postgres.connect(database_url, "upkeep", POLICY) as other:
        other.execute("lock table ops.task_records in share mode")
        with pytest.raises(TransientError, match="LockNotAvailable"):
            flush_in_vain()

    with postgres.connect(database_url, "upkeep", POLICY) as db:
        assert flush.flush_records(redis, db, NO_GRACE) == 1
        assert outcomes(db) == {"m": None}


def test_an_attempt_that_nobody_closed_is_lost_after_its_hard_limit(redis, db):
    attempt = opened(redis, time_limit_s=70)
    flush.flush_records(redis, db, RECORDING)
    ended = attempt.started_at + 70 + RECORDING.lost_grace_s

    assert flush.close_lost(db, RECORDING, now=ended - 1) == 0
    assert flush.close_lost(db, RECORDING, now=ended + 1) == 1
    assert outcomes(db) == {"m": "lost"}


def test_a_worker_that_was_only_cut_off_may_still_tell(redis, db):
    attempt = opened(redis, time_limit_s=0)
    flush.flush_records(redis, db, RECORDING)
    flush.close_lost(db, RECORDING, now=time.time() + 3600)

    recording.closed(redis, RECORDING, attempt, Outcome.SUCCEEDED)
    flush.flush_records(redis, db, RECORDING)

    assert outcomes(db) == {"m": "succeeded"}


def test_samples_arrive_once(redis, db):
    sample = Sample(at=1000.0, name="depth", label="normal", value=3.0)
    gauges.append(redis, POLICY, [sample, replace(sample, label="batch")])

    flush.flush_samples(redis, db, RECORDING)
    redis.delete(keys.flushed(keys.SAMPLES))
    flush.flush_samples(redis, db, RECORDING)

    rows = db.execute("select label, value from ops.samples order by label").fetchall()
    assert rows == [("batch", 3.0), ("normal", 3.0)]


def test_a_dead_letter_is_copied_and_its_replay_too(redis, db):
    letter = dead_letters.DeadLetter(
        id="a",
        task="apns_worker",
        args=[[1]],
        attempt=0,
        error="PermanentError",
        reason="refused",
        parked_at=1000.0,
    )
    dead_letters.park(redis, letter, RECORDING)
    assert flush.flush_dead_letters(redis, db) == 1
    assert flush.flush_dead_letters(redis, db) == 0

    dead_letters.replay(redis, lambda *_: None, ["a"], RECORDING, now=2000.0)
    flush.flush_dead_letters(redis, db)

    rows = db.execute("select id, args, replays from ops.dead_letters").fetchall()
    assert rows == [("a", [[1]], 1)]


def test_the_views_tell_success_durations_and_memory(redis, db):
    for place, outcome in enumerate(
        [Outcome.SUCCEEDED, Outcome.SUCCEEDED, Outcome.KILLED, Outcome.SKIPPED]
    ):
        recording.closed(redis, RECORDING, opened(redis, f"m{place}"), outcome)
    at = time.time()
    samples = [
        Sample(at=at + n, name="memory_mib", label="bg/parent", value=40.0 + n)
        for n in range(3)
    ]
    gauges.append(redis, POLICY, samples)
    flush.flush_records(redis, db, RECORDING)
    flush.flush_samples(redis, db, RECORDING)

    rate = db.execute("select * from ops.success_rate").fetchall()
    assert rate == [("alert_matcher", 2, 3, pytest.approx(2 / 3))]
    ((task, attempts, service_s, wait_s),) = db.execute("table ops.durations")
    assert (task, attempts, len(service_s)) == ("alert_matcher", 3, 3)
    assert wait_s[0] == pytest.approx(3, abs=1)
    memory = db.execute("table ops.memory").fetchall()
    assert memory == [("bg/parent", 42.0, 41.0)]
