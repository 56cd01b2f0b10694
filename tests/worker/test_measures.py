"""A measure means the same on a live run, a load run and a model run."""

import math
import random

import pytest

from worker.measures import MEASURES, Recorded, quantile
from worker.policy import POLICY
from worker.policy.objectives import LATE_PUSH_S
from worker.records import Delivery, Outcome, Sample, TaskRecord


def push(name: str, published_at: float, arrived_at: float | None) -> Delivery:
    return Delivery(
        notification_id=name, published_at=published_at, matched_at=published_at + 1,
        sent_at=arrived_at, arrived_at=arrived_at, outcome="sent",
    )  # fmt: skip


def attempt(
    start: float, end: float, outcome: Outcome = Outcome.SUCCEEDED
) -> TaskRecord:
    return TaskRecord(
        task_id=f"{start}", attempt=0, task="upkeep", queue="normal", worker="bg",
        enqueued_at=start - 1, started_at=start, finished_at=end, outcome=outcome,
    )  # fmt: skip


def test_every_objective_is_about_a_known_measure() -> None:
    assert {row.measure for row in POLICY.objectives.values()} <= MEASURES.keys()


def test_nothing_measured_is_not_zero() -> None:
    empty = Recorded(started_at=0, finished_at=10)

    for name in ("p95_push_s", "success_rate", "queue_wait_p95_s", "memory_mib"):
        assert math.isnan(MEASURES[name].function(empty)), name
    assert not POLICY.objectives["success"].met(math.nan)
    assert not POLICY.objectives["push_p95"].met(math.nan)


def test_a_lost_push_is_late_and_a_second_arrival_is_a_duplicate() -> None:
    run = Recorded(
        deliveries=[
            push("in time", 100, 100 + LATE_PUSH_S),
            push("late", 100, 101 + LATE_PUSH_S),
            push("lost", 100, None),
            push("twice", 100, 103),
            push("twice", 100, 104),
        ],
        started_at=0,
        finished_at=200,
    )

    assert MEASURES["lost"].function(run) == 1
    assert MEASURES["duplicated"].function(run) == 1
    assert MEASURES["late_push_fraction"].function(run) == pytest.approx(2 / 4)
    assert MEASURES["p50_push_s"].function(run) == LATE_PUSH_S


def test_success_is_judged_among_attempts_that_were_meant_to_work() -> None:
    outcomes = [Outcome.SUCCEEDED, Outcome.SUCCEEDED, Outcome.SKIPPED, Outcome.RETRIED,
                Outcome.KILLED, Outcome.EXPIRED]  # fmt: skip
    run = Recorded(
        tasks=[attempt(n, n + 1, o) for n, o in enumerate(outcomes, start=1)]
    )

    assert MEASURES["success_rate"].function(run) == 0.5


def test_utilization_is_the_busy_share_of_all_children() -> None:
    run = Recorded(
        tasks=[attempt(1, 3), attempt(4, 6)],
        samples=[
            Sample(at=1, name="children", label="rt", value=1),
            Sample(at=1, name="children", label="bg", value=3),
        ],
        started_at=0,
        finished_at=10,
    )

    assert MEASURES["utilization"].function(run) == pytest.approx(4 / 40)


def test_memory_is_the_peak_of_what_stood_at_one_time() -> None:
    readings = [(1.0, "rt", 50.0), (1.0, "bg", 60.0), (2.0, "rt", 90.0)]
    run = Recorded(
        samples=[
            Sample(at=at, name="memory_mib", label=label, value=value)
            for at, label, value in readings
        ]
    )

    assert MEASURES["memory_mib"].function(run) == 110.0


def test_quantiles_agree_with_the_linear_definition() -> None:
    numpy = pytest.importorskip("numpy")
    draw = random.Random(1337)
    values = [draw.expovariate(1.0) for _ in range(101)]

    for share in (0.0, 0.5, 0.95, 0.99, 1.0):
        assert quantile(values, share) == pytest.approx(numpy.quantile(values, share))
