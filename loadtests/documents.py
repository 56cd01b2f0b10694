"""Tables that documents hold, from the runs that are kept with the project."""

from collections.abc import Callable, Mapping
from typing import Any

from loadtests import canary
from loadtests.summary import watched_cpu_s
from simulation.kept import RUNS, runs_in
from simulation.runs import Run
from worker.measures import MEASURES

USERS = RUNS / "users"
"""Recorded by ``matrix users --slim --out loadtests/runs/users``."""

Rows = list[dict[str, Any]]


def users() -> Rows:
    """What riders felt at each size of the app, and what it took."""
    runs = sorted(runs_in(USERS), key=lambda run: int(run.about["users"]))
    return [row_of(run) for run in runs]


def row_of(run: Run) -> dict[str, str]:
    """One run as a row of the table.

    ``of the workers``: the share of all that watches, the canary included where
    run.json tells of it.
    """
    about = run.about

    def said(name: str, form: str) -> str:
        return format(MEASURES[name].function(run.records), form)

    watched = watched_cpu_s(about) / about["workers_cpu_s"]
    recorder_ms = about["recorder_cpu_s"] / run.records.duration_s * 1000
    canaries = sum(sample.name == "v_eff" for sample in run.records.samples)
    canary_ms = canary.cost_s(canaries) / run.records.duration_s * 1000
    return {
        "users": f"{about['users']:,}",
        "told": f"{about['pushes_arrived']:,}",
        "p50 s": said("p50_push_s", ".1f"),
        "p95 s": said("p95_push_s", ".1f"),
        "p99 s": said("p99_push_s", ".1f"),
        "late": said("late_push_fraction", ".1%"),
        "lost": said("lost", ".0f"),
        "twice": said("duplicated", ".0f"),
        "queue p95 s": said("queue_wait_p95_s", ".2f"),
        "children busy": said("utilization", ".0%"),
        "workers MiB": said("memory_mib", ".0f"),
        "workers cores": f"{about['workers_cpu_s'] / run.records.duration_s:.2f}",
        "locust cores": f"{about['locust']['cpu_s'] / run.records.duration_s:.2f}",
        "recorder ms/s": f"{recorder_ms:.1f}",
        "of the workers": f"{watched:.1%}",
        "canary ms/s": f"{canary_ms:.1f}" if canaries else "not recorded",
        "machine": "noisy" if about["noise"] else "quiet",
    }


TABLES: Mapping[str, Callable[[], Rows]] = {"users": users}
