"""A matrix performed: its rows one after the other."""

import shutil
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from loadtests.given import Input
from loadtests.progress import Steps
from loadtests.rows import Row
from loadtests.run import perform
from loadtests.stage import stage
from simulation.runs import Run
from worker.errors import UsageError

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
    """Perform the rows one after the other, each into its folder; those of one stage on
    one stage.

    Each run takes lines that no earlier one of its stage has used. What an earlier
    matrix left in ``out`` is replaced; ``again``: but for runs of other rows, because
    these are recorded again. ``slim``: without locust's own reports, as the repository
    keeps runs.
    """
    for row in rows:
        row.scenario()
    given.check()
    _clear(out, [row.name for row in rows] if again else ["*"])
    runs: list[Run] = []
    for _, together in groupby(rows, key=lambda row: row.stage):
        runs += _on_one_stage(list(together), given, out, steps)
    if slim:
        for run in runs:
            for report in run.folder.glob(REPORTS):
                report.unlink()
    return runs


def _on_one_stage(rows: list[Row], given: Input, out: Path, steps: Steps) -> list[Run]:
    first, runs = rows[0], []
    if first.apns_rtt_ms is not None:
        given = replace(given, apns_rtt_ms=first.apns_rtt_ms)
    used: set[str] = set()
    with stage(given, settings=first.settings, steps=steps) as here:
        for row in rows:
            scenario, folder = row.scenario(), out / row.name
            run = perform(
                here, scenario, folder, role=row.role, avoid=used, steps=steps
            )
            if run.about["broken"]:
                raise UsageError(f"run {row.name} is broken: {run.about['broken']}")
            steps.say(f"{row.name}: {len(run.records.tasks)} attempts recorded")
            runs.append(run)
            used.update(run.about["routes"])
    return runs


def _clear(out: Path, names: list[str]) -> None:
    """Remove run folders of these names, and nothing else."""
    for name in names:
        for about in list(out.glob(f"{name}/run.json")):
            shutil.rmtree(about.parent)
