from dataclasses import replace

import numpy as np
import pytest

from simulation.demands import TaskDemand
from simulation.overheads import overheads, with_lag
from worker.policy import POLICY, vary
from worker.records import Outcome, TaskRecord

ONE = vary(POLICY, "pools.bg.children", 1)


def attempt(number, enqueued_at, started_at, finished_at, worker="bg/1"):
    return TaskRecord(
        task_id=str(number), attempt=0, task="apns_worker", queue="normal",
        worker=worker, enqueued_at=enqueued_at, started_at=started_at,
        finished_at=finished_at, outcome=Outcome.SUCCEEDED,
    )  # fmt: skip


def test_idle_waits_and_gaps_of_a_busy_child_are_told_apart():
    run = [
        attempt(1, 1.000, 1.004, 2.0),  # it found the child idle
        attempt(2, 1.500, 2.010, 3.0),  # it waited: 10 ms after the one before
        attempt(3, 5.000, 5.004, 6.0),
    ]

    found = overheads([(run, ONE)])

    assert found.parent_s == pytest.approx(0.004)
    assert found.between_s == pytest.approx(0.006)
    assert found.lags["apns_worker"] == pytest.approx([0.0, 0.0], abs=1e-6)


def test_what_a_task_waits_beyond_the_quickest_hand_over_is_its_lag():
    run = [attempt(k, 10.0 * k, 10.0 * k + 0.004, 10.0 * k + 1) for k in range(1, 20)]
    late = replace(run[-1], started_at=run[-1].started_at + 0.02)

    found = overheads([([*run[:-1], late], ONE)])

    assert max(found.lags["apns_worker"]) == pytest.approx(0.02, abs=1e-6)
    demand = TaskDemand(
        task="apns_worker", io_s=(1.0,) * 38, cpu_s=(0.0,) * 38, rss_mib=(1.0,) * 38
    )
    assert np.mean(with_lag(demand, found.lags)) == pytest.approx(0.02 / 19, rel=0.01)


def test_a_replaced_child_is_back_after_what_its_successor_took():
    run = []
    for life in range(3):
        begun = 10.0 * life
        run += [
            attempt(f"{life}a", begun, begun + 0.004, begun + 4.0, f"bg/{life}"),
            attempt(f"{life}b", begun + 1, begun + 4.004, begun + 9.7, f"bg/{life}"),
            attempt(f"{life}c", begun + 2, begun + 9.704, begun + 9.9, f"bg/{life}"),
        ]
    # Each life's first message has waited for it: 104 ms from the last one's end.
    run = [
        replace(r, enqueued_at=r.enqueued_at - 1.0) if r.task_id in ("1a", "2a") else r
        for r in run
    ]

    found = overheads([(run, ONE)])

    assert found.respawn_s == pytest.approx(0.104 - found.parent_s, abs=1e-6)
    assert overheads([(run[:3], ONE)]).respawn_s is None
