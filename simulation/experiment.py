"""How sure a figure is: paired differences, replications until it is precise."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from scipy.special import stdtrit

from simulation.demands import Calibration
from simulation.layout import Layout
from simulation.sweep import deployed, hour, platform, storm_hour
from simulation.tables import Floats
from simulation.workload import stream
from worker.errors import UsageError
from worker.policy import Policy

RESAMPLES = 1_000
LOOK_AHEAD = 5


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A mean over replications with the half-width of its interval."""

    mean: float
    half_width: float
    replications: int
    precise: bool


def until_precise(
    figure: Callable[[int], float],
    *,
    relative: float = 0.05,
    fewest: int = 5,
    most: int = 1_000,
    confidence: float = 0.95,
) -> Estimate:
    """Replicate until the interval's half-width is at most ``relative`` of the mean, and
    stays so for a few more (Hoad, Robinson and Davies 2010): a small sample may look
    precise by luck. ``precise`` is False when ``most`` replications did not do.
    """
    if fewest < 2 or not 0 < relative < 1:
        raise UsageError("an interval needs 2 replications and a precision below 1")
    values: list[float] = []
    held = 0
    estimate = Estimate(mean=np.nan, half_width=np.inf, replications=0, precise=False)
    while len(values) < most:
        values.append(figure(len(values)))
        if len(values) < fewest:
            continue
        count = len(values)
        mean = float(np.mean(values))
        spread = float(np.std(values, ddof=1)) / count**0.5
        half = float(stdtrit(count - 1, (1 + confidence) / 2)) * spread
        held = held + 1 if half <= relative * abs(mean) else 0
        estimate = Estimate(
            mean=mean, half_width=half, replications=count, precise=held > LOOK_AHEAD
        )
        if estimate.precise:
            break
    return estimate


def warm_up(values: Floats, *, batch: int = 5) -> int:
    """How many leading values to drop before a stationary mean is taken (MSER-5).

    The cut that makes the rest's mean surest, by White's rule on batch means. Raises
    UsageError when it falls in the second half: the run is too short to have settled.
    """
    count = len(values) // batch
    if count < 4:
        raise UsageError(f"{len(values)} values are too few to find a warm-up in")
    means = values[: count * batch].reshape(count, batch).mean(axis=1)
    tails = np.arange(count, 0, -1, dtype=np.float64)
    sums = np.cumsum(means[::-1])[::-1]
    squares = np.cumsum((means**2)[::-1])[::-1]
    rule = (squares - sums**2 / tails) / tails**2
    cut = int(np.argmin(rule[: count - 2]))
    if cut > count // 2:
        raise UsageError(
            f"the run has not settled: its warm-up ends at value {cut * batch} of "
            f"{len(values)}; make it at least twice as long"
        )
    return cut * batch


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
