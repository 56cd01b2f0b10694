import numpy as np
import pytest

from simulation.gauges import depth, feed_age_s, oldest_age_s
from worker.records import Outcome, TaskRecord


def record(enqueued, started, finished, task="job", outcome=Outcome.SUCCEEDED):
    return TaskRecord(
        task_id=f"{task}-{enqueued}", attempt=0, task=task, queue="q", worker="w",
        enqueued_at=enqueued, started_at=started, finished_at=finished, outcome=outcome,
    )  # fmt: skip


WAITS = [record(0.0, 4.0, 5.0), record(1.0, None, 3.0, outcome=Outcome.EXPIRED)]


def test_depth_counts_what_waits():
    at = np.array([0.5, 2.0, 3.5, 4.5])

    assert depth(WAITS, at).tolist() == [1, 2, 1, 0]


def test_oldest_age_is_that_of_the_longest_waiting():
    at = np.array([0.5, 2.0, 4.5])

    assert oldest_age_s(WAITS, at).tolist() == [0.5, 2.0, 0.0]


def test_the_feed_ages_until_a_poll_has_succeeded():
    polls = [
        record(0.0, 0.0, 1.0, task="poll"),
        record(15.0, 15.0, 16.0, task="poll", outcome=Outcome.FAILED),
        record(30.0, 30.0, 31.0, task="poll"),
    ]

    ages = feed_age_s(polls, "poll", np.array([0.5, 1.0, 20.0, 31.0]))

    assert np.isnan(ages[0])
    assert ages[1:].tolist() == pytest.approx([1.0, 20.0, 1.0])


def test_a_feed_that_was_never_polled_has_no_age():
    assert np.isnan(feed_age_s([], "poll", np.array([1.0]))).all()
