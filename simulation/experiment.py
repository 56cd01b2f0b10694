"""Two policies on the same hours: the difference, and how sure it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from joblib import Parallel, delayed

from simulation.demands import Calibration
from simulation.layout import Layout
from simulation.sweep import deployed, hour, platform, storm_hour
from simulation.tables import Floats
from simulation.workload import stream
from worker.errors import UsageError
from worker.policy import Policy

RESAMPLES = 1_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """A measure under two policies; the interval is that of second less first, paired
    hour by hour (common random numbers).
    """

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
            "first": self.first,
            "second": self.second,
            "difference": self.difference,
            "low": self.interval[0],
            "high": self.interval[1],
            "decided": self.decided,
        }


def compare(
    calibration: Calibration,
    first: Policy,
    second: Policy,
    *,
    users: int = 10_000,
    hours: int = 40,
    seed: int = 1,
    jobs: int = -1,
) -> list[Difference]:
    """Simulate both policies on the same storm hours and compare every measure."""
    if hours < 2:
        raise UsageError(f"--hours {hours}: an interval needs at least 2 hours")
    here = deployed(calibration)
    numbers = list(range(hours))
    halves = Parallel(n_jobs=jobs)(
        delayed(_hours)(here, policy, users, numbers[part::2], seed)
        for policy in (first, second)
        for part in (0, 1)
    )
    before, after = halves[0] + halves[1], halves[2] + halves[3]
    rng = stream(seed, "compare")
    picks = rng.integers(hours, size=(RESAMPLES, hours))
    rows = []
    for name in before[0]:
        one = np.array([each[name] for each in before])
        two = np.array([each[name] for each in after])
        low, high = interval_of_mean(two - one, picks)
        rows.append(
            Difference(
                measure=name,
                first=float(np.nanmean(one)),
                second=float(np.nanmean(two)),
                difference=float(np.nanmean(two - one)),
                interval=(low, high),
            )
        )
    return rows


def interval_of_mean(values: Floats, picks: Any) -> tuple[float, float]:
    """95 % of bootstrap means; ``picks`` are the drawn places, one row a resample."""
    low, high = np.quantile(np.nanmean(values[picks], axis=1), (0.025, 0.975))
    return float(low), float(high)


def _hours(
    calibration: Calibration,
    policy: Policy,
    users: int,
    replications: Sequence[int],
    seed: int,
) -> list[dict[str, float]]:
    layout = Layout.of(policy)
    machine = platform(calibration)
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
