"""One run: a scenario on the real workers, recorded into a folder."""

import json
import time
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from loadtests import canary
from loadtests.assignment import Assignment, assign
from loadtests.cut import RunCutError, in_a_whole_world
from loadtests.gather import CANARY_FILE, counted_apart, gather, left_undone
from loadtests.machine import busy_cores_s
from loadtests.outlet import of_a_whole_run
from loadtests.prepared import prepare
from loadtests.progress import Steps
from loadtests.riders import settle_in
from loadtests.rig.rig import ROOT
from loadtests.stage import Stage
from loadtests.stages import GRACE_S, lead_s
from simulation.noise import complaints, drift_judged, v_eff_of
from simulation.runs import Run, write_run
from simulation.scenario import Scenario

LOCUST, CANARY = "locust", "canary"
WORLD = ("valkey", "postgres", "outside")
"""What a run stands in, and nothing of it can be gathered without."""
LOCUST_END_S = 20.0
"""Locust writes its reports within this after the run."""

LOCUSTFILE = ROOT / "loadtests" / "locustfile.py"


@dataclass(kw_only=True)
class _Watched:
    """What was seen from outside while a run lasted."""

    broken: str = ""
    neighbours_cores: float = 0.0


def perform(
    stage: Stage,
    scenario: Scenario,
    folder: Path,
    *,
    role: str = "",
    avoid: Collection[str] = (),
    steps: Steps,
) -> Run:
    """Run the scenario on the stage and leave its run folder.

    ``avoid``: routes that an earlier run on this stage has delayed, and still does.
    A worker that dies ends the run; the folder is written and says so (``broken``).
    Raises RunCutError, and leaves no new folder, when the world itself fails.
    """
    with of_a_whole_run(folder), in_a_whole_world("during the run"):
        run = assign(scenario, stage.lines(), starts_at=0.0, avoid=avoid)
        settle_in(stage.rig.servers.admin_database_url, run)
        if stage.input.realtime:
            stage.tell_what_is_known()
        run = replace(run, starts_at=time.time() + lead_s(scenario))
        prepared = prepare(stage.rig.servers.admin_database_url, run)
        run = replace(run, notifications=prepared)
        _start_locust(stage, run, folder)
        watched = _watch(stage, run, steps)
        told = _end_locust(stage, run, folder, watched)
        watched.broken = watched.broken or left_undone(run, told)
        recorded, about = gather(stage, run, told)
        about["neighbours_cores"] = round(watched.neighbours_cores, 3)
        about["broken"] = watched.broken or counted_apart(about)
        draft = Run(folder=folder, about=about, records=recorded)
        about["v_eff"] = v_eff_of(draft)
        about["noise"] = complaints(draft)
        about["quiet"] = not about["noise"]
        about["drift_judged"] = drift_judged(draft)
        about["runs_before"] = stage.runs
        stage.runs += 1
        if role:
            about["role"] = role
        return write_run(folder, about, recorded)


def _start_locust(stage: Stage, run: Assignment, folder: Path) -> None:
    described = stage.rig.folder / "assignment.json"
    run.write(described)
    (stage.rig.folder / "told.json").unlink(missing_ok=True)
    (stage.rig.folder / CANARY_FILE).unlink(missing_ok=True)
    processes = stage.processes
    processes.start(
        CANARY,
        [canary.__file__, str(stage.rig.folder / CANARY_FILE), str(canary.PERIOD_S)],
    )
    reports = folder.resolve()
    processes.start(
        LOCUST,
        [
            *("-m", "locust", "-f", str(LOCUSTFILE), "--headless", "--only-summary"),
            *("--control-url", stage.rig.control_url, "--assignment", str(described)),
            *("--told", str(stage.rig.folder / "told.json")),
            *("--csv", str(reports / "locust"), "--html", str(reports / "locust.html")),
            *("--loglevel", "WARNING", "--exit-code-on-error", "0"),
            *(["--i-own-this-host"] if stage.input.i_own_this_host else []),
        ],
    )


def _watch(stage: Stage, run: Assignment, steps: Steps) -> _Watched:
    watched = _Watched()
    recorder = stage.recorder
    recorder.begin(run.starts_at)
    needed = (*stage.processes.started, LOCUST, CANARY)
    world = [name for name in WORLD if name in stage.processes.alive()]
    total_s = run.scenario.duration_s
    since, busy_before_s = time.time(), busy_cores_s()
    used_before_s = stage.processes.cpu_s()
    with steps.bar(f"{run.scenario.name}, {run.scenario.users} users", total_s) as bar:

        def each_second(now: float) -> bool:
            bar(
                max(0.0, now - run.starts_at),
                f"{len(recorder.tasks)} attempts recorded",
            )
            for name in stage.processes.dead(world):
                raise RunCutError(
                    f"{name} of the stand-in world died during the run, of which "
                    "nothing can be kept; run it again: "
                    f"{stage.processes.last_words(name)}"
                )
            for name in stage.processes.dead(needed):
                watched.broken = (
                    f"{name} died {now - run.starts_at:.0f} s into the run: "
                    f"{stage.processes.last_words(name)}"
                )
            return not watched.broken

        recorder.watch(run.ends_at, each_second=each_second)
    busy_s = busy_cores_s() - busy_before_s
    used_s = stage.processes.cpu_s() - used_before_s
    watched.neighbours_cores = max(0.0, busy_s - used_s) / (time.time() - since)
    return watched


def _end_locust(
    stage: Stage, run: Assignment, folder: Path, watched: _Watched
) -> dict[str, Any]:
    """Wait for locust's own end; what it counted."""
    deadline = time.monotonic() + GRACE_S + LOCUST_END_S
    while not watched.broken and stage.processes.dead([LOCUST]) == []:
        if time.monotonic() > deadline:
            watched.broken = "locust did not end by itself"
        time.sleep(0.1)
    for name in (LOCUST, CANARY):
        stage.processes.stop(name)
    try:
        told = json.loads((stage.rig.folder / "told.json").read_text())
    except (OSError, ValueError):
        watched.broken = watched.broken or (
            f"locust told nothing: {stage.processes.last_words(LOCUST)}"
        )
        return {}
    return dict(told)
