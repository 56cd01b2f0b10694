import re
from dataclasses import replace

import numpy as np
import pytest

from simulation.demands import POLL, PUSH
from simulation.layout import Layout
from simulation.scenarios import scenario
from simulation.steady import loads, overload, push_load, require_stable, truncation
from worker.errors import UsageError
from worker.policy import POLICY, vary


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


def told(users, name="steady", **changes):
    """The named scenario, with changes."""
    return replace(scenario(name, users=users, duration_s=300.0), **changes)


def test_the_load_of_pushes_is_messages_and_notifications(truth):
    push = truth.demands[PUSH]
    layout = Layout.of(vary(POLICY, "push.batch_size", 100))
    groups = told(1_000, groups_per_s=(2.0,), group_least=150, group_most=150)

    found = push_load(truth, layout, groups, [(0.0, 300)])

    a_group_s = push.service_s(100) + push.service_s(50)
    storm_s = 3 * push.service_s(100)
    assert found == pytest.approx(2.0 * a_group_s + storm_s / 300.0)


def test_pushes_at_one_rate_that_overload_are_refused_by_how_much(truth):
    layout = Layout.of(POLICY)
    children = layout.pools["bg"].children
    settled = told(1_000)
    ticks = loads(truth, layout)["bg"]
    rate_of_one = (children - ticks) / push_load(truth, layout, settled, [])

    assert overload(truth, layout, told(int(990 * rate_of_one)), []) == ""
    with pytest.raises(UsageError, match=r"pool bg cannot .* pushes at .* rho = 2\.0"):
        overload(truth, layout, told(int(2_020 * rate_of_one)), [])


def test_a_ramp_that_passes_the_knee_and_a_storm_are_named_and_not_refused(truth):
    layout = Layout.of(POLICY)

    ramp = overload(truth, layout, told(10**6, "ramp"), [])
    storm = overload(truth, layout, told(10, "disruption"), [(0.0, 10**6)])

    for said in (ramp, storm):
        assert re.search(r"pool bg cannot keep up with the pushes.*rho = \d+", said)
    assert "groups a second" in ramp
    assert overload(truth, layout, told(500, "ramp"), [(0.0, 100)]) == ""


def test_a_start_that_shows_is_left_out_and_nothing_else():
    noise = np.random.default_rng(3).normal(0, 1, 2_000)
    started = noise + np.where(np.arange(2_000) < 300, 10.0, 0.0)

    assert truncation(started) == pytest.approx(300, abs=40)
    assert truncation(noise) < 300


def test_a_course_that_never_settles_loses_its_first_half_and_no_more():
    assert truncation(np.linspace(0, 100, 1_000)) == 500
    assert truncation(np.ones(7)) == 0
