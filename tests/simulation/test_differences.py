from dataclasses import replace

import pytest

from simulation.differences import compare_runs
from worker.errors import UsageError


def of(rows):
    return {row.measure: row for row in rows}


def later(run, seconds):
    """The same run, each attempt ended so much later."""
    return replace(
        run,
        folder=run.folder.with_name("later"),
        records=replace(
            run.records,
            tasks=[
                replace(record, finished_at=record.finished_at + seconds)
                for record in run.records.tasks
            ],
        ),
    )


def test_a_run_does_not_differ_from_itself(make_run):
    run = make_run()

    rows = compare_runs(run, run)

    assert all(row.difference == 0 and not row.decided for row in rows)


def test_a_difference_comes_with_its_interval_and_is_decided_by_it(make_run):
    run = make_run(duration_s=600.0)

    rows = of(compare_runs(run, later(run, 2.0)))

    slower = rows["mean_sojourn_s"]
    assert slower.difference == pytest.approx(2.0)
    assert slower.interval[0] < 2.0 < slower.interval[1]
    assert slower.decided
    assert not rows["throughput_per_s"].decided
    assert rows["apns_worker.mean_sojourn_s"].difference == pytest.approx(2.0)


def test_noisy_runs_are_refused_with_the_reason_unless_they_are_wanted(make_run):
    noisy = replace(make_run("noisy", drift=0.3), about={"source": "worker"})
    calm = make_run("calm")

    with pytest.raises(UsageError, match="noisy: its effective cores drift"):
        compare_runs(calm, noisy)

    assert compare_runs(calm, noisy, strict=False)
