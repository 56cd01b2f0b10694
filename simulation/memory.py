"""Memory of pools: what gauges saw, and what a layout needs."""

from collections.abc import Iterable, Mapping

import numpy as np

from simulation.assumptions import assumed
from simulation.demands import SYNC, Calibration
from simulation.layout import Layout
from worker.records import Sample


def peak_mib(samples: Iterable[Sample]) -> float:
    """Sum over processes of each one's highest reading; NaN without readings.

    Processes are sampled at different instants, so the sum of peaks is what a limit
    must hold.
    """
    return sum(peaks_mib(samples).values()) or float("nan")


def peaks_mib(samples: Iterable[Sample]) -> dict[str, float]:
    """Each process's highest reading, by label."""
    peaks: dict[str, float] = {}
    for sample in samples:
        if sample.name == "memory_mib":
            peaks[sample.label] = max(peaks.get(sample.label, 0.0), sample.value)
    return peaks


def pool_mib(
    calibration: Calibration, layout: Layout, *, sync: bool = True
) -> dict[str, float]:
    """Peak of each pool in MiB: its parent, and each child at the high water of the
    heaviest task that it may serve. One child syncs at a time, by the sync's lease.
    """
    needs: dict[str, float] = {}
    for name, pool in layout.pools.items():
        peaks = _peaks(calibration, layout, pool.queues)
        heaviest = max(
            (mib for task, mib in peaks.items() if task != SYNC), default=0.0
        )
        total = assumed("parent_mib") + pool.children * heaviest
        if sync and SYNC in peaks:
            total += max(0.0, peaks[SYNC] - heaviest)
        needs[name] = total
    return needs


def _peaks(
    calibration: Calibration, layout: Layout, queues: Iterable[str]
) -> Mapping[str, float]:
    served = set(queues)
    return {
        name: float(np.max(calibration.demands[name].rss_mib))
        for name, task in layout.tasks.items()
        if task.queue in served and name in calibration.demands
    }
