"""The table of users: what riders felt, and what it cost to watch."""

from dataclasses import replace

import pytest

from loadtests import canary
from loadtests.documents import USERS, row_of
from simulation.runs import load_run
from worker.records import Sample


def test_the_canary_costs_what_its_recorded_readings_burnt() -> None:
    run = load_run(USERS / "users-1000")
    canaries = [s for s in run.records.samples if s.name == "v_eff"]
    others = [s for s in run.records.samples if s.name != "v_eff"]

    def told_ms(readings: list[Sample]) -> float:
        seen = replace(run.records, samples=[*others, *readings])
        return float(row_of(replace(run, records=seen))["canary ms/s"])

    for readings in (canaries, canaries[::10]):
        burnt_ms = len(readings) * canary.BURN_S / run.records.duration_s * 1000
        assert told_ms(readings) == pytest.approx(burnt_ms, abs=0.05)


def test_what_watches_is_told_of_with_the_canary_where_the_run_tells_of_it() -> None:
    run = load_run(USERS / "users-1000")
    costs = {"recorder_cpu_s": 0.1, "workers_cpu_s": 10.0}
    alone = replace(run, about={**run.about, **costs})
    alone.about.pop("canary_cpu_s", None)
    both = replace(run, about={**alone.about, "canary_cpu_s": 0.2})

    assert row_of(alone)["of the workers"] == "1.0%"
    assert row_of(both)["of the workers"] == "3.0%"


def test_a_run_without_a_canary_does_not_say_that_it_cost_nothing() -> None:
    run = load_run(USERS / "users-1000")
    seen = [sample for sample in run.records.samples if sample.name != "v_eff"]

    row = row_of(replace(run, records=replace(run.records, samples=seen)))

    assert row["canary ms/s"] == "not recorded"
