"""A matrix performed: its rows one after the other, on one stage."""

import shutil
from pathlib import Path

from loadtests.given import Input
from loadtests.progress import Steps
from loadtests.rows import Row
from loadtests.run import perform
from loadtests.stage import stage
from simulation.runs import Run
from worker.errors import UsageError


def record(rows: tuple[Row, ...], given: Input, out: Path, steps: Steps) -> list[Run]:
    """Perform the rows one after the other on one stage, each into its folder.

    Each run takes lines that no earlier one has used. What an earlier matrix left in
    ``out`` is replaced.
    """
    scenarios = [row.scenario() for row in rows]
    given.check()
    _clear(out)
    runs: list[Run] = []
    used: set[str] = set()
    with stage(given, steps=steps) as here:
        for row, scenario in zip(rows, scenarios, strict=True):
            run = perform(
                here, scenario, out / row.name, role=row.role, avoid=used, steps=steps
            )
            if run.about["broken"]:
                raise UsageError(f"run {row.name} is broken: {run.about['broken']}")
            steps.say(f"{row.name}: {len(run.records.deliveries)} pushes recorded")
            runs.append(run)
            used.update(run.about["routes"])
    return runs


def _clear(out: Path) -> None:
    """Remove run folders, and nothing else."""
    for about in out.glob("*/run.json"):
        shutil.rmtree(about.parent)
