from dataclasses import replace

import pytest

from simulation.demands import POLL, SYNC, assumed_sync
from simulation.experiment import compare, simulate
from simulation.layouts import LAYOUTS
from worker.errors import UsageError
from worker.policy import POLICY, vary


@pytest.fixture
def calibration(truth):
    return replace(truth, demands={**truth.demands, SYNC: assumed_sync()})


def test_a_policy_does_not_differ_from_itself(calibration):
    same = simulate(POLICY, calibration=calibration, users=3_000, hours=4, jobs=1)

    rows = compare(same, same)

    assert all(row.difference == 0 and not row.decided for row in rows)


def test_the_same_hours_decide_what_other_hours_would_blur(calibration):
    fewer = vary(POLICY, "pools.bg.children", 2)

    both = [
        simulate(policy, calibration=calibration, users=30_000, hours=8, jobs=1)
        for policy in (POLICY, fewer)
    ]
    rows = {row.measure: row for row in compare(*both)}

    slower = rows["p95_push_s"]
    assert slower.decided
    assert slower.difference > 0
    # Unpaired, the hours' own spread hides it: that is what pairing takes out.
    assert slower.interval[1] - slower.interval[0] < slower.first


def test_cores_of_a_service_are_part_of_the_policy(calibration):
    starved = vary(POLICY, "services.bg.vcpu", 0.05)
    starved = vary(starved, "services.rt.vcpu", 0.05)
    how = {"calibration": calibration, "users": 30_000, "hours": 4, "jobs": 1}

    policies = (starved, POLICY, LAYOUTS["A"].of(starved), LAYOUTS["A"].of(POLICY))
    slow, quick, slow_in_a, quick_in_a = (simulate(each, **how) for each in policies)

    for less, more in ((slow, quick), (slow_in_a, quick_in_a)):
        (p95,) = (r for r in compare(less, more) if r.measure == "p95_push_s")
        assert p95.decided
        assert p95.difference < -1.0


def test_other_hours_are_not_paired(calibration):
    few, more = (
        simulate(POLICY, calibration=calibration, users=500, hours=hours, jobs=1)
        for hours in (2, 3)
    )

    with pytest.raises(UsageError, match="cannot be paired"):
        compare(few, more)


def test_a_pool_that_cannot_keep_up_is_refused_with_its_load(calibration):
    slow = replace(calibration.demands[POLL], io_s=(40.0,) * 60)
    busy = replace(calibration, demands={**calibration.demands, POLL: slow})

    with pytest.raises(UsageError, match=r"pool rt cannot keep up.*rho"):
        simulate(POLICY, calibration=busy, hours=2, jobs=1)
