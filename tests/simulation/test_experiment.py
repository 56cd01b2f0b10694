from dataclasses import replace

import pytest

from simulation.demands import SYNC, assumed_sync
from simulation.experiment import compare
from worker.policy import POLICY, vary


@pytest.fixture
def calibration(truth):
    return replace(truth, demands={**truth.demands, SYNC: assumed_sync()})


def test_a_policy_does_not_differ_from_itself(calibration):
    rows = compare(calibration, POLICY, POLICY, users=3_000, hours=4, jobs=1)

    assert all(row.difference == 0 and not row.decided for row in rows)


def test_the_same_hours_decide_what_other_hours_would_blur(calibration):
    fewer = vary(POLICY, "pools.bg.children", 2)

    rows = {
        row.measure: row
        for row in compare(calibration, POLICY, fewer, users=30_000, hours=8, jobs=1)
    }

    slower = rows["p95_push_s"]
    assert slower.decided
    assert slower.difference > 0
    # Unpaired, the hours' own spread hides it: that is what pairing takes out.
    assert slower.interval[1] - slower.interval[0] < slower.first
