"""What-ifs: two policies on the same hours, the difference, and how sure it is.

compare(simulate(POLICY), simulate(vary(POLICY, "pools.bg.children", 4)))
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from joblib import Parallel, delayed

from simulation.demands import Calibration
from simulation.hour import deployed, hour, platform, storm_hour
from simulation.layout import Layout
from simulation.results import base
from simulation.steady import require_stable
from simulation.tables import Floats
from simulation.workload import stream
from worker.errors import UsageError
from worker.policy import Policy

RESAMPLES = 1_000
PIECES = 8
"""Parts into which a simulation is cut, so that cores share it and it can say how far
it is."""

Step = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """A measure of two; the interval is that of second less first."""

    measure: str
    first: float
    second: float
    difference: float
    interval: tuple[float, float]

    @property
    def decided(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.interval[0] > 0 or self.interval[1] < 0

    def as_json(self) -> dict[str, Any]:
        """The difference as one flat row."""
        return {
            "measure": self.measure,
            "first": plain(self.first),
            "second": plain(self.second),
            "difference": plain(self.difference),
            "low": plain(self.interval[0]),
            "high": plain(self.interval[1]),
            "decided": self.decided,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Simulated:
    """Storm hours under a policy: each measure, hour by hour.

    ``on`` names the hours: the calibration, users, how many and the seed.
    """

    on: tuple[str, int, int, int]
    hours: tuple[Mapping[str, float], ...]

    def values(self, measure: str) -> Floats:
        """One value an hour."""
        return np.array([each[measure] for each in self.hours])

    def mean(self, measure: str) -> float:
        """The mean over hours."""
        return float(np.nanmean(self.values(measure)))

    def interval(self, measure: str) -> tuple[float, float]:
        """95 % interval of that mean, by bootstrap over hours. Each of them is the
        busiest hour of a day of its own, so that this draws days: what happened on one
        stays together.
        """
        return interval_of_mean(self.values(measure), _picks(self))


def simulate(
    policy: Policy,
    *,
    calibration: Calibration | None = None,
    users: int = 10_000,
    hours: int = 40,
    seed: int = 1,
    jobs: int = -1,
    step: Step = lambda _: None,
) -> Simulated:
    """The busiest hour of a day with a storm, ``hours`` times, under a policy.

    Without a calibration the kept runs give one. Raises UsageError for a policy whose
    ticks alone overload a pool. ``step`` is told how far it is.
    """
    if hours < 2:
        raise UsageError(f"--hours {hours}: an interval needs at least 2 hours")
    if users < 1:
        raise UsageError(f"--users {users}: somebody must be told")
    source = calibration or base(strict=True)
    require_stable(source, Layout.of(policy))
    here = deployed(source)
    pieces = min(PIECES, hours)
    done = Parallel(n_jobs=jobs, return_as="generator")(
        delayed(_hours)(here, policy, users, list(range(hours))[part::pieces], seed)
        for part in range(pieces)
    )
    found: list[dict[str, float]] = [{}] * hours
    for part, piece in enumerate(done):
        found[part::pieces] = piece
        step(f"{part + 1} of {pieces} parts simulated")
    return Simulated(on=(source.run, users, hours, seed), hours=tuple(found))


def compare(first: Simulated, second: Simulated) -> list[Difference]:
    """Second less first, paired hour by hour: the same storms, the same luck (common
    random numbers). Raises UsageError when they are not of the same hours.
    """
    if first.on != second.on:
        raise UsageError(
            f"hours of {first.on} and of {second.on} cannot be paired: simulate both "
            "with the same calibration, users, hours and seed"
        )
    picks = _picks(first)
    return [
        Difference(
            measure=name,
            first=first.mean(name),
            second=second.mean(name),
            difference=float(np.nanmean(second.values(name) - first.values(name))),
            interval=interval_of_mean(second.values(name) - first.values(name), picks),
        )
        for name in first.hours[0]
    ]


def interval_of_mean(values: Floats, picks: Any) -> tuple[float, float]:
    """95 % of bootstrap means; ``picks`` are the drawn places, one row a resample."""
    low, high = np.quantile(np.nanmean(values[picks], axis=1), (0.025, 0.975))
    return float(low), float(high)


def plain(value: float) -> float | None:
    """The value as JSON can hold it."""
    return float(value) if np.isfinite(value) else None


def _picks(simulated: Simulated) -> Any:
    hours, seed = simulated.on[2:]
    return stream(seed, "compare").integers(hours, size=(RESAMPLES, hours))


def _hours(
    calibration: Calibration,
    policy: Policy,
    users: int,
    replications: Sequence[int],
    seed: int,
) -> list[dict[str, float]]:
    layout = Layout.of(policy)
    machine = platform(calibration, policy)
    return [
        dict(
            hour(
                storm_hour(users, seed=seed, replication=replication),
                calibration,
                layout,
                machine,
                seed=seed,
                replication=replication,
            ).measures
        )
        for replication in replications
    ]
