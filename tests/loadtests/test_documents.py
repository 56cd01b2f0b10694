"""The table of users: what riders felt, and what it cost to watch."""

from dataclasses import replace

import pytest

from loadtests import canary
from loadtests.documents import USERS, row_of, users
from simulation.runs import load_run


def test_the_canary_costs_what_its_recorded_readings_burnt() -> None:
    share = canary.BURN_S / canary.PERIOD_S * 1000

    told = [float(row["canary ms/s"]) for row in users()]

    # A reading takes its time too, so that a few less are made than one a period.
    assert told == pytest.approx([share] * 4, rel=0.1)


def test_a_run_without_a_canary_does_not_say_that_it_cost_nothing() -> None:
    run = load_run(USERS / "users-1000")
    seen = [sample for sample in run.records.samples if sample.name != "v_eff"]

    row = row_of(replace(run, records=replace(run.records, samples=seen)))

    assert row["canary ms/s"] == "not recorded"
