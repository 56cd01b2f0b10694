"""The small runs of the real worker that are kept with the project."""

from pathlib import Path

from simulation.runs import Run, load_run
from worker.errors import UsageError

CALIBRATION, HOLDOUT = "calibration", "holdout"
RUNS = Path(__file__).resolve().parents[1] / "loadtests" / "runs"
SMALL, FULL = RUNS, RUNS / "full"
"""A pair of a minute and a half; and a matrix of runs long enough to decide."""


def kept(role: str, folder: Path | None = None) -> list[Run]:
    """The kept runs of a role in one of the sets, the pair unless told; UsageError when
    there is none.
    """
    runs = runs_in(folder or RUNS)
    found = [run for run in runs if run.about.get("role") == role]
    if not found:
        raise UsageError(
            f"no {role} run is kept under loadtests/runs; name one, such as a folder "
            "that 'python -m loadtests run disruption' wrote"
        )
    return found


def runs_in(folder: Path) -> list[Run]:
    """The runs that lie in a folder, by their names; none when there is no folder."""
    return [load_run(path.parent) for path in sorted(folder.glob("*/run.json"))]
