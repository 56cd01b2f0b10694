"""The rows of the matrices make scenarios that differ in what they should."""

import pytest

from loadtests.rows import (
    CALIBRATION,
    FULL,
    HOLDOUT,
    PLAN,
    QUICK,
    REPLACED,
    SMALL,
    Row,
    with_burst,
)
from simulation.scenarios import scenario
from worker.errors import UsageError

SMALL_NETWORK_LINES = 100
"""What the small made-up city surely has in its busiest feeds at eight."""


@pytest.mark.parametrize("rows", [PLAN, QUICK, SMALL], ids=["plan", "quick", "small"])
def test_a_plan_has_one_calibration_and_hold_outs_of_other_size_and_burst(
    rows: tuple[Row, ...],
) -> None:
    calibration, *holdouts = rows

    assert calibration.role == CALIBRATION
    assert holdouts
    for row in holdouts:
        assert row.role == HOLDOUT
        assert row.users != calibration.users
        assert row.onset_every_s != calibration.onset_every_s
        assert row.burst != calibration.burst
        assert row.seed != calibration.seed
    assert sum(row.lines for row in rows) <= SMALL_NETWORK_LINES


@pytest.mark.parametrize(
    "row", [*PLAN, *QUICK, *SMALL, *FULL], ids=lambda row: row.name
)
def test_the_last_onset_leaves_time_for_its_pushes(row: Row) -> None:
    made = row.scenario()
    last_s = max(event.at_s for event in made.events() if event.kind == "delay")

    assert last_s + made.poll_period_s + 3 <= made.duration_s


def test_a_burst_takes_lines_that_no_onset_has() -> None:
    row = PLAN[1]
    made = row.scenario()
    lines = [event.line for event in made.events()]

    assert len(made.extra_events) == row.burst
    assert len(set(lines)) == len(lines)
    assert len({event.at_s for event in made.extra_events}) == 1


def test_a_burst_without_lines_is_refused() -> None:
    plain = scenario("disruption", users=100, duration_s=70.0, lines=5)

    with pytest.raises(UsageError, match="unused ones"):
        with_burst(plain, 4)


def test_the_full_matrix_differs_in_each_way_that_the_model_must_cope_with() -> None:
    calibrations = [row for row in FULL if row.role == CALIBRATION]
    holdouts = [row for row in FULL if row.role == HOLDOUT]
    rates = {row.groups_per_s for row in calibrations}

    assert len(calibrations) >= 2
    assert len(holdouts) >= 6
    assert len({row.seed for row in FULL}) == len(FULL)
    kinds = [{event.kind for event in row.extra_events} for row in holdouts]
    settings = [" ".join(row.settings) for row in holdouts]
    assert any(row.groups_per_s > 1.3 * max(rates) for row in holdouts)
    assert not any(row.groups_per_s in rates for row in holdouts)
    assert {"publish"} in kinds  # bursts
    assert any("children" in words for words in settings)
    assert any("batch_size" in words for words in settings)
    assert any(REPLACED in words for words in settings)
    assert {"sync"} in kinds
    assert {"apns_slow", "nsw_slow"} in kinds
    assert len({row.apns_rtt_ms for row in FULL}) == 1


def test_what_hold_outs_meet_the_calibrations_have_met_elsewhere_in_time() -> None:
    calibrations = [row for row in FULL if row.role == CALIBRATION]
    kinds = {event.kind for row in calibrations for event in row.extra_events}

    # Syncs of a database that has a timetable; a slow outside is the scenario's own.
    assert kinds == {"sync"}
    assert FULL[0].role == FULL[-1].role == CALIBRATION
    assert {row.settings for row in calibrations} == {(), (REPLACED,)}


def test_the_full_matrix_fits_into_thirty_six_minutes() -> None:
    world_s = 15.0  # servers, stand-ins, migrations, a timetable; seen: 6 to 10 s
    crew_s = 21.0  # workers, riders, rows, locust's start and end; seen: 13 to 16 s
    worlds, crews = len({row.apns_rtt_ms for row in FULL}), len({r.crew for r in FULL})
    recorded_s = sum(row.duration_s for row in FULL)

    assert recorded_s + worlds * world_s + crews * crew_s < 36 * 60
