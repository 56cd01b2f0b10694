"""Whether a run can be trusted: the canary, the gaps, the broken attempts."""

import numpy as np

from simulation.runs import Run
from simulation.tables import Floats
from worker.records import Outcome

WINDOW_S = 10.0
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
    """Standard deviation of the canary's 10 s means, over their mean."""
    at, readings = _canary(run)
    if not len(readings):
        return 0.0
    windows = ((at - at[0]) // WINDOW_S).astype(int)
    means = np.array([readings[windows == w].mean() for w in np.unique(windows)])
    return float(means.std() / means.mean()) if means.mean() > 0 else 0.0


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
