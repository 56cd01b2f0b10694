"""How far off the model is where it could be seen: each calibration run, predicted from
the other ones.

Replications show what chance makes of a run in the calibrated world. That the world of
another run is not quite that one they cannot show: Kennedy and O'Hagan (Bayesian
calibration of computer models, 2001) call it the model's discrepancy, and so do we.
"""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.special import stdtrit

from simulation.calibration import calibrate
from simulation.comparison import Discrepancy
from simulation.runs import Run
from simulation.validation import validate

FEWEST = 3
"""Runs of which each can be predicted from two others."""
COVERED = 0.95


def discrepancy(
    runs: Sequence[Run],
    *,
    replications: int = 40,
    seed: int = 1,
    step: Callable[[str], None] = lambda _: None,
) -> Discrepancy:
    """(metric, whose attempts) -> the share by which another run may lie off its
    prediction; empty for fewer than three runs.

    No run but those that calibrate is read. If runs lie around what the model makes of
    them with some spread, n of them and their mean say where 95 % of others lie: within
    t times s times sqrt(1 + 1/n), of Student's t with n - 1 degrees of freedom. What a
    run is missed by from the others is n / (n - 1) times what it lies off that mean, so
    that s is the root mean square of the misses times sqrt(1 - 1/n).
    """
    if len(runs) < FEWEST:
        return {}
    missed: dict[tuple[str, str], list[float]] = {}
    for out in runs:
        step(f"predicting {out.name} from the other calibration runs")
        others = calibrate([run for run in runs if run is not out], strict=False)
        for row in validate(others, out, replications=replications, seed=seed):
            if row.judged:
                missed.setdefault((row.metric, row.of), []).append(row.missed)
    return {
        figure: _wide(len(each)) * float(np.sqrt(np.mean(np.square(each))))
        for figure, each in missed.items()
        if len(each) >= FEWEST
    }


def _wide(n: int) -> float:
    """How many times the root mean square of n misses another run lies off at most."""
    return float(stdtrit(n - 1, (1 + COVERED) / 2) * np.sqrt(1 - 1 / n**2))
