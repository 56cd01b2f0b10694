"""Whether a run can be trusted: the canary, the gaps, the broken attempts."""

import numpy as np

from simulation.runs import Run
from simulation.tables import Floats
from worker.records import Outcome

PART_S = 60.0
LEAST_READINGS = 5
"""One reading has a standard deviation of 5 to 13 % in a quiet run: the mean of fewer
says nothing of the machine."""
DRIFT = 0.10
"""A run whose effective cores drift by more is two runs in one."""
NEIGHBOURS_CORES = 0.25
"""What processes that are not the run's own may use."""
BROKEN = 0.05
"""Share of attempts that may end in a way that no fault of the scenario explains."""


def v_eff_of(run: Run) -> float | None:
    """Cores that the run's canary measured, averaged; None when it had no canary."""
    readings = _canary(run)[1]
    return float(readings.mean()) if len(readings) else None


def drift_of(run: Run) -> float:
    """Standard deviation of the canary's means in equal parts of the run, over their
    mean; 0 where fewer than two parts have readings enough.

    The parts are of about a minute, and at least two: a canary that reads each 6 s has
    10 readings in a minute, whose mean is known to 2 to 4 %. A neighbour of seconds is
    told by the cores that neighbours used.
    """
    means = _means(run)
    if len(means) < 2 or not np.mean(means) > 0:
        return 0.0
    return float(np.std(means) / np.mean(means))


def drift_judged(run: Run) -> bool:
    """Whether two parts of the run have readings enough to tell a drift at all."""
    return len(_means(run)) >= 2


def _means(run: Run) -> list[float]:
    """Of the canary, in each part of the run that has readings enough."""
    at, readings = _canary(run)
    parts = max(2, round(run.records.duration_s / PART_S))
    edges = np.linspace(run.records.started_at, run.records.finished_at, parts + 1)
    part_of = np.searchsorted(edges[1:-1], at, side="right")
    in_parts = (readings[part_of == part] for part in range(parts))
    return [float(found.mean()) for found in in_parts if len(found) >= LEAST_READINGS]


def complaints(run: Run) -> list[str]:
    """Why the run should not calibrate or judge a model; empty when it may."""
    wrong = []
    if run.about.get("broken"):
        wrong.append(f"it is broken: {run.about['broken']}")
    if run.records.duration_s <= 0:
        wrong.append("its window is empty")
    if v_eff_of(run) is None:
        wrong.append("it has no v_eff samples, so nobody knows what cores it had")
    drift = drift_of(run)
    if drift > DRIFT:
        wrong.append(
            f"its effective cores drift by {drift:.0%}, more than {DRIFT:.0%}: "
            "neighbours took them"
        )
    neighbours = float(run.about.get("neighbours_cores") or 0.0)
    if neighbours > NEIGHBOURS_CORES:
        wrong.append(f"neighbours used {neighbours:.2f} cores meanwhile")
    bad = [r for r in run.records.tasks if r.outcome in (Outcome.KILLED, Outcome.LOST)]
    if len(bad) > BROKEN * max(1, len(run.records.tasks)):
        wrong.append(f"{len(bad)} attempts were killed or lost")
    return wrong


def _canary(run: Run) -> tuple[Floats, Floats]:
    pairs = sorted((s.at, s.value) for s in run.records.samples if s.name == "v_eff")
    table = np.array(pairs, dtype=np.float64).reshape(-1, 2)
    return table[:, 0], table[:, 1]
