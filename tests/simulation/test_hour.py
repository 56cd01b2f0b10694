"""What holds on the platform: Apple's answer counted once, through every door."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from simulation.assumptions import assumed
from simulation.demands import POLL, PUSH, SYNC, assumed_sync
from simulation.experiment import simulate
from simulation.hour import deployed, hour, platform, storm_hour
from simulation.layout import Layout
from simulation.results import base
from worker.policy import POLICY


def answered_after(truth, rtt_s):
    """The made world as a rig measures it whose Apple takes so long to answer."""
    push = truth.demands[PUSH]
    slower = replace(push, io_s=tuple(io_s + rtt_s for io_s in push.io_s))
    demands = {**truth.demands, PUSH: slower, SYNC: assumed_sync()}
    return replace(truth, demands=demands, apns_rtt_s=rtt_s)


def test_how_far_the_stand_in_was_does_not_matter_on_the_platform(truth):
    near, far = (answered_after(truth, rtt_s) for rtt_s in (0.04, 0.3))

    here, there = deployed(near).demands[PUSH], deployed(far).demands[PUSH]

    assert here.io_s == pytest.approx(there.io_s)
    own_s = float(np.mean(truth.demands[PUSH].io_s))
    assert np.mean(here.io_s) == pytest.approx(own_s + assumed("apns_rtt_s"))
    again = deployed(deployed(far)).demands[PUSH]
    assert again.io_s == pytest.approx(there.io_s)


def test_no_answer_comes_before_it_is_asked_for(truth):
    told = replace(answered_after(truth, 0.0), apns_rtt_s=10.0)

    assert set(deployed(told).demands[PUSH].io_s) == {assumed("apns_rtt_s")}


def test_the_age_of_a_feed_is_seen_just_before_the_next_poll_is_done(truth):
    demands = {**truth.demands, SYNC: assumed_sync()}
    here = replace(truth, demands=demands)
    poll_s = here.demands[POLL].service_s()

    seen = hour(
        storm_hour(1_000, seed=1, replication=0), here, Layout.of(POLICY),
        platform(here), seed=1, replication=0,
    )  # fmt: skip

    period_s = POLICY.tasks[POLL].tick.period_s
    age_s = seen.measures["realtime_age_p99_s"]
    assert period_s + 0.6 * poll_s < age_s < period_s + 3 * poll_s


def test_every_door_answers_from_the_same_calibration():
    how = ("--users", "10000", "--hours", "2", "--json")
    swept, compared = (
        json.loads(
            subprocess.run(
                [sys.executable, "-m", "simulation", *door, *how],
                capture_output=True, text=True, check=True,
            ).stdout
        )
        for door in (("sweep", "--layouts", "ours"), ("compare", "ours", "ours"))
    )  # fmt: skip

    ours = simulate(POLICY, calibration=base(), hours=2, jobs=1)
    plain = simulate(POLICY, hours=2, jobs=1)

    assert plain.on == ours.on
    first = {row["measure"]: row["first"] for row in compared}
    for name in ("p50_push_s", "p95_push_s"):
        figure = pytest.approx(ours.mean(name), abs=1e-5)
        assert swept[0][name] == figure
        assert first[name] == figure
        assert plain.mean(name) == figure
