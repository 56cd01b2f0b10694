from dataclasses import replace

import numpy as np
import pytest

from simulation.demands import SYNC, assumed_sync
from simulation.experiment import compare, until_precise, warm_up
from worker.errors import UsageError
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


def test_replications_stop_once_precise_and_not_by_luck():
    rng = np.random.default_rng(4)
    draws = rng.normal(10.0, 2.0, 5_000)

    found = until_precise(lambda k: draws[k], relative=0.02)

    assert found.precise
    assert found.half_width <= 0.02 * found.mean
    assert abs(found.mean - 10.0) < 2 * found.half_width
    assert 200 < found.replications < 700


def test_what_never_becomes_precise_says_so():
    draws = np.random.default_rng(4).standard_cauchy(50)

    found = until_precise(lambda k: draws[k], relative=0.01, most=50)

    assert (found.precise, found.replications) == (False, 50)


def test_a_warm_up_is_found_where_it_ends():
    rng = np.random.default_rng(2)
    values = np.concatenate([np.linspace(30, 0, 100), np.zeros(900)])

    cut = warm_up(values + rng.normal(0, 1.0, 1_000))

    assert 60 <= cut <= 130


def test_a_run_that_has_not_settled_is_refused():
    with pytest.raises(UsageError, match="has not settled"):
        warm_up(np.linspace(0, 100, 400) ** 2)
