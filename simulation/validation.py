"""Predict runs that the model has not seen, and say how far off it was."""

import numpy as np

from simulation.calibration import policy_of
from simulation.chosen import Level
from simulation.comparison import (
    Comparison,
    Discrepancy,
    compared,
    undecided,
    widened,
)
from simulation.demands import Calibration
from simulation.intervals import interval, relative
from simulation.memory import peak_mib
from simulation.metrics import ALL, MEMORY_ALLOWED, METRICS
from simulation.noise import complaints
from simulation.prediction import predict
from simulation.runs import Run
from simulation.tables import Floats
from simulation.workload import Happenings, stream

MEMORY_DRAWS = 400


def validate(
    calibration: Calibration,
    run: Run,
    *,
    replications: int = 80,
    seed: int = 1,
    level: Level = "resampled",
    discrepancy: Discrepancy | None = None,
) -> list[Comparison]:
    """Compare each metric of a run with its prediction; a noisy run decides nothing,
    and neither does a noisy calibration. ``discrepancy``: what the model is known to
    be off by, see discrepancy.py.
    """
    predicted = predict(
        calibration, run, replications=replications, seed=seed, level=level
    )
    wrong = [f"the run is noisy: {why}" for why in complaints(run)]
    wrong += [f"its calibration is noisy: {why}" for why in calibration.complaints]
    rows = [compared(metric, run, predicted, seed) for metric in METRICS]
    memory = _memory(calibration, run)
    rows += [memory] if memory else []
    rows = [widened(row, discrepancy or {}) for row in rows]
    if not wrong:
        return rows
    return [undecided(row, "; ".join(wrong)) for row in rows]


def _memory(calibration: Calibration, run: Run) -> Comparison | None:
    """Peak memory, process by process; None where a run has no memory samples."""
    measured = peak_mib(run.records.samples)
    drawn = _predicted_mib(calibration, run)
    predicted = float(drawn.mean())
    if not np.isfinite(measured) or not predicted:
        return None
    error = relative(predicted, measured)
    return Comparison(
        metric="memory_mib",
        of=ALL,
        run=run.name,
        measured=measured,
        measured_interval=(measured, measured),
        predicted=predicted,
        interval=interval(drawn),
        relative_error=error,
        error_interval=(error, error),
        threshold=MEMORY_ALLOWED,
        verdict="within" if abs(error) <= MEMORY_ALLOWED else "outside",
        reason="a peak of one run has no interval of its own",
    )


def _predicted_mib(calibration: Calibration, run: Run) -> Floats:
    """Each pool's parent, and so many children as the run's policy has, each at the
    peak of one of those that the calibration saw, drawn again and again; beat. Where
    the run syncs, of those of a run that did.
    """
    peaks = calibration.memory_mib
    if Happenings.recorded(run).syncs:
        peaks = calibration.memory_sync_mib or peaks
    parts: dict[str, list[float]] = {}
    for label, peak in peaks.items():
        pool, _, process = label.partition("/")
        place = f"{pool}/child" if process.startswith("child") else label
        parts.setdefault(place, []).append(peak)
    children = {
        f"{name}/child": pool.children for name, pool in policy_of(run).pools.items()
    }
    rng = stream(1, "memory")
    total = np.zeros(MEMORY_DRAWS)
    for place, seen in parts.items():
        many = children.get(place, len(seen))
        total += rng.choice(seen, size=(MEMORY_DRAWS, many)).sum(axis=1)
    return total
