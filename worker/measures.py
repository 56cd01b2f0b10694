"""The words of every check, table, alarm and figure: what a run is measured by.

A measure reads records and nothing else, so that it means the same on live workers,
load runs and the model. Standard library only. An empty selection gives NaN: nothing
measured is not zero.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from worker.policy.objectives import LATE_PUSH_S
from worker.records import Delivery, Outcome, Sample, TaskRecord


@dataclass(frozen=True, kw_only=True, slots=True)
class Recorded:
    """What a run left: its records and its window, epoch seconds."""

    tasks: Sequence[TaskRecord] = field(default_factory=tuple)
    deliveries: Sequence[Delivery] = field(default_factory=tuple)
    samples: Sequence[Sample] = field(default_factory=tuple)
    started_at: float = 0.0
    finished_at: float = 0.0

    @property
    def duration_s(self) -> float:
        """Length of the window in seconds."""
        return self.finished_at - self.started_at

    def of_task(self, task: str) -> "Recorded":
        """The same run, seen through one task's records."""
        return Recorded(
            tasks=[record for record in self.tasks if record.task == task],
            deliveries=self.deliveries,
            samples=self.samples,
            started_at=self.started_at,
            finished_at=self.finished_at,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Measure:
    """A named figure: its unit, the record it reads, and how."""

    name: str
    unit: str
    source: Literal["tasks", "deliveries", "samples"]
    function: Callable[[Recorded], float]
    means: str


def quantile(values: Iterable[float], share: float) -> float:
    """The ``share`` quantile, linear between order statistics; NaN when empty."""
    ordered = sorted(values)
    if not ordered:
        return math.nan
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def mean(values: Iterable[float]) -> float:
    """The arithmetic mean; NaN when empty."""
    every = list(values)
    return math.fsum(every) / len(every) if every else math.nan


def push_seconds(run: Recorded) -> list[float]:
    """Published to arrived, for each first arrival of a notification."""
    first: dict[str, float] = {}
    for push in run.deliveries:
        if push.arrived_at is not None:
            took = push.arrived_at - push.published_at
            first[push.notification_id] = min(
                took, first.get(push.notification_id, math.inf)
            )
    return list(first.values())


def _late_push_fraction(run: Recorded) -> float:
    """Late or lost, among all that should have arrived."""
    took = push_seconds(run)
    due = len(took) + _lost(run)
    late = sum(seconds > LATE_PUSH_S for seconds in took) + _lost(run)
    return late / due if due else math.nan


def _lost(run: Recorded) -> float:
    """Notifications that no push reached, expired ones included."""
    reached = {p.notification_id for p in run.deliveries if p.arrived_at is not None}
    return float(len({p.notification_id for p in run.deliveries} - reached))


def _duplicated(run: Recorded) -> float:
    """Arrivals beyond the first of a notification."""
    arrived = [p.notification_id for p in run.deliveries if p.arrived_at is not None]
    return float(len(arrived) - len(set(arrived)))


def _of_samples(name: str, share: float) -> Callable[[Recorded], float]:
    return lambda run: quantile(
        (sample.value for sample in run.samples if sample.name == name), share
    )


def _peak_memory(run: Recorded) -> float:
    """The highest sum over processes of one instant's memory readings."""
    at_once: dict[float, float] = {}
    for sample in run.samples:
        if sample.name == "memory_mib":
            at_once[sample.at] = at_once.get(sample.at, 0.0) + sample.value
    return max(at_once.values(), default=math.nan)


def _success_rate(run: Recorded) -> float:
    """Succeeded among attempts that were meant to work: skipped ones and retries,
    whose end another attempt tells, do not count."""
    judged = [
        record.outcome
        for record in run.tasks
        if record.outcome not in (Outcome.SKIPPED, Outcome.RETRIED)
    ]
    return mean(outcome is Outcome.SUCCEEDED for outcome in judged)


def _started(run: Recorded) -> list[TaskRecord]:
    return [record for record in run.tasks if record.started_at is not None]


def _throughput(run: Recorded) -> float:
    return len(_started(run)) / run.duration_s if run.duration_s > 0 else math.nan


def _utilization(run: Recorded) -> float:
    """Busy child-seconds among the child-seconds that the pools had."""
    children = sum(
        {s.label: s.value for s in run.samples if s.name == "children"}.values()
    )
    if not children or run.duration_s <= 0:
        return math.nan
    busy = math.fsum(record.service_s for record in run.tasks)
    return busy / (children * run.duration_s)


def _mean_queue(run: Recorded) -> float:
    """By Little's law: the waiting of all messages, spread over the window."""
    if run.duration_s <= 0:
        return math.nan
    return math.fsum(record.wait_s for record in run.tasks) / run.duration_s


def _sojourn(share: float | None) -> Callable[[Recorded], float]:
    def figure(run: Recorded) -> float:
        times = [record.sojourn_s for record in _started(run)]
        return mean(times) if share is None else quantile(times, share)

    return figure


def _measure(
    name: str,
    unit: str,
    source: Literal["tasks", "deliveries", "samples"],
    function: Callable[[Recorded], float],
    means: str,
) -> Measure:
    return Measure(name=name, unit=unit, source=source, function=function, means=means)


MEASURES: dict[str, Measure] = {
    measure.name: measure
    for measure in (
        _measure("late_push_fraction", "share", "deliveries", _late_push_fraction,
                 f"pushes later than {LATE_PUSH_S:g} s, or lost"),
        _measure("p50_push_s", "s", "deliveries",
                 lambda run: quantile(push_seconds(run), 0.50), "published to arrived"),
        _measure("p95_push_s", "s", "deliveries",
                 lambda run: quantile(push_seconds(run), 0.95), "published to arrived"),
        _measure("p99_push_s", "s", "deliveries",
                 lambda run: quantile(push_seconds(run), 0.99), "published to arrived"),
        _measure("lost", "notifications", "deliveries", _lost, "never arrived"),
        _measure("duplicated", "pushes", "deliveries", _duplicated, "arrived again"),
        _measure("realtime_age_p99_s", "s", "samples",
                 _of_samples("feed_age_s", 0.99), "age of what a rider reads"),
        _measure("queue_wait_p95_s", "s", "tasks",
                 lambda run: quantile((r.wait_s for r in _started(run)), 0.95),
                 "enqueued to started"),
        _measure("success_rate", "share", "tasks", _success_rate, "of attempts judged"),
        _measure("memory_mib", "MiB", "samples", _peak_memory, "peak, all processes"),
        _measure("usd_per_month", "USD", "samples",
                 _of_samples("usd_per_month", 1.0), "platform cost"),
        _measure("throughput_per_s", "1/s", "tasks", _throughput, "attempts started"),
        _measure("utilization", "share", "tasks", _utilization, "children busy"),
        _measure("mean_queue_length", "messages", "tasks", _mean_queue,
                 "waiting, by Little's law"),
        _measure("mean_sojourn_s", "s", "tasks", _sojourn(None),
                 "enqueued to finished"),
        _measure("p50_sojourn_s", "s", "tasks", _sojourn(0.50), "enqueued to finished"),
        _measure("p95_sojourn_s", "s", "tasks", _sojourn(0.95), "enqueued to finished"),
        _measure("p99_sojourn_s", "s", "tasks", _sojourn(0.99), "enqueued to finished"),
    )
}  # fmt: skip
