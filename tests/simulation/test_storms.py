"""Storm hours in the kernel: stages add up, causes matter, each is seen."""

from dataclasses import replace

import numpy as np
import pytest

from simulation.demands import SYNC, assumed_sync
from simulation.outages import breaker_asks, outage, retrying
from simulation.recycling import recycled
from simulation.storms import (
    CAUSES,
    STAGES,
    anatomy,
    causes,
    sensitivity,
    storms,
    waiting,
)
from worker.policy import POLICY, vary


@pytest.fixture
def calibration(truth):
    return replace(truth, demands={**truth.demands, SYNC: assumed_sync()})


def test_the_stages_of_a_push_add_up_to_its_time(calibration):
    told = storms(calibration, 20_000, hours=3)

    assert told.stages.shape[1] == len(STAGES)
    assert told.stages.min() >= 0
    assert told.stages.sum(axis=1) == pytest.approx(told.took_s)
    until_the_poll = told.stages[:, 0]
    assert until_the_poll.max() < 16
    assert "until matched" in STAGES  # the wait behind pushes, not the work alone
    assert {row["stage"] for row in waiting(calibration, 5_000, hours=1)} == {*STAGES}


def test_without_a_throttling_apns_fewer_pushes_are_late(calibration):
    rows = {r["without"]: r for r in causes(calibration, 20_000, hours=12)}

    assert set(rows) == {"(as it is)", *CAUSES}
    assert rows["APNs throttling"]["late"] < rows["(as it is)"]["late"]
    assert rows["handing over"]["p95_s"] <= rows["(as it is)"]["p95_s"] + 1e-9


def test_the_widest_swing_comes_first(calibration):
    rows = sensitivity(calibration, 20_000, hours=6)

    swings = [abs(row["late_at_high"] - row["late_at_low"]) for row in rows]
    assert swings == sorted(swings, reverse=True)
    assert swings[0] > 0
    assert len({row["late"] for row in rows}) == 1


def test_a_storm_is_seen_from_its_first_second(calibration):
    storm = anatomy(calibration, 200_000, replication=5)

    assert storm.depth[0] < storm.depth.max()
    assert storm.age_s.max() > 5
    assert "oldest_age fires" in storm.marks
    assert storm.marks["earliest capacity"] == pytest.approx(
        30 + min(at for name, at in storm.marks.items() if name.endswith("fires"))
    )


def test_retries_ask_more_and_see_no_sooner(calibration):
    without = vary(POLICY, "realtime.breaker_failures", 1_000_000)

    plain, eager, deployed = (
        outage(calibration, policy, away_s=300.0)
        for policy in (without, retrying(without, 3, 600), POLICY)
    )

    assert plain.attempts == pytest.approx(300 / 15, abs=1)
    assert eager.attempts > 2 * plain.attempts
    # The breaker counts each of them, and opens for longer.
    assert eager.blind_s >= plain.blind_s - 20
    assert plain.blind_s > 250
    # The breaker spares NSW, and its pause outlasts the outage.
    longest_s = POLICY.realtime.breaker_open_max_s + 30
    assert plain.back_s < deployed.back_s < longest_s


def test_the_breaker_asks_ever_more_seldom_up_to_its_cap():
    asked = breaker_asks(POLICY, 3_600.0)

    apart = np.diff(asked)
    tick_s = POLICY.tasks["gtfs_rt_poller"].tick.period_s
    closed = POLICY.realtime.breaker_failures - 1
    assert (apart[:closed] == tick_s).all()
    assert (np.diff(apart[closed:]) >= 0).all()
    assert apart.max() == POLICY.realtime.breaker_open_max_s


def test_recycling_twice_as_often_replaces_twice_as_often(calibration):
    path = "pools.bg.max_tasks_per_child"
    often, seldom = (
        recycled(calibration, vary(POLICY, path, n), users=1_000) for n in (50, 100)
    )

    assert often["replacements"] == pytest.approx(2 * seldom["replacements"], rel=0.1)
    assert often["away_share"] < 0.01
