"""Three records say all, and refuse what cannot be true."""

import math

import pytest

from worker.records import Delivery, Outcome, Sample, TaskRecord, as_row, task_record


def record(**changes: object) -> TaskRecord:
    row = {
        "task_id": "a", "attempt": 0, "task": "upkeep", "queue": "normal",
        "worker": "bg", "enqueued_at": 10.0, "started_at": 12.0, "finished_at": 15.0,
        "outcome": "succeeded", "cpu_s": 0.5, "peak_rss_mib": 40.0, "detail": {"n": 1},
    } | changes  # fmt: skip
    return task_record(row)


def test_wait_service_and_sojourn_add_up() -> None:
    attempt = record()

    assert (attempt.wait_s, attempt.service_s, attempt.sojourn_s) == (2.0, 3.0, 5.0)


def test_an_expired_message_waited_and_was_never_served() -> None:
    attempt = record(started_at=None, outcome="expired")

    assert (attempt.wait_s, attempt.service_s) == (5.0, 0.0)
    assert attempt.outcome is Outcome.EXPIRED


def test_a_record_survives_its_row() -> None:
    assert task_record(as_row(record())) == record()


@pytest.mark.parametrize(
    "change",
    [{"finished_at": math.nan}, {"enqueued_at": -1.0}, {"cpu_s": math.inf},
     {"attempt": -1}, {"outcome": "fine"}],
)  # fmt: skip
def test_what_cannot_be_true_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        record(**change)


def test_a_gauge_and_a_push_are_finite() -> None:
    with pytest.raises(ValueError, match=r"Sample\.value"):
        Sample(at=1.0, name="depth", label="normal", value=math.nan)
    with pytest.raises(ValueError, match=r"Delivery\.published_at"):
        Delivery(
            notification_id="1", published_at=math.nan, matched_at=1.0,
            sent_at=None, arrived_at=None, outcome="sent",
        )  # fmt: skip
