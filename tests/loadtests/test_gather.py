"""A run whose load was not there says so: its figures would be of something else."""

from typing import Any

import pytest

from loadtests.assignment import assign
from loadtests.gather import counted_apart, left_undone, unended_at
from simulation.scenario import Event, Scenario
from worker.records import Outcome, TaskRecord

SCENARIO = Scenario(
    name="steady",
    question="?",
    users=10,
    duration_s=90.0,
    lines=4,
    onset_every_s=10.0,
    groups_per_s=(0.5,),
    extra_events=(
        Event(at_s=50.0, kind="nsw_slow", value=2.0, duration_s=5.0),
        Event(at_s=60.0, kind="publish", value=9.0),
    ),
)
EVENTS = SCENARIO.onsets + 1
GROUPS = len(SCENARIO.groups())


@pytest.mark.parametrize(
    ("events", "groups", "says"),
    [
        (EVENTS, GROUPS, ""),
        (EVENTS - 1, GROUPS, f"{EVENTS - 1} of its {EVENTS} events happened"),
        (EVENTS, GROUPS - 1, f"{GROUPS - 1} of its {GROUPS} groups were published"),
        (EVENTS, 0, f"0 of its {GROUPS} groups were published"),
    ],
)
def test_what_the_load_did_not_do_is_said(events: int, groups: int, says: str) -> None:
    run = assign(SCENARIO, list("abcd"), starts_at=1000.0)
    told: dict[str, Any] = {
        "events_late_s": [0.0] * events,
        "published": {"notifications": [9] * groups},
    }

    assert left_undone(run, told) == says


def test_a_locust_that_told_nothing_did_nothing() -> None:
    run = assign(SCENARIO, list("abcd"), starts_at=1000.0)

    assert left_undone(run, {}) == f"0 of its {EVENTS} events happened"


@pytest.mark.parametrize(
    ("requests", "failures", "says"),
    [
        (607, 472, ""),
        (607, 473, "134 pushes that came and 473 that did not, the recorder 135 and"),
        (608, 472, "136 pushes that came and 472 that did not, the recorder 135 and"),
    ],
)
def test_a_run_whose_witnesses_counted_apart_says_so(
    requests: int, failures: int, says: str
) -> None:
    about = {
        "locust": {"requests": requests, "failures": failures},
        "pushes_arrived": 135,
        "pushes_lost": 472,
    }

    said = counted_apart(about)

    assert says in said
    assert bool(says) == bool(said)


def test_messages_that_never_ended_are_told_of_by_when_they_were_handed_over() -> None:
    ended = TaskRecord(
        task_id="b",
        attempt=0,
        task="apns_worker",
        queue="normal",
        worker="bg",
        enqueued_at=2.0,
        started_at=2.1,
        finished_at=2.5,
        outcome=Outcome.SUCCEEDED,
    )
    publisher = {"message_ids": ["a", "b", "c"], "handed_at": [1.0, 2.0, 3.0]}

    assert unended_at(publisher, [ended]) == [1.0, 3.0]
    assert unended_at({}, [ended]) == []
