"""Retries, redelivery, poison: what becomes of a message after its attempt."""

from itertools import pairwise

import pytest

from simulation.tables import Machine, Window
from worker.records import Outcome

from .conftest import demands, job, pool

RETRIED = job(ack="late", max_retries=2, retry_backoff_s=4, retry_backoff_max_s=6)


def told(world):
    return [
        (line.attempt, line.outcome, line.started_at) for line in world.journal.lines
    ]


def accounted(world):
    return world.broker.published + world.settling.redelivered == (
        len(world.journal.lines) + world.inside
    )


def test_a_failure_is_retried_with_full_jitter_and_then_given_up(run_world):
    world = run_world(
        [(0.0, "job")], {"job": demands(1.0, failure=1.0)}, tasks=[RETRIED]
    )

    # Countdowns of 4 s and of 8 s capped to 6 s, times a luck of one half.
    assert told(world) == [
        (0, Outcome.RETRIED, 0.0),
        (1, Outcome.RETRIED, 3.0),
        (2, Outcome.FAILED, 7.0),
    ]


def test_the_backoff_is_celerys_own(run_world):
    """At the top of the jitter, beside the function that the worker calls."""
    from celery.utils.time import get_exponential_backoff_interval

    longest = [
        get_exponential_backoff_interval(4, retries, 6, full_jitter=False)
        for retries in range(2)
    ]

    world = run_world(
        [(0.0, "job")], {"job": demands(1.0, failure=1.0)}, tasks=[RETRIED]
    )

    lines = world.journal.lines
    waited = [b.started_at - a.finished_at for a, b in pairwise(lines)]
    assert waited == [seconds * 0.5 for seconds in longest]


def test_a_retry_keeps_the_expiry_of_its_message(run_world):
    row = job(ack="late", max_retries=5, retry_backoff_s=8, retry_backoff_max_s=8,
              expires_s=7)  # fmt: skip

    world = run_world([(0.0, "job")], {"job": demands(1.0, failure=1.0)}, tasks=[row])

    # Retries at 5 s and, too late for 7 s, at 10 s.
    assert [outcome for _, outcome, _ in told(world)] == [
        Outcome.RETRIED,
        Outcome.RETRIED,
        Outcome.EXPIRED,
    ]


def test_a_countdown_keeps_no_child_busy_and_ends_before_the_queue(run_world):
    row = job("flaky", ack="late", max_retries=1, retry_backoff_s=4,
              retry_backoff_max_s=4)  # fmt: skip
    ticks = [(0.0, "flaky"), *[(0.5, "job")] * 4]

    world = run_world(
        ticks,
        {"flaky": demands(1.0, failure=1.0), "job": demands(1.5)},
        tasks=[row, job()],
    )

    # Published again at 1 s behind four others, taken after them, due long since.
    assert [line.task for line in world.journal.lines] == [
        "flaky", "job", "job", "job", "job", "flaky",
    ]  # fmt: skip
    held = run_world(
        [(0.0, "flaky"), (2.5, "job"), (2.6, "job")],
        {"flaky": demands(1.0, failure=1.0), "job": demands(1.5)},
        tasks=[row, job()],
    )
    # Held by the worker until 3 s, it goes before the message that waits in Redis.
    assert [line.task for line in held.journal.lines] == [
        "flaky", "job", "flaky", "job",
    ]  # fmt: skip


@pytest.mark.parametrize("ack", ["early", "late"])
def test_a_poison_message_kills_a_child_each_time_until_its_retries_end(run_world, ack):
    row = job(ack=ack, max_retries=2, retry_backoff_s=4, retry_backoff_max_s=6)

    world = run_world(
        [(0.0, "job")],
        {"job": demands(1.0, poison=1.0)},
        tasks=[row],
        broker={"child_lost_s": 2},
    )

    # Missed 2 s after its death, tried again after Celery's default delay.
    assert told(world) == [
        (0, Outcome.KILLED, 0.0),
        (1, Outcome.KILLED, 7.0),
        (2, Outcome.KILLED, 14.0),
    ]


def test_poison_does_not_stop_the_others(run_world):
    chances = demands([1.0] * 4)
    chances.chance[:] = [0.0, 1.0, *[0.0] * (len(chances) - 2)]
    chances.poison = 0.1

    world = run_world(
        [(0.0, "job")] * 3, {"job": chances}, machine=Machine(v_eff=1.0, respawn_s=3.0)
    )

    assert [line.outcome for line in world.journal.lines] == [
        Outcome.SUCCEEDED, Outcome.KILLED, Outcome.SUCCEEDED,
    ]  # fmt: skip
    # Dead at 2 s, replaced at 5 s.
    assert world.journal.lines[2].started_at == 5.0


@pytest.mark.parametrize(
    ("ack", "starts"),
    [("late", [0.0, 35.0]), ("early", [0.0])],
    ids=["late ack: again after the visibility timeout", "early ack: gone"],
)
def test_what_a_dead_worker_was_doing_depends_on_the_ack(run_world, ack, starts):
    died = Window(start_at=1.0, end_at=4.0, kind="kill")

    world = run_world(
        [(0.0, "job")],
        {"job": demands(2.0)},
        tasks=[job(ack=ack)],
        windows=[died],
        broker={"visibility_timeout_s": 30, "restore_interval_s": 8},
    )

    # Hidden from 1 s on for 30 s, and half of the 8 s between two sweeps.
    assert [line.started_at for line in world.journal.lines] == starts
    assert world.journal.lines[0].outcome is Outcome.LOST
    assert accounted(world)


def test_reserved_messages_come_back_whatever_their_ack(run_world):
    died = Window(start_at=1.0, end_at=4.0, kind="kill")

    world = run_world(
        [(0.0, "job"), (0.0, "job")],
        {"job": demands(2.0)},
        windows=[died],
        prefetch=1,
        broker={"visibility_timeout_s": 30, "restore_interval_s": 8},
    )

    assert told(world) == [(0, Outcome.LOST, 0.0), (0, Outcome.SUCCEEDED, 35.0)]
    assert accounted(world)


def test_a_visibility_timeout_below_the_run_time_starts_it_a_second_time(run_world):
    world = run_world(
        [(0.0, "job")],
        {"job": demands([90.0, 5.0])},
        tasks=[job(ack="late", time_limit_s=200)],
        pools=[pool(children=2)],
        broker={"visibility_timeout_s": 30, "restore_interval_s": 8},
        end=60.0,
    )

    # What policy forbids: the first is still at work when the second starts.
    assert world.settling.redelivered == 1
    assert world.inside + len(world.journal.lines) == 2
    assert accounted(world)
