import json

import numpy as np
import pytest

from simulation.calibration import calibrate
from simulation.demands import MATCH, POLL, PUSH
from simulation.estimates import per_unit
from simulation.runs import load_run
from worker.errors import UsageError


def test_a_run_of_the_model_gives_back_the_demands_it_was_made_of(make_run, truth):
    run = make_run(duration_s=1200.0, users=20_000, onset_every_s=12.0)

    found = calibrate(run)

    for task in (POLL, PUSH, "upkeep"):
        real, again = truth.demands[task], found.demands[task]
        assert np.mean(again.cpu_s) == pytest.approx(np.mean(real.cpu_s), rel=0.15)
        assert np.mean(again.io_s) == pytest.approx(np.mean(real.io_s), rel=0.25)
    push = found.demands[PUSH]
    assert push.cpu_per_unit_s == pytest.approx(1e-3, rel=0.1)
    assert push.io_per_unit_s == pytest.approx(2e-3, rel=0.1)


def test_overheads_and_arrivals_are_found_again(make_run, truth):
    found = calibrate(make_run(duration_s=1200.0, users=20_000, onset_every_s=12.0))

    assert found.machine.parent_s == pytest.approx(0.004, abs=0.001)
    assert found.machine.v_eff == pytest.approx(1.6)
    assert max(found.beat_lag_s) <= 0.021
    assert found.arrivals == pytest.approx((0.15, 0.95), abs=0.1)


def test_the_cost_of_a_notification_is_told_from_that_of_a_message():
    units = np.array([10.0, 100.0, 100.0, 40.0, 100.0])
    seconds = 0.5 + 0.01 * units
    seconds[2] += 3.0  # one straggler must not tilt the line

    base, slope = per_unit(units, seconds)

    assert slope == pytest.approx(0.01)
    assert np.median(base) == pytest.approx(0.5)


def test_a_drifting_machine_is_refused_with_the_reason(make_run):
    run = make_run(drift=0.3)

    with pytest.raises(UsageError, match="drift by 30%"):
        calibrate(run)

    assert "drift" in calibrate(run, strict=False).complaints[0]


def test_a_run_without_pushes_is_refused(make_run):
    run = make_run()
    tasks = run.folder / "tasks.csv"
    kept = [line for line in tasks.read_text().splitlines() if MATCH not in line]
    tasks.write_text("\n".join(kept) + "\n")

    with pytest.raises(UsageError, match=f"no attempt of {MATCH} succeeded"):
        calibrate(load_run(run.folder))


def test_a_calibration_is_plain_json(make_run):
    text = json.dumps(calibrate(make_run()).as_json(), allow_nan=False)

    assert json.loads(text)["demands"][POLL]["source"] == "measured"
