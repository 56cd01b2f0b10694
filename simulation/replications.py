"""Replications until a figure is as precise as was asked."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from worker.errors import UsageError

LOOK_AHEAD = 2
"""Replications for which a precision must hold before it is believed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A mean over replications with the half-width of its interval."""

    mean: float
    half_width: float
    replications: int
    precise: bool

    @property
    def interval(self) -> tuple[float, float]:
        """Both ends."""
        return self.mean - self.half_width, self.mean + self.half_width


def until_precise(
    figure: Callable[[int], float],
    *,
    relative: float = 0.05,
    fewest: int = 5,
    most: int = 1_000,
    confidence: float = 0.95,
) -> Estimate:
    """Replicate until the interval's half-width is at most ``relative`` of the mean,
    and stays so for a few more (Hoad, Robinson and Davies 2010): a small sample may
    look precise by luck. ``precise`` is False when ``most`` replications did not do.
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
