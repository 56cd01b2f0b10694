"""Memory of pools: what gauges saw, and what a layout needs.

Gauges read PSS, in which pages that processes share count once; an attempt's peak is
resident memory, in which they count in every child. The first is what is paid for, the
second bounds what a limit must hold.
"""

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


def standing_mib(calibration: Calibration, layout: Layout) -> dict[str, float]:
    """PSS of each pool in MiB, every child as large as the largest that was measured;
    where the run gauged no process of a pool, the peaks of its attempts.
    """
    bounds = pool_mib(calibration, layout, sync=False)
    needs: dict[str, float] = {}
    for name, pool in layout.pools.items():
        parent = calibration.memory_mib.get(f"{name}/parent")
        children = _of_children(calibration, name)
        if parent is None or not children:
            needs[name] = bounds[name]
        else:
            needs[name] = parent + pool.children * max(children)
    return needs


def pool_mib(
    calibration: Calibration, layout: Layout, *, sync: bool = True
) -> dict[str, float]:
    """Peak of each pool in MiB: its parent, and each child at the high water of the
    heaviest task that it may serve. One child syncs at a time, by the sync's lease.
    """
    needs: dict[str, float] = {}
    for name, pool in layout.pools.items():
        peaks = _peaks(calibration, layout, pool.queues)
        heaviest = child_mib(calibration, layout, name)
        parent = calibration.memory_mib.get(f"{name}/parent", assumed("parent_mib"))
        total = parent + pool.children * heaviest
        if sync and SYNC in peaks:
            total += max(0.0, peaks[SYNC] - heaviest)
        needs[name] = total
    return needs


def child_mib(calibration: Calibration, layout: Layout, pool: str) -> float:
    """What one more child of a pool takes at its high water, syncs apart."""
    peaks = _peaks(calibration, layout, layout.pools[pool].queues)
    return max((mib for task, mib in peaks.items() if task != SYNC), default=0.0)


def _of_children(calibration: Calibration, pool: str) -> list[float]:
    return [
        mib
        for label, mib in calibration.memory_mib.items()
        if label.startswith(f"{pool}/child")
    ]


def _peaks(
    calibration: Calibration, layout: Layout, queues: Iterable[str]
) -> Mapping[str, float]:
    served = set(queues)
    return {
        name: float(np.max(calibration.demands[name].rss_mib))
        for name, task in layout.tasks.items()
        if task.queue in served and name in calibration.demands
    }
