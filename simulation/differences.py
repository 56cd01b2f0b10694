"""What differs between two recorded runs, and how sure that is."""

import numpy as np

from simulation.clusters import Clustered
from simulation.experiment import Difference
from simulation.memory import peak_mib
from simulation.metrics import ALL, METRICS, Metric
from simulation.noise import complaints
from simulation.runs import Run
from simulation.tables import Floats
from simulation.workload import stream
from worker.errors import UsageError

RESAMPLES = 1_000


def compare_runs(
    first: Run, second: Run, *, seed: int = 1, strict: bool = True
) -> list[Difference]:
    """Every metric of both; the interval is by bootstrap over what happened together
    (onsets, poll periods), each run by itself: they share no luck.

    Raises UsageError when one is noisy and ``strict``: a difference between machines
    is none between policies. A run of the model has no machine.
    """
    noisy = [
        f"{run.name}: {why}"
        for run in (first, second)
        if run.about.get("source") != "model"
        for why in complaints(run)
    ]
    if strict and noisy:
        raise UsageError(
            f"these runs are refused, for a noisy one compares machines: "
            f"{'; '.join(noisy)}; record again on a quiet machine, or say --noisy"
        )
    rows = [_difference(metric, first, second, seed) for metric in METRICS]
    peaks = [peak_mib(run.records.samples) for run in (first, second)]
    if np.isfinite(peaks).all():
        apart = peaks[1] - peaks[0]
        rows.append(
            Difference(
                measure="memory_mib",
                first=peaks[0],
                second=peaks[1],
                difference=apart,
                interval=(float("nan"), float("nan")),
            )
        )
    return rows


def _difference(metric: Metric, first: Run, second: Run, seed: int) -> Difference:
    figures, draws = zip(
        *(_drawn(metric, run, seed, side) for side, run in enumerate((first, second))),
        strict=True,
    )
    same = first.folder == second.folder
    apart = np.zeros(1) if same else draws[1] - draws[0]
    apart = apart[np.isfinite(apart)]
    low, high = np.quantile(apart, (0.025, 0.975)) if len(apart) else (np.nan, np.nan)
    return Difference(
        measure=metric.name if metric.of == ALL else f"{metric.of}.{metric.name}",
        first=figures[0],
        second=figures[1],
        difference=figures[1] - figures[0],
        interval=(float(low), float(high)),
    )


def _drawn(metric: Metric, run: Run, seed: int, side: int) -> tuple[float, Floats]:
    values: Clustered = metric.values(run.records)
    seconds = run.records.duration_s
    ids = np.unique(values.clusters)
    if not len(ids):
        return float("nan"), np.full(RESAMPLES, np.nan)
    mine = [values.of(cluster) for cluster in ids]
    rng = stream(seed, metric.name, metric.of, side, "difference")
    draws = [
        metric.figure(np.concatenate([mine[k] for k in drawn]), seconds)
        for drawn in rng.integers(len(ids), size=(RESAMPLES, len(ids)))
    ]
    return metric.figure(values.values, seconds), np.array(draws)
