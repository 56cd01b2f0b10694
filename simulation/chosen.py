"""Which runs calibrate and which are predicted, of the folders that were named."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from simulation.kept import CALIBRATION, FULL, HOLDOUT, SMALL, kept
from simulation.runs import Run, load_run
from worker.errors import UsageError

Level = Literal["replay", "resampled", "generative"]
"""What a prediction is given of a run: its arrivals and each attempt's own time (only
the queue is modelled); its arrivals; what was planned of it, arrivals drawn anew."""


def chosen(
    folders: Sequence[Path], calibration: Sequence[Path]
) -> tuple[list[Run], list[Run]]:
    """(calibration runs, hold-out runs). A folder is a run, or holds runs with roles.

    Calibration runs are those named, else those in the same folders, else the kept
    ones. Without any folder the kept matrix is predicted. Raises UsageError when there
    is nothing to predict, or a run would be predicted by itself.
    """
    folders = folders or [FULL if FULL.is_dir() else SMALL]
    found = [run for folder in folders for run in _runs_in(folder)]
    alone = {run.folder for run in found if run.folder in set(folders)}
    bases = [load_run(folder) for folder in calibration] or [
        run
        for run in found
        if run.about.get("role") == CALIBRATION and run.folder not in alone
    ]
    held = [
        run for run in found if run.folder in alone or run.about.get("role") == HOLDOUT
    ]
    bases = bases or kept(CALIBRATION)
    if not held:
        raise UsageError(
            f"{', '.join(map(str, folders))} holds no run whose role is {HOLDOUT}; "
            "'python -m loadtests matrix small' writes one"
        )
    known = {run.folder.resolve() for run in bases}
    for run in held:
        if run.folder.resolve() in known:
            raise UsageError(
                f"{run.folder} is the calibration: a run predicted from itself proves "
                "nothing; name another one"
            )
    return bases, held


def _runs_in(folder: Path) -> list[Run]:
    if (folder / "run.json").exists():
        return [load_run(folder)]
    inside = sorted(folder.glob("*/run.json"))
    return [load_run(path.parent) for path in inside] or [load_run(folder)]
