import numpy as np

from simulation.clusters import attempts, pushes
from simulation.frames import delivery_frame, sample_frame, task_frame


def test_frames_hold_what_the_run_holds(make_run):
    run = make_run(users=960, duration_s=120.0)

    tasks, deliveries, samples = task_frame(run), delivery_frame(run), sample_frame(run)

    assert len(tasks) == len(run.records.tasks)
    assert (tasks.wait_s + tasks.service_s - tasks.sojourn_s).abs().max() < 1e-6
    assert set(tasks.task) >= {"gtfs_rt_poller", "alert_matcher", "apns_worker"}
    assert deliveries.push_s.between(0, 40).all()
    assert "v_eff" in set(samples.name)


def test_pushes_of_one_onset_are_one_cluster(make_run):
    run = make_run(users=960, duration_s=120.0)

    found = pushes(run.records)

    assert len(np.unique(found.clusters)) == len(run.about["events"])
    assert len(found.values) == sum(event["riders"] for event in run.about["events"])


def test_attempts_of_one_period_are_one_cluster(make_run):
    run = make_run(users=960, duration_s=120.0)

    found = attempts(run.records, "wait_s", 15.0)

    assert len(np.unique(found.clusters)) <= 9
    assert len(found.values) == len(run.records.tasks)
