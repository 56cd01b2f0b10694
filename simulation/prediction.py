"""Runs of the model on the input of a run of the workers."""

from dataclasses import replace
from typing import Literal, get_args

from simulation.calibration import policy_of
from simulation.demands import Calibration
from simulation.engine import simulate
from simulation.engine.recorded import recorded
from simulation.layout import Layout
from simulation.noise import v_eff_of
from simulation.runs import Run
from simulation.workload import Happenings, tables_of
from worker.measures import Recorded

ALIKE = 4
"""Replications in a row that share a belief about the demands."""

Level = Literal["replay", "resampled", "generative"]
LEVELS: tuple[Level, ...] = get_args(Level)


def predict(
    calibration: Calibration,
    run: Run,
    *,
    replications: int = 60,
    seed: int = 1,
    level: Level = "resampled",
) -> list[Recorded]:
    """Replications of the run on the model: its input, its policy, its canary's cores;
    nothing else of it is read.
    """
    layout = Layout.of(policy_of(run))
    happenings = Happenings.recorded(run)
    machine = replace(
        calibration.machine, v_eff=v_eff_of(run) or calibration.machine.v_eff
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
