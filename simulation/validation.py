"""Predict a run that the model has not seen, and say how far off it was."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from simulation.calibration import policy_of
from simulation.clusters import Clustered, attempts, pushes
from simulation.demands import Calibration
from simulation.engine import simulate
from simulation.engine.recorded import recorded
from simulation.layout import Layout
from simulation.memory import peak_mib
from simulation.noise import complaints, v_eff_of
from simulation.runs import Run
from simulation.tables import Floats, Machine
from simulation.workload import Happenings, stream, tables_of
from worker.measures import Recorded
from worker.policy.objectives import LATE_PUSH_S

Verdict = Literal["within", "outside", "inconclusive"]

PERIOD_S = 15.0
"""What happens within one poll period happens together."""
FEWEST_CLUSTERS = 4
SNAP_S = 1.0
ALIKE = 4
RESAMPLES = 400


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """A figure of a run, as a function of values that were drawn in clusters.

    ``threshold`` is the relative error allowed, registered before any run was seen;
    differences below ``floor`` (in the metric's unit) are never an error.
    """

    name: str
    values: Callable[[Recorded], Clustered]
    figure: Callable[[Floats, float], float]  # of values and the seconds they span
    threshold: float
    floor: float


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


def _attempts(column: str) -> Callable[[Recorded], Clustered]:
    return lambda run: attempts(run, column, PERIOD_S)


METRICS: tuple[Metric, ...] = tuple(
    Metric(name=name, values=values, figure=figure, threshold=threshold, floor=floor)
    for name, values, figure, threshold, floor in (
        ("p50_push_s", pushes, _share(0.50), 0.10, 0.25),
        ("p95_push_s", pushes, _share(0.95), 0.10, 0.25),
        ("p99_push_s", pushes, _share(0.99), 0.20, 0.25),
        ("late_push_fraction", pushes, _late, 0.10, 0.02),
        ("throughput_per_s", _attempts("service_s"), _rate, 0.05, 0.0),
        ("utilization", _attempts("service_s"), _total, 0.05, 0.0),
        ("mean_queue_length", _attempts("wait_s"), _total, 0.10, 0.02),
        ("mean_sojourn_s", _attempts("sojourn_s"), _mean, 0.10, 0.02),
        ("p50_sojourn_s", _attempts("sojourn_s"), _share(0.50), 0.10, 0.02),
        ("p95_sojourn_s", _attempts("sojourn_s"), _share(0.95), 0.10, 0.02),
        ("p99_sojourn_s", _attempts("sojourn_s"), _share(0.99), 0.20, 0.02),
    )
)
"""Registered before any hold-out was recorded. Floors: a quarter second of a push and
20 ms of a task are within what two identical runs differ by."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """One metric of one run: measured, predicted, and what to think of it.

    ``interval`` holds 95 % of what the model says such a run would show (the spread of
    replications); ``measured_interval`` is the run's own, by bootstrap over clusters;
    ``error_interval`` is that of the relative error, both sides resampled together.
    A difference below ``floor``, in the metric's unit, is within whatever its share.
    """

    metric: str
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

    @property
    def covered(self) -> bool:
        """Whether the measured value lies in the predicted interval."""
        return self.interval[0] <= self.measured <= self.interval[1]

    def as_json(self) -> dict[str, Any]:
        """The comparison under the names of the run-folder contract."""
        return {
            "metric": self.metric,
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
        }


def predict(
    calibration: Calibration,
    run: Run,
    *,
    replications: int = 60,
    seed: int = 1,
) -> list[Recorded]:
    """Replications of the run on the model: its input, its policy, its canary's cores;
    nothing else of it is read. ``ALIKE`` in a row share a belief about the demands.
    """
    layout = Layout.of(policy_of(run))
    happenings = Happenings.recorded(run)
    own = calibration.machine
    machine = Machine(
        v_eff=v_eff_of(run) or own.v_eff,
        parent_s=own.parent_s,
        between_s=own.between_s,
        respawn_s=own.respawn_s,
    )
    return [
        recorded(
            simulate(
                layout,
                tables_of(
                    happenings,
                    calibration,
                    layout,
                    seed=seed,
                    replication=replication,
                    belief=replication // ALIKE,
                    machine=machine,
                ),
            ),
            layout,
            every_s=None,
        )
        for replication in range(replications)
    ]


def validate(
    calibration: Calibration, run: Run, *, replications: int = 60, seed: int = 1
) -> list[Comparison]:
    """Compare each metric of a run with its prediction; a noisy run decides nothing,
    and neither does a noisy calibration.
    """
    predicted = predict(calibration, run, replications=replications, seed=seed)
    wrong = [f"the run is noisy: {why}" for why in complaints(run)]
    wrong += [f"its calibration is noisy: {why}" for why in calibration.complaints]
    rows = [_compare(metric, run, predicted, seed) for metric in METRICS]
    memory = _memory(calibration, run)
    rows += [memory] if memory else []
    if not wrong:
        return rows
    return [_undecided(row, "; ".join(wrong)) for row in rows]


def _compare(
    metric: Metric, run: Run, predictions: Sequence[Recorded], seed: int
) -> Comparison:
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
    drawn = _resampled(metric, real, beliefs, seconds, seed)
    floor = metric.floor / abs(measured) if measured else np.inf
    threshold = max(metric.threshold, floor)
    measured_draws, error_draws = drawn
    error = _relative(predicted, measured)
    errors = _interval(error_draws)
    clusters = len(np.unique(real.clusters))
    verdict, reason = _judge(error, errors, threshold, seconds, clusters)
    return Comparison(
        metric=metric.name,
        run=run.name,
        measured=measured,
        measured_interval=_interval(measured_draws),
        predicted=predicted,
        interval=_interval(each),
        relative_error=error,
        error_interval=errors,
        threshold=metric.threshold,
        verdict=verdict,
        reason=reason,
        floor=metric.floor,
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
    rng = stream(seed, metric.name, "bootstrap")
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
        errors.append(_relative(model_figure, real_figure))
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
) -> tuple[Verdict, str]:
    """Within when the whole interval is, outside when none of it is, else undecided."""
    low, high = errors
    if not np.isfinite([error, low, high]).all():
        return "inconclusive", "nothing was measured, or some pushes never arrived"
    if clusters < FEWEST_CLUSTERS:
        longer = seconds * FEWEST_CLUSTERS / max(1, clusters)
        return "inconclusive", f"too few onsets or periods: needs {longer:.0f} s"
    if -threshold <= low and high <= threshold:
        return "within", ""
    if low > threshold or high < -threshold:
        return "outside", ""
    room = abs(threshold - abs(error))
    half = (high - low) / 2
    if room <= 0.05 * threshold:
        return "inconclusive", "the error lies at the threshold: no run length decides"
    needed = seconds * max(1.0, (half / room) ** 2)
    return (
        "inconclusive",
        f"needs a run of {needed:.0f} s, this one had {seconds:.0f} s",
    )


def _memory(calibration: Calibration, run: Run) -> Comparison | None:
    """Peak memory, process by process; None where a run has no memory samples."""
    measured = peak_mib(run.records.samples)
    predicted = sum(calibration.memory_mib.values())
    if not np.isfinite(measured) or not predicted:
        return None
    error = _relative(predicted, measured)
    return Comparison(
        metric="memory_mib",
        run=run.name,
        measured=measured,
        measured_interval=(measured, measured),
        predicted=predicted,
        interval=(predicted, predicted),
        relative_error=error,
        error_interval=(error, error),
        threshold=0.10,
        verdict="within" if abs(error) <= 0.10 else "outside",
        reason="a peak of one run has no interval",
    )


def _undecided(row: Comparison, reason: str) -> Comparison:
    values: Mapping[str, Any] = {
        name: getattr(row, name) for name in Comparison.__dataclass_fields__
    }
    return Comparison(**{**values, "verdict": "inconclusive", "reason": reason})


def _relative(predicted: float, measured: float) -> float:
    if measured == predicted:
        return 0.0
    if np.isinf(measured):
        return -1.0
    return (predicted - measured) / measured if measured else np.inf


def _interval(draws: Floats) -> tuple[float, float]:
    # Nearest, not between: some draws may be infinite.
    low, high = np.quantile(draws, (0.025, 0.975), method="nearest")
    return float(low), float(high)


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
