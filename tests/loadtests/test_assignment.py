"""What one run does, and the file that tells the locust process."""

from pathlib import Path

import pytest

from loadtests.assignment import Assignment, assign, often_polled
from loadtests.stages import GRACE_S, lead_s, stage
from simulation.scenario import Event, Scenario
from worker.errors import UsageError
from worker.policy import POLICY

SCENARIO = Scenario(
    name="disruption",
    question="?",
    users=10,
    duration_s=90.0,
    lines=4,
    onset_every_s=10.0,
    extra_events=(Event(at_s=50.0, kind="nsw_slow", value=2.0, duration_s=5.0),),
)


def test_the_file_gives_back_what_was_written(tmp_path: Path) -> None:
    run = assign(SCENARIO, ["a", "b", "c", "d", "e"], starts_at=1000.25)

    run.write(tmp_path / "run.json")

    assert Assignment.read(tmp_path / "run.json") == run


@pytest.mark.parametrize("text", ["", "[]", '{"scenario": {}}'])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "run.json"
    path.write_text(text)

    with pytest.raises(UsageError, match="describes no load run"):
        Assignment.read(path)


def test_every_user_has_a_line_and_the_riders_add_up() -> None:
    run = assign(SCENARIO, ["a", "b", "c", "d"], starts_at=0.0)

    assert [run.route_of(user) for user in range(5)] == ["a", "b", "c", "d", "a"]
    assert sum(run.riders_of(route) for route in run.routes) == SCENARIO.users


def test_a_second_run_takes_other_lines() -> None:
    lines = [str(number) for number in range(8)]

    first = assign(SCENARIO, lines, starts_at=0.0)
    # The order is that of the trips that run now, and changes.
    second = assign(SCENARIO, lines[::-1], starts_at=0.0, avoid=first.routes)

    assert not set(first.routes) & set(second.routes)


def test_too_few_lines_are_refused_with_their_number() -> None:
    with pytest.raises(UsageError, match="needs 4 lines, the feeds hold 3 for it"):
        assign(SCENARIO, ["a", "b", "c", "d"], starts_at=0.0, avoid=["b"])


def test_commuters_wait_before_the_run_and_until_the_grace_is_over() -> None:
    early, late = stage(SCENARIO, -lead_s(SCENARIO)), stage(SCENARIO, 90 + GRACE_S)

    assert early is not None
    assert early.users == SCENARIO.users
    assert late is None


def test_no_line_is_chosen_that_is_seldom_asked_for() -> None:
    feeds = {
        "buses_trips": {"lines": ["bus", "late bus"]},
        "ferries_trips": {"lines": ["ferry"]},
    }
    state = {"lines": ["late bus", "ferry", "bus", "nobody's"], "feeds": feeds}

    assert often_polled(state, POLICY) == ["late bus", "bus"]
