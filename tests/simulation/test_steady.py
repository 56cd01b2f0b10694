from dataclasses import replace

import pytest

from simulation.demands import POLL
from simulation.layout import Layout
from simulation.steady import loads, require_stable
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
