from dataclasses import asdict, replace

import numpy as np
import pytest

from simulation.calibration import calibrate
from simulation.demands import PUSH
from simulation.prediction import predict
from simulation.scenario import Scenario
from worker.errors import UsageError

STEADY = Scenario(
    name="steady", question="?", users=400, duration_s=120.0, lines=32,
    onset_every_s=6.0, seed=4, groups_per_s=(1.5,), group_least=20, group_most=180,
)  # fmt: skip


@pytest.fixture
def steady(make_run):
    run = make_run("steady", described=STEADY)
    published = [(run.records.started_at + at, size) for at, size in STEADY.groups()]
    groups = {
        "published_at": [at for at, _ in published],
        "notifications": [size for _, size in published],
    }
    about = {**run.about, "groups": groups, "scenario_as_run": asdict(STEADY)}
    return replace(run, about=about)


@pytest.fixture
def calibrated(make_run):
    return calibrate(make_run("base", duration_s=600.0, users=4_000))


def sojourns(recorded):
    return [record.sojourn_s for record in recorded.tasks if record.task == PUSH]


def test_a_replay_gives_back_the_run_that_it_replays(steady, calibrated):
    (again,) = predict(calibrated, steady, level="replay")

    assert len(sojourns(again)) == pytest.approx(len(sojourns(steady.records)), abs=2)
    assert np.mean(sojourns(again)) == pytest.approx(
        np.mean(sojourns(steady.records)), rel=0.03
    )


def test_a_generated_run_has_other_arrivals_at_the_same_rate(steady, calibrated):
    runs = predict(calibrated, steady, level="generative", replications=6)

    counts = [len(sojourns(each)) for each in runs]
    assert len(set(counts)) > 1
    assert np.mean(counts) == pytest.approx(len(sojourns(steady.records)), rel=0.15)


def test_a_run_that_does_not_say_its_scenario_cannot_be_drawn_again(
    make_run, calibrated
):
    with pytest.raises(UsageError, match="does not say of what scenario"):
        predict(calibrated, make_run("plain"), level="generative")


def mean_service_s(recorded):
    times = [r.service_s for r in recorded.tasks if r.task == PUSH and r.service_s > 0]
    return np.mean(times)


def test_a_machine_of_half_the_cores_is_predicted_slower(steady, calibrated):
    samples = [
        replace(sample, value=sample.value / 2) if sample.name == "v_eff" else sample
        for sample in steady.records.samples
    ]
    halved = replace(steady, records=replace(steady.records, samples=samples))

    (whole,) = predict(calibrated, steady, replications=1)
    (half,) = predict(calibrated, halved, replications=1)

    assert mean_service_s(half) > 1.2 * mean_service_s(whole)


def test_an_apple_that_answers_later_than_in_the_calibration_takes_longer(
    steady, calibrated
):
    def served(rtt_ms):
        run = replace(steady, about={**steady.about, "input": {"apns_rtt_ms": rtt_ms}})
        (predicted,) = predict(known, run, replications=1)
        return mean_service_s(predicted)

    known = replace(calibrated, apns_rtt_s=0.1)

    assert served(400.0) == pytest.approx(served(100.0) + 0.3, abs=0.03)
    assert served(60.0) < served(100.0)
