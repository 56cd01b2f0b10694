import json
from dataclasses import replace

import numpy as np
import pytest

from simulation.calibration import calibrate
from simulation.demands import MATCH, POLL, PUSH, SYNC
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


def test_a_process_first_attempt_is_told_from_the_others(make_run, truth):
    dear = replace(truth.demands[PUSH], cold_s=0.8)
    cold = replace(truth, demands={**truth.demands, PUSH: dear})
    run = make_run(duration_s=900.0, users=20_000, onset_every_s=12.0, source=cold)

    push = calibrate(run).demands[PUSH]

    assert push.cold_s == pytest.approx(0.8, abs=0.15)
    assert np.mean(push.io_s) == pytest.approx(np.mean(dear.io_s), rel=0.3)


def test_several_runs_are_read_together(make_run):
    runs = [make_run(name, seed=seed) for seed, name in ((1, "one"), (2, "two"))]
    alone = calibrate(runs[0])

    both = calibrate(runs)

    assert both.run == "one + two"
    assert len(both.demands[POLL].io_s) == 2 * len(alone.demands[POLL].io_s)


def test_a_few_long_attempts_do_not_tilt_what_the_others_took(make_run, truth):
    rare = truth.demands[POLL]
    polls = replace(rare, io_s=(0.01,) * 3 + (1.0,) * 57, cpu_s=(0.05,) * 60)
    odd = replace(truth, demands={**truth.demands, POLL: polls})

    found = calibrate(make_run(duration_s=600.0, source=odd)).demands[POLL]

    assert np.quantile(found.io_s, 0.9) == pytest.approx(1.0, abs=0.02)


def test_syncs_in_the_runs_are_believed_and_not_the_first_one_of_their_database(
    make_run,
):
    run = make_run()
    first = {
        "task_id": "first", "attempt": 0, "task": SYNC, "queue": "batch",
        "worker": "bg@here/1", "enqueued_at": 0.0, "started_at": 0.0,
        "finished_at": 9.0, "outcome": "succeeded", "cpu_s": 4.0,
        "peak_rss_mib": 100.0, "detail": {},
    }  # fmt: skip
    run = replace(run, about={**run.about, "sync": first})
    later = [
        replace(record, task_id=f"later-{n}", task=SYNC, queue="batch")
        for n, record in enumerate(run.records.tasks)
        if record.task == POLL
    ][:4]
    with_syncs = replace(
        run, records=replace(run.records, tasks=[*run.records.tasks, *later])
    )

    assert len(calibrate(run).demands[SYNC].io_s) == 1
    assert calibrate(run).demands[SYNC].service_s() == pytest.approx(9.0)
    assert len(calibrate(with_syncs).demands[SYNC].io_s) == len(later)
    assert calibrate(with_syncs).demands[SYNC].service_s() < 3.0


def test_one_noisy_run_of_several_is_named(make_run):
    runs = [make_run("calm"), make_run("wild", drift=0.3)]

    with pytest.raises(UsageError, match="wild: its effective cores drift"):
        calibrate(runs)


def test_a_slower_stretch_widens_what_another_run_may_be(make_run, truth):
    calm = make_run("calm", duration_s=600.0, users=80_000, onset_every_s=12.0)
    until = calm.records.started_at + 300.0
    slow = replace(
        calm.records,
        tasks=[
            record
            if record.enqueued_at < until
            else replace(record, finished_at=record.finished_at + 0.3)
            for record in calm.records.tasks
        ],
    )

    found = calibrate(replace(calm, records=slow)).pace

    assert max(found) / min(found) > 1.2 > max(calibrate(calm).pace)
