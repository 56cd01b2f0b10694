"""What a run leaves, joined from all who saw it: records, and how it came to be."""

import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from loadtests import canary
from loadtests.assignment import Assignment
from loadtests.deliveries import (
    Arrival,
    Published,
    arrived,
    join,
    published,
    read_outbox,
)
from loadtests.machine import machine, versions
from loadtests.recorder import canary_samples
from loadtests.stage import Stage
from worker.measures import Recorded, quantile
from worker.records import Delivery, Sample, TaskRecord, as_row

CANARY_FILE = "canary.txt"
_GROUPS = ("published_at", "notifications")


def gather(
    stage: Stage, run: Assignment, told: dict[str, Any]
) -> tuple[Recorded, dict[str, Any]]:
    """Records of a run that is over, and run.json but for what watching it has shown.

    ``told`` is what the locust process said of itself.
    """
    told = dict(told)
    stage.recorder.follow()
    publisher = told.pop("published", {})
    until = float(told.get("ended_at") or time.time())
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
            **{name: publisher.get(name, []) for name in _GROUPS},
            "unended_at": unended_at(publisher, tasks),
            "left_at": publisher.get("left_at", []),
        },
        "publisher": _reconciled(publisher, stage.recorder.tasks),
        "sync": as_row(stage.sync),
        "locust": told,
        **_counted(pushes, outbox),
        **_costs(stage, samples),
    }
    return recorded, about


def left_undone(run: Assignment, told: dict[str, Any]) -> str:
    """What the load itself did not do of its scenario, in words; empty when it did all.

    Figures of a load that was not there say nothing of the workers.
    """
    events = sum(event.kind != "publish" for event in run.scenario.events())
    happened = len(told.get("events_late_s", ()))
    if happened < events:
        return f"{happened} of its {events} events happened"
    groups = len(run.scenario.groups())
    published = len(told.get("published", {}).get("notifications", ()))
    if published < groups:
        return f"{published} of its {groups} groups were published"
    return ""


def counted_apart(about: Mapping[str, Any]) -> str:
    """Where locust and the recorder did not count the same pushes, in words; empty
    when they did. One of them has missed some then, and nobody knows which.
    """
    told = about["locust"]
    failures = told.get("failures", 0)
    locusts = (told.get("requests", 0) - failures, failures)
    recorders = (about["pushes_arrived"], about["pushes_lost"])
    if locusts == recorders:
        return ""
    return (
        f"locust counted {locusts[0]} pushes that came and {locusts[1]} that did not, "
        f"the recorder {recorders[0]} and {recorders[1]}"
    )


def unended_at(
    publisher: Mapping[str, Any], ended: Sequence[TaskRecord]
) -> list[float]:
    """When the publisher handed over each of its messages no attempt of which has
    ended: nothing else says of them that they waited.
    """
    known = {record.task_id for record in ended}
    handed = zip(
        publisher.get("message_ids", ()), publisher.get("handed_at", ()), strict=True
    )
    return [at for message, at in handed if message not in known]


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
        *canary_samples(stage.rig.folder / CANARY_FILE),
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
    canaries = sum(s.name == "v_eff" for s in samples)
    return {
        "workers_cpu_s": round(workers_s, 3),
        "recorder_cpu_s": round(stage.recorder.cpu_s, 3),
        "canary_cpu_s": round(canary.cost_s(canaries), 3),
    }
