"""Celery is told what the policy says, and nothing else."""

from datetime import UTC, datetime

import pytest

from worker import celeryconfig
from worker.celeryconfig import SlotSchedule
from worker.policy import POLICY, Daily, Every


def test_every_task_has_its_route_its_limits_and_its_tick() -> None:
    conf = celeryconfig.settings(POLICY, "redis://127.0.0.1:1/0")

    for task in POLICY.tasks.values():
        assert conf["task_routes"][task.name] == {"queue": task.queue}
        told = conf["task_annotations"][task.name]
        assert told["soft_time_limit"] == task.soft_time_limit_s
        assert told["time_limit"] == task.time_limit_s
        assert told["expires"] == task.expires_s
        assert told["acks_late"] is (task.ack == "late")
        assert (task.name in conf["beat_schedule"]) is (task.tick is not None)


def test_the_visibility_timeout_is_the_same_in_every_place() -> None:
    conf = celeryconfig.settings(POLICY, None)

    hidden_s = POLICY.broker.visibility_timeout_s
    assert conf["visibility_timeout"] == hidden_s
    assert conf["broker_transport_options"]["visibility_timeout"] == hidden_s


def test_a_lost_worker_is_retried_within_bounds_not_rejected_for_ever() -> None:
    conf = celeryconfig.settings(POLICY, None)

    assert conf["task_retry_on_worker_lost"] is True
    assert conf["task_reject_on_worker_lost"] is False
    assert all(
        row["max_retries"] is not None for row in conf["task_annotations"].values()
    )


def test_a_pools_memory_ceiling_is_told_in_kib() -> None:
    pool = POLICY.pools["rt"]

    words = celeryconfig.worker_arguments(pool)

    assert f"--max-memory-per-child={pool.max_memory_per_child_mib * 1024}" in words


def _schedule_at(
    clock: list[float], tick: Every | Daily, expires_s: int
) -> SlotSchedule:
    schedule = SlotSchedule(tick, expires_s)
    schedule.nowfun = lambda: datetime.fromtimestamp(clock[0], UTC)
    return schedule


def test_two_beats_out_of_step_name_the_same_slots() -> None:
    named: list[list[int]] = []
    for phase in (0.1, 7.3, 14.9):
        clock, sent = [1_800_000_000.0 + phase], []
        schedule = _schedule_at(clock, Every(period_s=15), 12)
        last = datetime.fromtimestamp(0, UTC)
        while clock[0] < 1_800_000_100:
            due, wait_s = schedule.is_due(last)
            if due:
                sent.append(schedule.slot())
                last = datetime.fromtimestamp(clock[0], UTC)
            clock[0] += max(wait_s, 0.001)
        named.append([slot for slot in sent if slot > 1_800_000_000])

    assert named[0] == named[1] == named[2]
    assert named[0] == list(range(1_800_000_015, 1_800_000_100, 15))


@pytest.mark.parametrize(
    ("into_slot_s", "due"), [(1.0, True), (11.0, True), (13.0, False)]
)
def test_a_starting_beat_sends_the_slot_that_has_not_expired(
    into_slot_s: float, due: bool
) -> None:
    schedule = _schedule_at([1_800_000_000 + into_slot_s], Every(period_s=15), 12)

    assert schedule.is_due(datetime.fromtimestamp(0, UTC))[0] is due


def test_a_beat_started_in_the_evening_does_not_sync_again() -> None:
    six_hours = 6 * 3600
    tick = Daily(hour=5, minute=15)
    slot = tick.slot_at(1_800_000_000)
    never = datetime.fromtimestamp(0, UTC)

    assert _schedule_at([slot + 60.0], tick, six_hours).is_due(never)[0]
    assert not _schedule_at([slot + 15 * 3600.0], tick, six_hours).is_due(never)[0]
