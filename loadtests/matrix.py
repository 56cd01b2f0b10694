"""A matrix performed: its rows one after the other."""

import shutil
import tempfile
from collections.abc import Sequence, Set
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from loadtests.cut import RunCutError
from loadtests.given import Input
from loadtests.progress import Steps
from loadtests.rig.rig import Rig
from loadtests.rows import MATRICES, Row
from loadtests.run import perform
from loadtests.stage import Stage, crew, world
from simulation.runs import Run
from worker.env import settings
from worker.errors import UsageError, WorkerError
from worker.policy import POLICY, apply_settings
from worker.records import TaskRecord

REPORTS = "locust*"
"""What locust writes beside the records: a megabyte of HTML and tables of its own."""


def record(
    rows: tuple[Row, ...],
    given: Input,
    out: Path,
    steps: Steps,
    *,
    slim: bool = False,
    again: bool = False,
) -> list[Run]:
    """Perform the rows one after the other, each into its folder: those of one world in
    one world, those of one crew with the same workers.

    Each run takes lines that no earlier one of its crew has used. What an earlier
    matrix left in ``out`` is replaced, each run when the new one has been performed,
    and those of other rows with the first; what nobody's matrix left stays. ``again``:
    runs of other rows stay too, because these are recorded again. ``slim``: without
    locust's own reports, as the repository keeps runs. A run that fails ends the
    series and replaces nothing: RunCutError names it, and says what is kept.
    """
    for row in rows:
        row.scenario()
        apply_settings(POLICY, list(row.settings))
    given.check()
    _refuse_to_empty(rows)
    mine = {row.name for row in rows}
    every = {row.name for matrix in MATRICES.values() for row in matrix}
    others = set() if again else every - mine
    runs: list[Run] = []
    try:
        for rtt_ms, together in groupby(rows, key=lambda row: row.apns_rtt_ms):
            here = given if rtt_ms is None else replace(given, apns_rtt_ms=rtt_ms)
            with world(here, steps=steps) as around:
                _in_one_world(list(together), around, here, out, steps, others, runs)
    except WorkerError as error:
        if not runs and not isinstance(error, RunCutError):
            raise
        names = [row.name for row in rows]
        raise RunCutError(_told(names, len(runs), out, error)) from None
    finally:
        for run in runs if slim else ():
            for report in run.folder.glob(REPORTS):
                report.unlink()
    return runs


def _refuse_to_empty(rows: Sequence[Row]) -> None:
    """Raise UsageError where a second crew of a world would begin in a Redis that is
    not the rig's: what the first one left there is taken away.
    """
    crews = {(row.apns_rtt_ms, row.crew) for row in rows}
    if len(crews) > 1 and settings().redis_url is not None:
        raise UsageError(
            f"{len(crews)} crews follow one another, and the Redis of REDIS_URL would "
            "be emptied for each: unset REDIS_URL to use an embedded one"
        )


def _in_one_world(
    rows: Sequence[Row],
    around: Rig,
    given: Input,
    out: Path,
    steps: Steps,
    others: Set[str],
    runs: list[Run],
) -> None:
    """Perform the rows, each crew's with its own workers, and append to ``runs``; the
    timetable is loaded by the first one. Runs of the ``others`` go when one is there.
    """
    loaded: TaskRecord | None = None
    for _, together in groupby(rows, key=lambda row: row.crew):
        mine = list(together)
        settings, used = mine[0].settings, set[str]()
        with crew(around, given, settings=settings, loaded=loaded, steps=steps) as here:
            loaded = here.sync
            for row in mine:
                run = _performed(here, row, out, used, steps)
                _clear(out, others)
                steps.say(f"{row.name}: {len(run.records.tasks)} attempts recorded")
                runs.append(run)
                used.update(run.about["routes"])


def _performed(here: Stage, row: Row, out: Path, used: Set[str], steps: Steps) -> Run:
    """A row's run in its folder, whose earlier run goes when the new one is whole."""
    out.mkdir(parents=True, exist_ok=True)
    folder, scenario = out / row.name, row.scenario()
    with tempfile.TemporaryDirectory(dir=out, prefix=f".{row.name}-") as name:
        new = Path(name) / row.name
        run = perform(here, scenario, new, role=row.role, avoid=used, steps=steps)
        if run.about["broken"]:
            raise RunCutError(f"it is broken: {run.about['broken']}")
        _clear(out, {row.name})
        folder.mkdir(exist_ok=True)
        for file in new.iterdir():
            file.replace(folder / file.name)
    return replace(run, folder=folder)


def _told(names: Sequence[str], done: int, out: Path, error: WorkerError) -> str:
    """Which run ended a series, what is kept of it, and what to type next."""
    kept = f"{', '.join(names[:done])} kept in {out}" if done else "no run is new"
    rest = " ".join(f"--only {name}" for name in names[done:])
    return (
        f"the series stopped at run {names[done]}: {error}; {kept}; earlier runs of "
        f"the rest are as they were; record the rest by the same command with {rest}"
    )


def _clear(out: Path, names: Set[str]) -> None:
    """Remove run folders of these names, and nothing else."""
    for name in sorted(names):
        if (out / name / "run.json").exists():
            shutil.rmtree(out / name)
