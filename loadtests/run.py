"""One run: a scenario on the real workers, recorded into a folder."""

import json
import shlex
import sys
import time
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from loadtests import canary
from loadtests.assignment import Assignment, assign
from loadtests.deliveries import (
    Arrival,
    Published,
    arrived,
    join,
    published,
    read_outbox,
)
from loadtests.machine import busy_cores_s, machine, versions
from loadtests.prepared import prepare
from loadtests.progress import Steps
from loadtests.recorder import canary_samples
from loadtests.riders import settle_in
from loadtests.rig.rig import ROOT
from loadtests.stage import Stage
from loadtests.stages import GRACE_S, lead_s
from simulation.noise import complaints, v_eff_of
from simulation.runs import Run, write_run
from simulation.scenario import Scenario
from worker.measures import Recorded, quantile
from worker.records import Delivery, Sample, TaskRecord, as_row

LOCUST, CANARY = "locust", "canary"
LOCUST_END_S = 20.0
"""Locust writes its reports within this after the run."""

LOCUSTFILE = ROOT / "loadtests" / "locustfile.py"


@dataclass(kw_only=True)
class _Watched:
    """What was seen from outside while a run lasted."""

    broken: str = ""
    used_before_s: float = 0.0
    busy_before_s: float = 0.0
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
    """
    run = assign(scenario, stage.lines(), starts_at=0.0, avoid=avoid)
    settle_in(stage.rig.servers.admin_database_url, run)
    if stage.input.realtime:
        stage.tell_what_is_known()
    run = replace(run, starts_at=time.time() + lead_s(scenario))
    prepared = prepare(stage.rig.servers.admin_database_url, run)
    run = replace(run, notifications=prepared)
    folder.mkdir(parents=True, exist_ok=True)
    _start_locust(stage, run, folder)
    watched = _watch(stage, run, steps)
    told = _end_locust(stage, run, folder, watched)
    recorded, about = _gather(stage, run, told, watched)
    draft = Run(folder=folder, about=about, records=recorded)
    about["v_eff"] = v_eff_of(draft)
    about["noise"] = complaints(draft)
    about["quiet"] = not about["noise"]
    about["runs_before"] = stage.runs
    stage.runs += 1
    if role:
        about["role"] = role
    return write_run(folder, about, recorded)


def default_folder(out: Path, scenario: Scenario) -> Path:
    """``out/<scenario>-<users>-<time>``."""
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    return out / f"{scenario.name}-{scenario.users}-{now}"


def _start_locust(stage: Stage, run: Assignment, folder: Path) -> None:
    described = stage.rig.folder / "assignment.json"
    run.write(described)
    (stage.rig.folder / "told.json").unlink(missing_ok=True)
    (stage.rig.folder / "canary.txt").unlink(missing_ok=True)
    processes = stage.processes
    processes.start(
        CANARY,
        [canary.__file__, str(stage.rig.folder / "canary.txt"), str(canary.PERIOD_S)],
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
        ],
    )


def _watch(stage: Stage, run: Assignment, steps: Steps) -> _Watched:
    watched = _Watched()
    recorder = stage.recorder
    recorder.begin(run.starts_at)
    needed = (*stage.processes.started, LOCUST, CANARY)
    total_s = run.scenario.duration_s
    with steps.bar(f"{run.scenario.name}, {run.scenario.users} users", total_s) as bar:

        def each_second(now: float) -> bool:
            if now >= run.starts_at and not watched.busy_before_s:
                watched.used_before_s = stage.processes.cpu_s()
                watched.busy_before_s = busy_cores_s()
            bar(
                max(0.0, now - run.starts_at),
                f"{len(recorder.tasks)} attempts recorded",
            )
            for name in stage.processes.dead(needed):
                watched.broken = (
                    f"{name} died {now - run.starts_at:.0f} s into the run: "
                    f"{stage.processes.last_words(name)}"
                )
            return not watched.broken

        recorder.watch(run.ends_at, each_second=each_second)
    busy_s = busy_cores_s() - watched.busy_before_s
    used_s = stage.processes.cpu_s() - watched.used_before_s
    watched.neighbours_cores = max(0.0, busy_s - used_s) / total_s
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


def _gather(
    stage: Stage, run: Assignment, told: dict[str, Any], watched: _Watched
) -> tuple[Recorded, dict[str, Any]]:
    stage.recorder.follow()
    publisher = told.pop("published", {})
    until = float(told.get("ended_at", time.time()))
    delays = published(stage.control.events(), run.starts_at)
    outbox = read_outbox(stage.rig.servers.admin_database_url, run.starts_at)
    pushes = join(run, delays, outbox, _arrivals(stage, run.starts_at, until))
    tasks = _within(stage.recorder.tasks, run)
    samples = _samples(stage, run)
    recorded = Recorded(
        tasks=tasks,
        deliveries=pushes,
        samples=samples,
        started_at=run.starts_at,
        finished_at=run.ends_at,
    )
    scenario = run.scenario
    about: dict[str, Any] = {
        "source": "worker",
        "scenario": scenario.name,
        "question": scenario.question,
        "users": scenario.users,
        "seed": scenario.seed,
        "lines": scenario.lines,
        "routes": list(run.routes),
        "scenario_as_run": asdict(scenario),
        "settings": list(stage.settings),
        "policy": asdict(stage.policy),
        "command": command(),
        "input": stage.input.as_json(),
        "machine": machine(),
        "versions": versions(),
        "clock_offset_s": stage.rig.clock_offset_s,
        "events": _events(run, delays),
        "happened": told.pop("happened", []),
        "groups": {
            name: publisher.get(name, []) for name in ("published_at", "notifications")
        },
        "publisher": _reconciled(publisher, stage.recorder.tasks),
        "sync": as_row(stage.sync),
        "locust": told,
        "neighbours_cores": round(watched.neighbours_cores, 3),
        "broken": watched.broken,
        **_counted(pushes, outbox),
        **_costs(stage, samples),
    }
    return recorded, about


def command() -> str:
    """What the user typed, without the folders of this machine."""
    arguments = [Path(a).name if Path(a).is_absolute() else a for a in sys.argv[1:]]
    return shlex.join(["python", "-m", "loadtests", *arguments])


def _arrivals(stage: Stage, since: float, until: float) -> list[Arrival]:
    found: list[Arrival] = []
    after = 0
    while True:
        after, page = stage.control.arrivals(after, 0.0)
        if not page:
            return [a for a in found if since <= a.at <= until]
        found += arrived(page)


def _within(tasks: Sequence[TaskRecord], run: Assignment) -> list[TaskRecord]:
    """Attempts of messages that were enqueued, and that ended, within the window."""
    return [
        record
        for record in tasks
        if run.starts_at <= record.enqueued_at and record.finished_at <= run.ends_at
    ]


def _samples(stage: Stage, run: Assignment) -> list[Sample]:
    pools = [
        Sample(
            at=run.starts_at,
            name="children",
            label=pool.name,
            value=float(pool.children),
        )
        for pool in stage.policy.pools.values()
    ]
    seen = [
        *stage.recorder.samples,
        *canary_samples(stage.rig.folder / "canary.txt"),
    ]
    return pools + [s for s in seen if run.starts_at <= s.at <= run.ends_at]


def _events(run: Assignment, delays: Sequence[Published]) -> list[dict[str, Any]]:
    return [
        {
            "published_at": delay.at,
            "lines": list(delay.routes),
            "riders": sum(run.riders_of(route) for route in delay.routes),
            "trips": delay.trips,
        }
        for delay in delays
    ]


def _counted(pushes: Sequence[Delivery], outbox: Sequence[Any]) -> dict[str, int]:
    """The recorder's own counters, to be held against locust's."""
    arrivals = [p for p in pushes if p.arrived_at is not None]
    came = {p.notification_id for p in arrivals}
    due = {p.notification_id for p in pushes}
    return {
        "commuters_reached": len({p.token for p in arrivals}),
        "pushes_due": len(due),
        "pushes_arrived": len(came),
        "pushes_lost": len(due - came),
        "pushes_duplicated": len(arrivals) - len(came),
        "notifications": len(outbox),
    }


def _reconciled(
    publisher: dict[str, Any], tasks: Sequence[TaskRecord]
) -> dict[str, float]:
    """What the publisher says it did, beside what the recorder has seen of it."""
    ids = set(publisher.get("message_ids", ()))
    mine = [record for record in tasks if record.task_id in ids]
    late_s = publisher.get("late_s", ())
    return {
        "messages": len(ids),
        "messages_recorded": len({record.task_id for record in mine}),
        "notifications": sum(publisher.get("notifications", ())),
        "notifications_recorded": sum(r.detail.get("claimed", 0) for r in mine),
        "left_to_sweep": publisher.get("left_to_sweep", 0),
        "late_p99_s": round(quantile(late_s, 0.99), 6) if late_s else 0.0,
    }


def _costs(stage: Stage, samples: Sequence[Sample]) -> dict[str, float]:
    workers_s = sum(s.value for s in samples if s.name == "cpu_s")
    return {
        "workers_cpu_s": round(workers_s, 3),
        "recorder_cpu_s": round(stage.recorder.cpu_s, 3),
    }
