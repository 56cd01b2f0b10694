"""The figures by which a model is judged, and how far off it may be.

Registered before any hold-out run was recorded. Thresholds are relative: 5 % of
throughput and utilization, 10 % of queue length and of mean, p50 and p95 times, 20 %
of p99. Floors are what two runs of the same differ by: a quarter second of a push,
20 ms of a task.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from simulation.clusters import Clustered, attempts, pushes
from simulation.demands import PUSH
from simulation.tables import Floats
from worker.measures import Recorded
from worker.policy.objectives import LATE_PUSH_S

PERIOD_S = 15.0
"""What happens within one poll period happens together."""

ALL, SENDERS, TICKS = "all", PUSH, "ticks"
"""Whose attempts: everybody's; those on demand, which a load test publishes; those of
the other tasks. A mix of short and long ones can hide in its quantiles what is wrong
with either."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """A figure of a run, as a function of values that were drawn in clusters.

    ``of``: whose attempts. ``threshold`` is the relative error allowed; differences
    below ``floor``, in the metric's unit, are never an error. ``counts``: it counts
    messages, and one that ends as the run does falls on either side.
    """

    name: str
    of: str
    values: Callable[[Recorded], Clustered]
    figure: Callable[[Floats, float], float]  # of values and the seconds they span
    threshold: float
    floor: float
    counts: bool = False


def _share(q: float) -> Callable[[Floats, float], float]:
    # Higher, not between: a push that never came counts as infinitely late.
    return lambda values, _: (
        float(np.quantile(values, q, method="higher")) if len(values) else np.nan
    )


def _mean(values: Floats, _: float) -> float:
    return float(values.mean()) if len(values) else np.nan


def _late(values: Floats, _: float) -> float:
    return float((values > LATE_PUSH_S).mean()) if len(values) else np.nan


def _rate(values: Floats, seconds: float) -> float:
    return len(values) / seconds


def _total(values: Floats, seconds: float) -> float:
    return float(values.sum()) / seconds


def _attempts(column: str, of: str) -> Callable[[Recorded], Clustered]:
    return lambda run: attempts(_seen(run, of), column, PERIOD_S)


def _busy(of: str) -> Callable[[Recorded], Clustered]:
    """Service of attempts as shares of the children that the pools have."""

    def values(run: Recorded) -> Clustered:
        children = {s.label: s.value for s in run.samples if s.name == "children"}
        served = attempts(_seen(run, of), "service_s", PERIOD_S)
        share = served.values / (sum(children.values()) or np.nan)
        return Clustered(values=share, clusters=served.clusters)

    return values


def _seen(run: Recorded, of: str) -> Recorded:
    if of == ALL:
        return run
    return Recorded(
        tasks=[
            record
            for record in run.tasks
            if (record.task == SENDERS) == (of == SENDERS)
        ],
        samples=run.samples,
        started_at=run.started_at,
        finished_at=run.finished_at,
    )


def _of_attempts(of: str) -> list[Metric]:
    sojourn = _attempts("sojourn_s", of)
    return [
        Metric(
            name=name,
            of=of,
            values=values,
            figure=figure,
            threshold=allowed,
            floor=floor,
            counts=figure is _rate,
        )
        for name, values, figure, allowed, floor in (
            ("throughput_per_s", _attempts("service_s", of), _rate, 0.05, 0.0),
            ("utilization", _busy(of), _total, 0.05, 0.0),
            ("mean_queue_length", _attempts("wait_s", of), _total, 0.10, 0.02),
            ("mean_sojourn_s", sojourn, _mean, 0.10, 0.02),
            ("p50_sojourn_s", sojourn, _share(0.50), 0.10, 0.02),
            ("p95_sojourn_s", sojourn, _share(0.95), 0.10, 0.02),
            ("p99_sojourn_s", sojourn, _share(0.99), 0.20, 0.02),
        )
    ]


METRICS: tuple[Metric, ...] = (
    *(
        Metric(
            name=name,
            of=ALL,
            values=pushes,
            figure=figure,
            threshold=allowed,
            floor=floor,
        )
        for name, figure, allowed, floor in (
            ("p50_push_s", _share(0.50), 0.10, 0.25),
            ("p95_push_s", _share(0.95), 0.10, 0.25),
            ("p99_push_s", _share(0.99), 0.20, 0.25),
            ("late_push_fraction", _late, 0.10, 0.02),
        )
    ),
    *_of_attempts(ALL),
    *_of_attempts(SENDERS),
    *_of_attempts(TICKS),
)

MEMORY_ALLOWED = 0.10
"""Relative error of the peak of memory, the sum over processes."""
