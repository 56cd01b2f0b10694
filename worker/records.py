"""The three records that say all: an attempt, a push, a gauge.

Live workers, load tests and the simulator leave the same records, so that every
table and figure works on all three. Times are epoch seconds of the real clock.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any

Detail = dict[str, Any]
"""Small numbers and strings that a task says about its attempt, kept as JSON."""


class Outcome(StrEnum):
    """How an attempt ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    RETRIED = "retried"
    SKIPPED = "skipped"  # a guard found that another attempt has done the work
    EXPIRED = "expired"  # the message was too old when it was taken
    TIMED_OUT = "timed_out"  # soft or hard limit
    KILLED = "killed"  # the child died
    LOST = "lost"  # opened, never closed: upkeep closed it


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskRecord:
    """One attempt at one message; its key is (task_id, attempt), attempts from 0."""

    task_id: str
    attempt: int
    task: str
    queue: str
    worker: str
    enqueued_at: float
    started_at: float | None  # None: it never started (expired)
    finished_at: float
    outcome: Outcome
    cpu_s: float = 0.0
    peak_rss_mib: float = 0.0
    detail: Detail = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_finite(self, "enqueued_at", "finished_at", "cpu_s", "peak_rss_mib")
        if self.attempt < 0:
            raise ValueError(f"attempt {self.attempt} of {self.task_id} is negative")

    @property
    def wait_s(self) -> float:
        """Seconds from enqueued to started (to the end, when it never started)."""
        started = self.finished_at if self.started_at is None else self.started_at
        return max(0.0, started - self.enqueued_at)

    @property
    def service_s(self) -> float:
        """Seconds from started to finished; 0 when it never started."""
        if self.started_at is None:
            return 0.0
        return max(0.0, self.finished_at - self.started_at)

    @property
    def sojourn_s(self) -> float:
        """Seconds from enqueued to finished."""
        return max(0.0, self.finished_at - self.enqueued_at)


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """One notification's way: published in the feed, matched, sent, arrived."""

    notification_id: str
    published_at: float
    matched_at: float
    sent_at: float | None
    arrived_at: float | None
    outcome: str
    token: str = ""

    def __post_init__(self) -> None:
        _check_finite(self, "published_at", "matched_at")


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One reading of a gauge: ``name`` of ``label`` was ``value`` at ``at``."""

    at: float
    name: str
    label: str
    value: float

    def __post_init__(self) -> None:
        _check_finite(self, "at", "value")


Record = TaskRecord | Delivery | Sample


def as_row(record: Record) -> dict[str, Any]:
    """The record as a flat mapping, fields in the order of the class."""
    return {name.name: getattr(record, name.name) for name in fields(record)}


def task_record(row: Mapping[str, Any]) -> TaskRecord:
    """A TaskRecord from a mapping of its fields; raises ValueError on a bad one."""
    started = row["started_at"]
    return TaskRecord(
        task_id=str(row["task_id"]),
        attempt=int(row["attempt"]),
        task=str(row["task"]),
        queue=str(row["queue"]),
        worker=str(row["worker"]),
        enqueued_at=float(row["enqueued_at"]),
        started_at=None if started in (None, "") else float(started),
        finished_at=float(row["finished_at"]),
        outcome=Outcome(row["outcome"]),
        cpu_s=float(row["cpu_s"]),
        peak_rss_mib=float(row["peak_rss_mib"]),
        detail=dict(row["detail"] or {}),
    )


def _check_finite(record: Record, *names: str) -> None:
    for name in names:
        value = getattr(record, name)
        if not math.isfinite(value) or value < 0:
            raise ValueError(
                f"{type(record).__name__}.{name} is {value!r}: "
                "wanted a finite number, not negative"
            )
