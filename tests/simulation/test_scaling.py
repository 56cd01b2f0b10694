from dataclasses import replace

import pytest

from simulation.demands import PUSH, SYNC, assumed_sync
from simulation.layout import Layout
from simulation.scaling import drain_s, first_firing, tried, users_at
from simulation.sweep import deployed, hour, platform, storm_hour, sweep
from simulation.tables import Machine
from worker.policy import POLICY, vary
from worker.policy.alarms import Alarm
from worker.records import Sample


@pytest.fixture
def calibration(truth):
    return replace(truth, demands={**truth.demands, SYNC: assumed_sync()})


def rule(**changes):
    row = Alarm(
        name="rule", sample="depth", label="normal", threshold=10, sustain_s=60,
        kind="scaling", action="Add a child.", reason="A test's rule.",
    )  # fmt: skip
    return replace(row, **changes)


def readings(*values, every_s=15.0):
    return [
        Sample(at=1_000 + k * every_s, name="depth", label="normal", value=value)
        for k, value in enumerate(values)
    ]


def test_a_rule_fires_once_it_has_been_too_much_for_long_enough():
    assert first_firing(rule(), readings(0, *[20] * 10)) == 1_000 + 15 + 60


def test_a_rule_does_not_fire_for_a_burst_that_is_over_in_time():
    assert first_firing(rule(), readings(0, 20, 20, 5, 20, 20, 5)) is None


def test_after_a_change_a_rule_is_asked_again_only_later():
    high = readings(*[20] * 20)

    assert first_firing(rule(), high, after=1_200) == 1_210


def test_a_storm_drains_at_the_speed_of_children_or_of_cores(truth):
    layout = Layout.of(POLICY)
    wide = Layout.of(vary(POLICY, "pools.bg.children", 6))

    assert drain_s(truth, wide, 100.0, 10_000) == pytest.approx(
        drain_s(truth, layout, 100.0, 10_000) / 2
    )
    # 10,000 pushes of 1 ms, and what each batch costs besides, on half a core.
    assert drain_s(truth, wide, 0.5, 10_000) > 20.0


def test_the_capacity_rule_binds_where_its_own_drain_says(truth):
    layout = Layout.of(POLICY)

    most = users_at(truth, layout, 2.0, 5.0, 0.3)

    match = truth.demands["alert_matcher"]
    took = match.service_s(most * 0.3) + drain_s(truth, layout, 2.0, most * 0.3)
    assert took == pytest.approx(5.0, abs=0.1)


def test_children_that_a_rule_adds_make_a_long_storm_shorter(calibration):
    """In the loop: the rule fires, a child comes a minute later, pushes are sooner."""
    layout, machine = Layout.of(POLICY), Machine(v_eff=8.0, parent_s=0.004)
    slow = replace(calibration.demands[PUSH], io_per_unit_s=0.02)
    calibration = replace(calibration, demands={**calibration.demands, PUSH: slow})

    seen = tried(
        [rule(threshold=5, sustain_s=0), rule(name="never", threshold=10**9)],
        calibration, layout, machine,
        storm_hour(100_000, seed=1, replication=0), seed=1, replication=0,
    )  # fmt: skip

    assert set(seen.with_rule) == {"rule"}
    assert seen.measured("rule", "p99_push_s") < seen.plain["p99_push_s"]
    assert seen.measured("never", "p99_push_s") == seen.plain["p99_push_s"]
    # Too late for most riders all the same: what a reaction cannot mend.
    assert seen.measured("rule", "late_push_fraction") > 0.9 * seen.late
    assert seen.added_child_hours["rule"] > 0


def test_an_hour_is_the_same_for_every_layout_but_for_the_layout(calibration):
    happenings = [storm_hour(5_000, seed=1, replication=2) for _ in range(2)]

    assert happenings[0] == happenings[1]
    more = storm_hour(10_000, seed=1, replication=2)
    assert [at for at, _ in more.onsets] == [at for at, _ in happenings[0].onsets]


def test_more_riders_are_never_told_sooner(calibration):
    rows = sweep(calibration, [1_000, 60_000], layouts=["ours"], hours=3, jobs=1)

    few, many = rows
    assert many.measures["p95_push_s"] > few.measures["p95_push_s"]
    assert many.measures["late_push_fraction"] > few.measures["late_push_fraction"]
    assert few.intervals["p95_push_s"][0] <= few.measures["p95_push_s"]


def test_what_was_not_sent_by_the_end_counts_as_late(calibration):
    here, layout = deployed(calibration), Layout.of(POLICY)
    stuck = replace(here.demands[PUSH], failure=1.0)
    broken = replace(here, demands={**here.demands, PUSH: stuck})

    seen = hour(
        storm_hour(5_000, seed=1, replication=0), broken, layout, platform(broken),
        seed=1, replication=0,
    )  # fmt: skip

    assert seen.measures["late_push_fraction"] == 1.0
