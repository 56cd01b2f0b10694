"""A ramp's knee is the first rate at which waiting breaks the promise."""

from typing import Any

import pytest

from loadtests.knee import knee_of, steps_of
from simulation.scenario import DRAIN_S
from worker.measures import Recorded
from worker.policy.objectives import OBJECTIVES
from worker.records import Outcome, TaskRecord

STEP_S = 50.0
LIMIT_S = OBJECTIVES["queue_wait"].limit


def sent(at: float, wait_s: float) -> TaskRecord:
    return TaskRecord(
        task_id=f"{at}",
        attempt=0,
        task="apns_worker",
        queue="normal",
        worker="bg",
        enqueued_at=at,
        started_at=at + wait_s,
        finished_at=at + wait_s + 0.3,
        outcome=Outcome.SUCCEEDED,
    )


def ramp(*waits_s: float) -> tuple[dict[str, Any], Recorded]:
    """A message a second in each step, all of whose messages wait as long."""
    tasks = [
        sent(step * STEP_S + second, wait_s)
        for step, wait_s in enumerate(waits_s)
        for second in range(int(STEP_S))
    ]
    about = {
        "scenario_as_run": {
            "groups_per_s": [1.0 + step for step in range(len(waits_s))],
            "group_least": 5,
            "group_most": 15,
            "warm_up_s": 0.0,
        },
        "groups": {
            "published_at": [task.enqueued_at for task in tasks],
            "notifications": [10 * (1 + int(t.enqueued_at // STEP_S)) for t in tasks],
        },
    }
    end = len(waits_s) * STEP_S + DRAIN_S
    return about, Recorded(tasks=tasks, started_at=0.0, finished_at=end)


def test_the_knee_is_the_first_step_that_was_not_kept_up_with() -> None:
    steps = steps_of(*ramp(0.1, 0.5, LIMIT_S + 1, LIMIT_S * 4))

    assert [step.stated_per_s for step in steps] == pytest.approx([10, 20, 30, 40])
    assert [step.offered_per_s for step in steps] == pytest.approx([10, 20, 30, 40])
    assert [step.kept_up for step in steps] == [True, True, False, False]
    knee = knee_of(steps)
    assert knee is not None
    assert knee.offered_per_s == pytest.approx(30)
    assert knee.wait_p95_s == pytest.approx(LIMIT_S + 1)


def test_a_ramp_that_was_kept_up_with_has_no_knee() -> None:
    assert knee_of(steps_of(*ramp(0.1, 0.2, 0.3))) is None


def test_a_step_in_which_nothing_was_started_was_not_kept_up_with() -> None:
    about, run = ramp(0.1, 0.2)
    first = [task for task in run.tasks if task.enqueued_at < STEP_S]

    steps = steps_of(
        about, Recorded(tasks=first, started_at=0.0, finished_at=run.finished_at)
    )

    assert [step.kept_up for step in steps] == [True, False]


def test_a_step_most_of_whose_messages_never_ended_was_not_kept_up_with() -> None:
    about, run = ramp(0.1, 0.2)
    ended = [task for task in run.tasks if task.enqueued_at < STEP_S + 10]
    never = [task.enqueued_at for task in run.tasks[len(ended) :]]
    groups = {**about["groups"], "unended_at": never}

    steps = steps_of(
        {**about, "groups": groups},
        Recorded(tasks=ended, started_at=0.0, finished_at=run.finished_at),
    )

    assert [step.kept_up for step in steps] == [True, False]
    assert steps[1].wait_p95_s > STEP_S / 2


def test_a_step_that_left_some_to_the_sweep_was_not_kept_up_with() -> None:
    about, run = ramp(0.1, 0.2)
    groups = {**about["groups"], "left_at": [run.finished_at - STEP_S / 2 - DRAIN_S]}

    steps = steps_of({**about, "groups": groups}, run)

    assert [step.kept_up for step in steps] == [True, False]


def test_a_step_in_which_nothing_was_offered_is_no_knee() -> None:
    about, run = ramp(0.1, 0.2, LIMIT_S + 1)
    begun = [at >= STEP_S for at in about["groups"]["published_at"]]
    groups = {
        name: [value for value, kept in zip(column, begun, strict=True) if kept]
        for name, column in about["groups"].items()
    }
    later = [task for task in run.tasks if task.enqueued_at >= STEP_S]

    steps = steps_of(
        {**about, "groups": groups},
        Recorded(tasks=later, started_at=0.0, finished_at=run.finished_at),
    )

    knee = knee_of(steps)
    assert steps[0].offered_per_s == 0
    assert knee is not None
    assert knee.offered_per_s == pytest.approx(30)


def test_a_run_at_one_rate_is_no_ramp() -> None:
    assert steps_of(*ramp(0.1)) == []
