"""What the model misses its own calibration runs by, and what that does to others."""

from dataclasses import replace

import numpy as np
import pytest

from simulation.calibration import calibrate
from simulation.comparison import widened
from simulation.discrepancy import _wide, discrepancy
from simulation.validation import validate

SENDING = "utilization", "apns_worker"


def at_pace(make_run, truth, name, pace, **how):
    """A run of a world whose senders take so many times as long."""
    mine = truth.demands["apns_worker"]
    slower = replace(
        mine,
        io_s=tuple(pace * io_s for io_s in mine.io_s),
        io_per_unit_s=pace * mine.io_per_unit_s,
    )
    source = replace(truth, demands={**truth.demands, "apns_worker": slower})
    return make_run(name, source=source, users=4_000, **how)


@pytest.fixture
def apart(make_run, truth):
    """Three runs whose senders take 0.8, 1.0 and 1.25 times as long."""
    return [
        at_pace(make_run, truth, f"run-{pace}", pace, seed=seed)
        for seed, pace in enumerate((0.8, 1.0, 1.25), start=1)
    ]


@pytest.fixture
def alike(make_run):
    return [make_run(f"like-{seed}", users=4_000, seed=seed) for seed in (1, 2, 3)]


def test_runs_that_differ_say_by_how_much_another_may(apart, alike):
    far, near = (discrepancy(runs, replications=4) for runs in (apart, alike))

    assert far[SENDING] > 2 * near[SENDING] > 0
    # Each is a quarter or so off the mean of the two others, four times that with t.
    assert 0.4 < far[SENDING] < 1.6


def test_another_run_lies_within_that_of_those_that_are_drawn_like_it():
    rng = np.random.default_rng(1)
    runs = rng.normal(size=(20_000, 3))
    misses = runs - (runs.sum(axis=1, keepdims=True) - runs) / 2
    within = _wide(3) * np.sqrt(np.mean(misses**2, axis=1))

    off = np.abs(rng.normal(size=20_000) - runs.mean(axis=1))

    assert np.mean(off <= within) == pytest.approx(0.95, abs=0.005)


def test_two_runs_leave_nothing_to_predict_from(alike):
    assert discrepancy(alike[:2]) == {}


def test_a_run_of_another_pace_lies_in_the_widened_interval_alone(
    make_run, truth, alike, apart
):
    calibration = calibrate(alike)
    held = at_pace(make_run, truth, "held", 1.4, seed=9)

    def of_senders(**how):
        rows = validate(calibration, held, replications=40, **how)
        return next(row for row in rows if (row.metric, row.of) == SENDING)

    plain = of_senders()
    wide = of_senders(discrepancy=discrepancy(apart, replications=4))

    assert not plain.covered
    assert wide.covered
    assert (wide.predicted, wide.verdict) == (plain.predicted, plain.verdict)
    assert wide.interval[0] <= plain.interval[0] < plain.interval[1] < wide.interval[1]


def test_a_figure_of_nothing_is_widened_by_a_share_of_its_floor(make_run, alike):
    rows = validate(calibrate(alike[0]), alike[1], replications=2)
    late = next(row for row in rows if row.metric == "late_push_fraction")
    none = replace(late, measured=0.0, predicted=0.0, interval=(0.0, 0.0))

    wide = widened(none, {("late_push_fraction", "all"): 0.1})

    assert wide.interval == pytest.approx((0.0, 0.1 * late.floor / late.threshold))
    assert replace(none, measured=0.02).missed == pytest.approx(late.threshold)
