import pytest

from simulation.news import arrival_shares
from worker.records import Delivery, Outcome, TaskRecord


def attempt(task, enqueued_at, started_at, finished_at, **detail):
    return TaskRecord(
        task_id=f"{task}-{started_at}", attempt=0, task=task, queue="normal",
        worker="bg/1", enqueued_at=enqueued_at, started_at=started_at,
        finished_at=finished_at, outcome=Outcome.SUCCEEDED, detail=detail,
    )  # fmt: skip


def push(matched_at, arrived_at):
    return Delivery(
        notification_id=str(arrived_at), published_at=1.0, matched_at=matched_at,
        sent_at=arrived_at, arrived_at=arrived_at, outcome="sent",
    )  # fmt: skip


MATCH = attempt("alert_matcher", 10.0, 10.0, 10.1, notifications=130)
OWN = [
    attempt("apns_worker", 10.1, 11.0, 12.0, claimed=100),
    attempt("apns_worker", 10.1, 11.5, 13.5, claimed=30),
]
PUSHES = [push(10.05, 11.2), push(10.05, 11.3), push(10.05, 12.5)]


def test_arrivals_are_shares_of_the_time_of_a_matchs_own_senders():
    assert arrival_shares([MATCH, *OWN], PUSHES) == pytest.approx((0.2, 0.5))


def test_other_senders_at_work_meanwhile_change_nothing():
    others = [
        attempt("apns_worker", 9.0, 10.2, 11.1, claimed=100),
        attempt("apns_worker", 10.12, 10.5, 14.0, claimed=77),
    ]

    found = arrival_shares([MATCH, *OWN, *others], PUSHES)

    assert found == pytest.approx((0.2, 0.5))


def test_a_match_whose_senders_are_not_all_there_says_nothing():
    assert arrival_shares([MATCH, OWN[0]], PUSHES) == (0.0, 1.0)
