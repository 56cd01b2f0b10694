from dataclasses import replace

import numpy as np
import pytest

from simulation.calibration import calibrate
from simulation.demands import POLL, PUSH
from simulation.validation import validate
from simulation.workload import Happenings
from worker.records import Sample


@pytest.fixture
def calibrated(make_run):
    return calibrate(make_run("base", duration_s=600.0, users=4_000))


def verdicts(rows):
    return {row.metric: row.verdict for row in rows}


def test_a_model_predicts_a_longer_run_with_other_users_and_onsets(
    make_run, calibrated
):
    run = make_run(
        "held", users=9_000, duration_s=700.0, seed=7, role="holdout", onset_every_s=7.0
    )

    # So few polls leave open whether one in thirty is blind, which decides p95.
    sure = replace(calibrated, blind=(0, 1_000))
    rows = validate(sure, run, replications=40)

    found = verdicts(rows)
    assert "outside" not in found.values(), found
    assert found["p50_push_s"] == found["p95_push_s"] == "within"
    assert np.mean([row.covered for row in rows]) >= 0.8


def test_a_wrong_model_is_found_out(make_run, calibrated):
    slow = calibrated.demands[POLL]
    wrong = replace(
        calibrated,
        demands={
            **calibrated.demands,
            POLL: replace(slow, io_s=tuple(io_s + 4.0 for io_s in slow.io_s)),
        },
    )
    run = make_run("held", users=9_000, duration_s=700.0, seed=7, onset_every_s=7.0)

    found = verdicts(validate(wrong, run, replications=20))

    assert found["p50_push_s"] == "outside"
    assert found["utilization"] == "outside"


def test_a_short_run_says_how_long_it_would_have_to_be(make_run, calibrated):
    run = make_run("short", users=9_000, duration_s=75.0, onset_every_s=3.0)

    rows = validate(calibrated, run, replications=10)

    undecided = [row for row in rows if row.verdict == "inconclusive"]
    assert undecided
    assert any("needs" in row.reason for row in undecided)


def test_a_noisy_run_decides_nothing(make_run, calibrated):
    run = make_run("noisy", drift=0.4)

    rows = validate(calibrated, run, replications=3)

    assert set(verdicts(rows).values()) == {"inconclusive"}
    assert "drift" in rows[0].reason


def test_prediction_reads_the_input_of_a_run_and_not_its_outcome(make_run, calibrated):
    run = make_run("held", users=9_000, duration_s=300.0)
    before = validate(calibrated, run, replications=5)

    tampered = replace(
        run,
        records=replace(
            run.records,
            tasks=[
                replace(record, finished_at=record.finished_at + 5.0, cpu_s=4.0)
                for record in run.records.tasks
            ],
        ),
    )
    after = validate(calibrated, tampered, replications=5)

    assert [row.predicted for row in after] == [row.predicted for row in before]


def test_without_an_event_list_onsets_are_read_from_deliveries(make_run):
    run = make_run(users=960, duration_s=120.0)
    listed = Happenings.recorded(run)

    read = Happenings.recorded(replace(run, about={**run.about, "events": None}))

    assert [riders for _, riders in read.onsets] == [r for _, r in listed.onsets]
    assert [at for at, _ in read.onsets] == pytest.approx([a for a, _ in listed.onsets])


def test_pushes_come_from_the_senders_time(make_run, calibrated):
    slow = calibrated.demands[PUSH]
    dear = replace(
        calibrated,
        demands={**calibrated.demands, PUSH: replace(slow, io_per_unit_s=0.05)},
    )
    run = make_run("held", users=9_000, duration_s=400.0)

    plain, slower = (
        {row.metric: row.predicted for row in validate(each, run, replications=5)}
        for each in (calibrated, dear)
    )

    assert slower["p95_push_s"] > plain["p95_push_s"] + 1.0


def test_memory_after_a_sync_comes_from_runs_that_synced(make_run):
    def gauged(name, child_mib, *, sync, **how):
        run = make_run(name, duration_s=180.0, **how)
        sizes = {"bg/parent": 40.0, "bg/child-0": child_mib}
        at = run.records.started_at + 30
        samples = [s for s in run.records.samples if s.name != "memory_mib"]
        samples += [Sample(at=at, name="memory_mib", label=label, value=mib)
                    for label, mib in sizes.items()]  # fmt: skip
        happened = [{"kind": "sync", "at": at, "value": 0.0, "duration_s": 0.0}]
        about = {**run.about, "happened": happened if sync else []}
        records = replace(run.records, samples=samples)
        return replace(run, about=about, records=records)

    both = calibrate(
        [gauged("plain", 60.0, sync=False), gauged("synced", 90.0, sync=True, seed=2)]
    )

    for sync, child_mib in ((False, 60.0), (True, 90.0)):
        held = gauged(f"held-{sync}", child_mib, sync=sync, seed=3)
        (row,) = (
            row
            for row in validate(both, held, replications=2)
            if row.metric == "memory_mib"
        )
        assert row.predicted == 40.0 + 3 * child_mib
