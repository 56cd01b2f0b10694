"""Whether the machine stayed the same during a run, told by few and noisy readings."""

from math import ceil
from pathlib import Path

import numpy as np
import pytest

from loadtests.canary import PERIOD_S
from simulation.noise import DRIFT, drift_judged, drift_of
from simulation.runs import Run
from worker.measures import Recorded
from worker.records import Sample

BEGAN_AT = 1_800_000_000.0
SPREAD = 0.10
"""Standard deviation of one reading."""


def run_of(readings: np.ndarray, duration_s: float, period_s: float = PERIOD_S) -> Run:
    samples = [
        Sample(at=BEGAN_AT + number * period_s, name="v_eff", label="", value=value)
        for number, value in enumerate(readings.tolist())
    ]
    records = Recorded(
        samples=samples, started_at=BEGAN_AT, finished_at=BEGAN_AT + duration_s
    )
    return Run(folder=Path("made"), about={}, records=records)


def quiet(duration_s: float, seed: int) -> np.ndarray:
    draws = np.random.default_rng(seed).normal(size=ceil(duration_s / PERIOD_S))
    return 1.6 * (1 + SPREAD * draws)


@pytest.mark.parametrize("duration_s", [65.0, 190.0, 600.0])
def test_a_quiet_run_is_not_said_to_drift_because_its_readings_are_few(
    duration_s: float,
) -> None:
    drifts = [drift_of(run_of(quiet(duration_s, n), duration_s)) for n in range(200)]

    assert max(drifts) < DRIFT


@pytest.mark.parametrize(("duration_s", "parts"), [(65.0, 2), (190.0, 3)])
def test_a_last_part_with_a_third_of_the_cores_gone_is_seen(
    duration_s: float, parts: int
) -> None:
    readings = quiet(duration_s, 1)
    readings[-(len(readings) // parts) :] *= 2 / 3

    assert drift_of(run_of(readings, duration_s)) > DRIFT


def test_parts_of_few_readings_tell_nothing() -> None:
    wild = np.sort(np.array([0.4, 1.9] * 3))

    for run in (
        run_of(wild, 36.0),  # three in each half
        run_of(wild, 65.0),  # all in the first half
        run_of(np.array([]), 65.0),
    ):
        assert drift_of(run) == 0.0
        assert not drift_judged(run)
    assert drift_judged(run_of(quiet(65.0, 1), 65.0))


def test_a_run_with_ten_readings_where_others_have_one_is_judged_alike() -> None:
    run = run_of(np.repeat([1.8, 1.2], 80), 65.0, period_s=0.4)

    assert drift_of(run) == pytest.approx(0.2, abs=0.01)
