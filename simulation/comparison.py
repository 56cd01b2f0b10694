"""One figure of one run: measured, predicted, how far off, and how sure that is."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from simulation.clusters import Clustered
from simulation.metrics import Metric
from simulation.prediction import ALIKE
from simulation.runs import Run
from simulation.tables import Floats
from simulation.workload import stream
from worker.measures import Recorded

Verdict = Literal["within", "outside", "inconclusive"]

FEWEST_CLUSTERS = 4
SNAP_S = 1.0
RESAMPLES = 400


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """One metric of one run: measured, predicted, and what to think of it.

    ``interval`` holds 95 % of what the model says such a run would show (the spread of
    replications); ``measured_interval`` is the run's own, by bootstrap over clusters;
    ``error_interval`` is that of the relative error, both sides resampled together.
    ``of``: whose attempts. A difference below ``floor``, in the metric's unit, is
    within whatever its share: where the floor is more than the threshold's share of
    what was measured, ``error_interval`` is relative to ``floor / threshold``.
    ``needed_s``: length of a run that would decide, where this one does not.
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

    @property
    def allowed(self) -> float:
        """The largest difference that is within, in the metric's unit."""
        return max(self.threshold * abs(self.measured), self.floor)

    @property
    def covered(self) -> bool:
        """Whether the measured value lies in the predicted interval."""
        return self.interval[0] <= self.measured <= self.interval[1]

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
            "covered": self.covered,
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
    # The middle one of all replications; a quantile may lie beyond every push.
    predicted = float(np.quantile(each, 0.5, method="higher"))
    beliefs = [_pooled(models[k : k + ALIKE]) for k in range(0, len(models), ALIKE)]
    real = _snapped(
        metric.values(run.records), np.concatenate([m.clusters for m in models])
    )
    measured = metric.figure(real.values, seconds)
    measured_draws, error_draws = _resampled(metric, real, beliefs, seconds, seed)
    errors = _interval(error_draws)
    low, high = _interval(each)
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
        measured_interval=_interval(measured_draws),
        predicted=predicted,
        interval=(low - metric.counts / seconds, high + metric.counts / seconds),
        relative_error=relative(predicted, measured),
        error_interval=errors,
        threshold=metric.threshold,
        verdict=verdict,
        reason=reason,
        floor=metric.floor,
        needed_s=needed_s,
    )


def _pooled(models: Sequence[Clustered]) -> tuple[Clustered, int]:
    """Replications of one belief as one, and how many they are."""
    values = np.concatenate([model.values for model in models])
    clusters = np.concatenate([model.clusters for model in models])
    return Clustered(values=values, clusters=clusters), len(models)


def _resampled(
    metric: Metric,
    real: Clustered,
    beliefs: Sequence[tuple[Clustered, int]],
    seconds: float,
    seed: int,
) -> tuple[Floats, Floats]:
    """Bootstrap over clusters, the same clusters on both sides: what both sides know
    (when each delay was published) cancels, what only one side shows remains. Each
    resample believes another resample of the calibration's attempts.
    """
    if not len(real.values):
        return np.array([np.nan]), np.array([np.nan])
    known = [real.clusters, *(model.clusters for model, _ in beliefs)]
    ids = np.unique(np.concatenate(known))
    mine = {cluster: real.of(cluster) for cluster in ids}
    models = [{c: model.of(c) for c in ids} for model, _ in beliefs]
    least = metric.floor / metric.threshold
    rng = stream(seed, metric.name, metric.of, "bootstrap")
    measured, errors = [], []
    for draw in range(RESAMPLES):
        chosen = ids[rng.integers(len(ids), size=len(ids))]
        number = draw % len(beliefs)
        model, replications = models[number], beliefs[number][1]
        real_figure = metric.figure(np.concatenate([mine[c] for c in chosen]), seconds)
        model_figure = metric.figure(
            np.concatenate([model[c] for c in chosen]), seconds * replications
        )
        measured.append(real_figure)
        errors.append(relative(model_figure, real_figure, least=least))
    return np.array(measured), np.array(errors)


def _snapped(real: Clustered, clusters: Floats) -> Clustered:
    """The run's clusters named as the model names them: a push says when its delay was
    published in whole seconds of the feed's header, the event list says it exactly.
    """
    known = np.unique(clusters)
    if not len(known) or not len(real.clusters):
        return real
    after = np.clip(np.searchsorted(known, real.clusters), 1, len(known) - 1)
    if len(known) == 1:
        after = np.zeros_like(after)
    before = np.maximum(after - 1, 0)
    nearer = np.where(
        np.abs(known[before] - real.clusters) <= np.abs(known[after] - real.clusters),
        known[before],
        known[after],
    )
    close = np.abs(nearer - real.clusters) <= SNAP_S
    return Clustered(
        values=real.values, clusters=np.where(close, nearer, real.clusters)
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
    room = abs(threshold - abs(error))
    half = (high - low) / 2
    if room <= 0.05 * threshold:
        why = "the error lies at the threshold: no run length decides"
        return "inconclusive", why, None
    needed = seconds * max(1.0, (half / room) ** 2)
    why = f"needs a run of {needed:.0f} s, this one had {seconds:.0f} s"
    return "inconclusive", why, needed


def undecided(row: Comparison, reason: str) -> Comparison:
    """The same figures, from which nothing is concluded."""
    return replace(row, verdict="inconclusive", reason=reason, needed_s=None)


def relative(predicted: float, measured: float, *, least: float = 0.0) -> float:
    """Predicted less measured, as a share of what was measured or of ``least``."""
    if measured == predicted:
        return 0.0
    if np.isinf(measured):
        return -1.0
    whole = max(abs(measured), least)
    return (predicted - measured) / whole if whole else np.inf


def _interval(draws: Floats) -> tuple[float, float]:
    # Nearest, not between: some draws may be infinite.
    low, high = np.quantile(draws, (0.025, 0.975), method="nearest")
    return float(low), float(high)


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
