"""Predict runs that the model has not seen, and say how far off it was."""

import numpy as np

from simulation.calibration import policy_of
from simulation.chosen import Level
from simulation.comparison import Comparison, compared, relative, undecided
from simulation.demands import Calibration
from simulation.memory import peak_mib
from simulation.metrics import ALL, MEMORY_ALLOWED, METRICS
from simulation.noise import complaints
from simulation.prediction import predict
from simulation.runs import Run


def validate(
    calibration: Calibration,
    run: Run,
    *,
    replications: int = 60,
    seed: int = 1,
    level: Level = "resampled",
) -> list[Comparison]:
    """Compare each metric of a run with its prediction; a noisy run decides nothing,
    and neither does a noisy calibration.
    """
    predicted = predict(
        calibration, run, replications=replications, seed=seed, level=level
    )
    wrong = [f"the run is noisy: {why}" for why in complaints(run)]
    wrong += [f"its calibration is noisy: {why}" for why in calibration.complaints]
    rows = [compared(metric, run, predicted, seed) for metric in METRICS]
    memory = _memory(calibration, run)
    rows += [memory] if memory else []
    if not wrong:
        return rows
    return [undecided(row, "; ".join(wrong)) for row in rows]


def _memory(calibration: Calibration, run: Run) -> Comparison | None:
    """Peak memory, process by process; None where a run has no memory samples."""
    measured = peak_mib(run.records.samples)
    predicted = _predicted_mib(calibration, run)
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
        interval=(predicted, predicted),
        relative_error=error,
        error_interval=(error, error),
        threshold=MEMORY_ALLOWED,
        verdict="within" if abs(error) <= MEMORY_ALLOWED else "outside",
        reason="a peak of one run has no interval",
    )


def _predicted_mib(calibration: Calibration, run: Run) -> float:
    """Each pool's parent, and so many children as the run's policy has, each at the
    mean of the peaks of those that the calibration saw; beat.
    """
    parts: dict[str, list[float]] = {}
    for label, peak in calibration.memory_mib.items():
        pool, _, process = label.partition("/")
        place = f"{pool}/child" if process.startswith("child") else label
        parts.setdefault(place, []).append(peak)
    children = {
        f"{name}/child": pool.children for name, pool in policy_of(run).pools.items()
    }
    return sum(
        float(np.mean(peaks)) * children.get(place, len(peaks))
        for place, peaks in parts.items()
    )
