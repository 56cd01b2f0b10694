"""Records of attempts on a real Redis: opened, closed once, never in the way."""

import time

import pytest

from worker import keys
from worker.clients import redis as redis_client
from worker.policy import POLICY, vary
from worker.records import Outcome, TaskRecord
from worker.telemetry import recording
from worker.telemetry.recording import OpenAttempt

RECORDING = POLICY.recording


def opened(redis, task_id="m", **changes):
    said = {
        "task": "alert_matcher",
        "queue": "normal",
        "worker": "bg@here/7",
        "enqueued_at": time.time() - 3,
        "time_limit_s": 70,
        **changes,
    }
    return recording.opened(redis, RECORDING, task_id=task_id, **said)


def written(redis):
    return [recording.parsed(fields) for _, fields in redis.xrange(keys.TASK_RECORDS)]


def test_an_attempt_leaves_its_opening_and_its_closing(redis):
    attempt = opened(redis)
    record = recording.closed(redis, RECORDING, attempt, Outcome.SUCCEEDED, {"new": 3})

    assert written(redis) == [attempt, record]
    assert record.outcome is Outcome.SUCCEEDED
    assert record.detail == {"new": 3}
    assert record.wait_s >= 3
    assert record.service_s >= 0
    assert record.peak_rss_mib > 1


def test_attempts_of_a_message_count_up_redeliveries_included(redis):
    numbers = [opened(redis).attempt for _ in range(3)]

    assert numbers == [0, 1, 2]
    assert opened(redis, task_id="another").attempt == 0


def test_what_an_attempt_used_is_its_own(redis):
    attempt = opened(redis)
    sum(range(2_000_000))

    record = recording.closed(redis, RECORDING, attempt, Outcome.FAILED)

    assert 0 < record.cpu_s < attempt.cpu_before_s + record.cpu_s


def test_a_message_that_does_not_say_when_it_was_sent_has_not_waited(redis):
    attempt = opened(redis, enqueued_at=None)

    assert attempt.enqueued_at == attempt.started_at


def test_a_publisher_whose_clock_is_ahead_makes_no_negative_wait(redis):
    assert opened(redis, enqueued_at=time.time() + 60).enqueued_at <= time.time()


def test_the_parent_closes_for_a_dead_child_once(redis):
    attempt = opened(redis)

    first = recording.closed_for_it(redis, RECORDING, "m", Outcome.KILLED, "signal 9")
    second = recording.closed_for_it(redis, RECORDING, "m", Outcome.KILLED, "signal 9")

    assert (first.outcome, first.started_at) == (Outcome.KILLED, attempt.started_at)
    assert first.detail == {"error": "signal 9"}
    assert second is None
    assert written(redis) == [attempt, first]


def test_the_parent_has_nothing_to_close_after_the_child_did(redis):
    recording.closed(redis, RECORDING, opened(redis), Outcome.RETRIED)

    assert not recording.closed_for_it(redis, RECORDING, "m", Outcome.KILLED, "")


def test_an_expired_message_is_a_record_without_a_start(redis):
    record = recording.never_started(
        redis,
        RECORDING,
        task_id="m",
        task="upkeep",
        queue="normal",
        worker="bg@here",
        enqueued_at=time.time() - 20,
    )

    assert (record.started_at, record.outcome) == (None, Outcome.EXPIRED)
    assert record.wait_s >= 20
    assert written(redis) == [record]


def test_only_success_moves_the_last_success(redis):
    recording.closed(redis, RECORDING, opened(redis, "a"), Outcome.FAILED)
    assert redis.get(keys.last_success("alert_matcher")) is None

    done = recording.closed(redis, RECORDING, opened(redis, "b"), Outcome.SUCCEEDED)
    assert float(redis.get(keys.last_success("alert_matcher"))) == done.finished_at


def test_recording_does_not_fail_the_work_when_redis_is_away(caplog):
    away = redis_client.connect("redis://127.0.0.1:1/0", policy=POLICY)

    attempt = opened(away)
    record = recording.closed(away, RECORDING, attempt, Outcome.SUCCEEDED)

    assert isinstance(record, TaskRecord)
    assert "record not written" in caplog.text


def test_the_stream_is_capped_and_has_an_end(redis):
    few = vary(POLICY, "recording.stream_cap", 100).recording
    attempt = opened(redis)

    for _ in range(500):
        recording.closed(redis, few, attempt, Outcome.SUCCEEDED)

    assert redis.xlen(keys.TASK_RECORDS) < 250  # trimmed by whole nodes
    assert redis.ttl(keys.TASK_RECORDS) > 0


@pytest.mark.parametrize("key", [keys.open_attempt("m"), keys.attempts("m")])
def test_what_is_kept_of_a_message_has_an_end(redis, key):
    opened(redis)

    assert redis.ttl(key) > 0


def test_an_opening_is_read_back_as_it_was(redis):
    attempt = opened(redis)

    (read,) = written(redis)

    assert isinstance(read, OpenAttempt)
    assert read == attempt
