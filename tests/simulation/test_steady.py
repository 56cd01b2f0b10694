from dataclasses import replace

import numpy as np
import pytest

from simulation.demands import POLL
from simulation.layout import Layout
from simulation.steady import loads, require_stable, truncation
from worker.errors import UsageError
from worker.policy import POLICY


def test_a_pools_load_is_service_over_period(truth):
    found = loads(truth, Layout.of(POLICY))

    assert found["rt"] == pytest.approx(truth.demands[POLL].service_s() / 15)


def test_a_pool_that_cannot_keep_up_is_refused_by_how_much(truth):
    slow = replace(truth.demands[POLL], io_s=(30.0,), cpu_s=(0.0,), rss_mib=(1.0,))
    overloaded = replace(truth, demands={**truth.demands, POLL: slow})

    with pytest.raises(UsageError, match=r"pool rt cannot .* rho = 2.000 >= 1"):
        require_stable(overloaded, Layout.of(POLICY))


def test_the_deployed_policy_keeps_up(truth):
    require_stable(truth, Layout.of(POLICY))


def test_a_start_that_shows_is_left_out_and_nothing_else():
    noise = np.random.default_rng(3).normal(0, 1, 2_000)
    started = noise + np.where(np.arange(2_000) < 300, 10.0, 0.0)

    assert truncation(started) == pytest.approx(300, abs=40)
    assert truncation(noise) < 300


def test_a_course_that_never_settles_loses_its_first_half_and_no_more():
    assert truncation(np.linspace(0, 100, 1_000)) == 500
    assert truncation(np.ones(7)) == 0
