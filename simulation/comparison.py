"""One figure of one run: measured, predicted, how far off, and how sure that is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import floor
from typing import Any, Literal

import numpy as np

from simulation.intervals import interval, likely, relative
from simulation.metrics import Metric
from simulation.prediction import ALIKE
from simulation.resampling import pooled, resampled, snapped
from simulation.runs import Run
from worker.measures import Recorded

Verdict = Literal["within", "outside", "inconclusive"]

Discrepancy = Mapping[tuple[str, str], float]
"""(metric, whose attempts) -> share by which a run may lie off its prediction."""

FEWEST_CLUSTERS = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """One metric of one run: measured, predicted, and what to think of it.

    ``interval`` holds 95 % of what the model says such a run would show: the spread of
    replications, and where it is known what the model misses runs by, at least that.
    ``by_chance`` is that spread where it was widened. ``measured_interval`` is the
    run's own, by bootstrap over clusters; ``error_interval`` is that of the relative
    error, both sides resampled together.
    ``of``: whose attempts. A difference below ``floor``, in the metric's unit, is
    within whatever its share: where the floor is more than the threshold's share of
    what was measured, ``error_interval`` is relative to ``floor / threshold``.
    ``needed_s``: length of a run that would decide, where this one does not; ``noisy``:
    nothing is concluded because the run, or the calibration, was.
    """

    metric: str
    of: str
    run: str
    measured: float
    measured_interval: tuple[float, float]
    predicted: float
    interval: tuple[float, float]
    relative_error: float
    error_interval: tuple[float, float]
    threshold: float
    verdict: Verdict
    reason: str
    floor: float = 0.0
    needed_s: float | None = None
    noisy: bool = False
    by_chance: tuple[float, float] | None = None

    @property
    def allowed(self) -> float:
        """The largest difference that is within, in the metric's unit."""
        return max(self.threshold * abs(self.measured), self.floor)

    @property
    def whole(self) -> float:
        """What a share of the prediction is a share of: never less than that of which
        the floor is the threshold's share.
        """
        return max(abs(self.predicted), self.floor / self.threshold) or np.inf

    @property
    def missed(self) -> float:
        """By what share the run lies off its prediction."""
        return (self.measured - self.predicted) / self.whole

    @property
    def reach(self) -> float:
        """By what share the interval reaches to either side, in the middle of both."""
        low, high = self.interval
        return (high - low) / 2 / self.whole

    @property
    def judged(self) -> bool:
        """Whether both sides are numbers, so that the one can cover the other."""
        return bool(np.isfinite([self.measured, *self.interval]).all())

    @property
    def covered(self) -> bool:
        """Whether the measured value lies in the predicted interval."""
        return self.judged and self._within(self.interval)

    @property
    def covered_by_chance(self) -> bool:
        """Whether it lies in what replications alone spread over."""
        return self.judged and self._within(self.by_chance or self.interval)

    def _within(self, ends: tuple[float, float]) -> bool:
        rounding = 1e-9 * abs(self.measured)
        return ends[0] - rounding <= self.measured <= ends[1] + rounding

    def as_json(self) -> dict[str, Any]:
        """The comparison under the names of the run-folder contract."""
        return {
            "metric": self.metric,
            "of": self.of,
            "run": self.run,
            "measured": _plain(self.measured),
            "measured_interval": [_plain(end) for end in self.measured_interval],
            "predicted": _plain(self.predicted),
            "interval": [_plain(end) for end in self.interval],
            "relative_error": _plain(self.relative_error),
            "error_interval": [_plain(end) for end in self.error_interval],
            "threshold": self.threshold,
            "floor": self.floor,
            "covered": self.covered if self.judged else None,
            "noisy": self.noisy,
            "verdict": self.verdict,
            "reason": self.reason,
            "needed_s": self.needed_s and round(self.needed_s),
        }


def compared(
    metric: Metric, run: Run, predictions: Sequence[Recorded], seed: int
) -> Comparison:
    """The metric of the run beside that of its predictions."""
    seconds = run.records.duration_s
    models = [metric.values(prediction) for prediction in predictions]
    each = np.array([metric.figure(model.values, seconds) for model in models])
    low, predicted, high = likely(each)
    beliefs = [pooled(models[k : k + ALIKE]) for k in range(0, len(models), ALIKE)]
    real = snapped(
        metric.values(run.records), np.concatenate([m.clusters for m in models])
    )
    measured = metric.figure(real.values, seconds)
    measured_draws, error_draws = resampled(metric, real, beliefs, seconds, seed)
    errors = interval(error_draws)
    clusters = len(np.unique(real.clusters))
    error = relative(predicted, measured, least=metric.floor / metric.threshold)
    verdict, reason, needed_s = _judge(
        error, errors, metric.threshold, seconds, clusters
    )
    return Comparison(
        metric=metric.name,
        of=metric.of,
        run=run.name,
        measured=measured,
        measured_interval=interval(measured_draws),
        predicted=predicted,
        interval=(
            float(np.maximum(0.0, low - metric.counts / seconds)),  # keeps NaN
            high + metric.counts / seconds,
        ),
        relative_error=relative(predicted, measured),
        error_interval=errors,
        threshold=metric.threshold,
        verdict=verdict,
        reason=reason,
        floor=metric.floor,
        needed_s=needed_s,
    )


def _judge(
    error: float,
    errors: tuple[float, float],
    threshold: float,
    seconds: float,
    clusters: int,
) -> tuple[Verdict, str, float | None]:
    """Within when the whole interval is, outside when none of it is, else undecided:
    with the seconds that a run needs to decide, where more of them would.
    """
    low, high = errors
    if not np.isfinite([error, low, high]).all():
        why = "nothing was measured, or some pushes never arrived"
        return "inconclusive", why, None
    if clusters < FEWEST_CLUSTERS:
        longer = seconds * FEWEST_CLUSTERS / max(1, clusters)
        why = f"too few onsets or periods: needs {longer:.0f} s"
        return "inconclusive", why, longer
    if -threshold <= low and high <= threshold:
        return "within", "", None
    if low > threshold or high < -threshold:
        return "outside", "", None
    if abs(threshold - abs(error)) <= 0.05 * threshold:
        why = "the error lies at the threshold: no run length decides"
        return "inconclusive", why, None
    needed = floor(seconds * _too_wide(error, errors, threshold) ** 2) + 1.0
    why = f"needs a run of {needed:.0f} s, this one had {seconds:.0f} s"
    return "inconclusive", why, needed


def _too_wide(error: float, errors: tuple[float, float], threshold: float) -> float:
    """How many times too wide the interval is to decide: at the end that reaches
    furthest beyond its limit. Its width falls with the root of the run's length.
    """
    low, high = errors
    if error > threshold:
        return (error - low) / (error - threshold)
    if error < -threshold:
        return (high - error) / (-threshold - error)
    return max(
        (high - error) / (threshold - error), (error - low) / (error + threshold)
    )


def widened(row: Comparison, discrepancy: Discrepancy) -> Comparison:
    """The same figures, their interval no narrower than what the model is off by."""
    share = discrepancy.get((row.metric, row.of))
    if share is None or not row.judged:
        return row
    off, (low, high) = share * row.whole, row.interval
    return replace(
        row,
        by_chance=row.interval,
        interval=(
            max(0.0, min(low, row.predicted - off)),
            max(high, row.predicted + off),
        ),
    )


def undecided(row: Comparison, reason: str) -> Comparison:
    """The same figures, from which nothing is concluded because of noise."""
    return replace(
        row, verdict="inconclusive", reason=reason, needed_s=None, noisy=True
    )


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
