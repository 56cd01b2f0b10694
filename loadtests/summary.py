"""What a run says, as a table for a person."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from loadtests.knee import Step, knee_of, steps_of
from simulation.runs import Run
from worker.measures import MEASURES, Recorded, quantile
from worker.policy.objectives import OBJECTIVES

SHOWN = (
    *("p50_push_s", "p95_push_s", "p99_push_s", "late_push_fraction", "lost"),
    *("duplicated", "queue_wait_p95_s", "success_rate", "realtime_age_p99_s"),
    *("throughput_per_s", "utilization", "memory_mib"),
)

SIDE_BY_SIDE = {
    "p50_push_s": "p50 s",
    "p95_push_s": "p95 s",
    "p99_push_s": "p99 s",
    "late_push_fraction": "late",
    "lost": "lost",
    "queue_wait_p95_s": "wait",
    "utilization": "busy",
    "memory_mib": "MiB",
}


def measured(run: Recorded) -> dict[str, float | None]:
    """Every measure of a run by name; None where nothing was measured."""
    values = {name: measure.function(run) for name, measure in MEASURES.items()}
    return {name: value if value == value else None for name, value in values.items()}


def print_summary(console: Console, about: Mapping[str, Any], run: Recorded) -> None:
    """Measures beside their objectives, tasks, and how far the run can be trusted."""
    console.print(_measures(about, run))
    console.print(_tasks(run))
    steps = steps_of(about, run)
    if steps:
        console.print(_ramp(steps))
    for line in remarks(about):
        console.print(line, markup=False, highlight=False)


def print_side_by_side(console: Console, runs: Sequence[Run]) -> None:
    """Several runs, a row each: what riders felt, and what it took; 80 columns."""
    table = Table(title="pushes (published to arrived), queues, children, memory")
    table.add_column("run", no_wrap=True)
    for heading in SIDE_BY_SIDE.values():
        table.add_column(heading, justify="right", no_wrap=True)
    for run in runs:
        figures = (MEASURES[name].function(run.records) for name in SIDE_BY_SIDE)
        table.add_row(run.name, *(f"{figure:.3g}" for figure in figures))
    console.print(table)


def remarks(about: Mapping[str, Any]) -> list[str]:
    """What must be known before a figure of the run is believed, a line each."""
    told = about.get("locust", {})
    failures = told.get("failures", 0)
    came = told.get("requests", 0) - failures  # locust's requests hold its failures
    lines = [
        _claim(about),
        f"locust counted {came} pushes and {failures} that never came; the recorder "
        f"{about['pushes_arrived']} and {about['pushes_lost']}",
    ]
    publisher = about.get("publisher") or {}
    if publisher.get("messages"):
        lines.append(
            f"the publisher counted {publisher['messages']} messages with "
            f"{publisher['notifications']} notifications, 99 % handed over within "
            f"{publisher['late_p99_s'] * 1000:.1f} ms of their instant; the recorder "
            f"{publisher['messages_recorded']} and "
            f"{publisher['notifications_recorded']}"
        )
        if publisher.get("left_to_sweep"):
            lines.append(
                f"{publisher['left_to_sweep']} of these notifications were left to the "
                "sweep: the queue was too long, or the broker away"
            )
    if about.get("workers_cpu_s"):
        lines.append(
            f"{_watching(about)} of the workers' {about['workers_cpu_s']:.2f} s; "
            f"locust {told.get('cpu_s', 0.0):.2f} s"
        )
    if about.get("broken"):
        lines.append(f"BROKEN, not to be averaged: {about['broken']}")
    lines.append(_noise(about))
    return lines


def _noise(about: Mapping[str, Any]) -> str:
    noise = about.get("noise") or []
    said = f"noisy: {'; '.join(noise)}" if noise else "quiet machine"
    if not about.get("drift_judged", True):
        said += "; too short to judge drift"
    return said


def watched_cpu_s(about: Mapping[str, Any]) -> float:
    """Seconds of a core that watching a run took: the recorder's, and the canary's
    where run.json tells of them, as it did not at first.
    """
    return float(about["recorder_cpu_s"]) + float(about.get("canary_cpu_s", 0.0))


def _watching(about: Mapping[str, Any]) -> str:
    parts = f"the recorder used {about['recorder_cpu_s']:.2f} s of a core"
    if "canary_cpu_s" in about:
        parts += (
            ", the canary, which measures the machine, at least "
            f"{about['canary_cpu_s']:.2f} s: together"
        )
    else:
        parts += ", what its canary used is not recorded:"
    return f"{parts} {watched_cpu_s(about) / about['workers_cpu_s']:.1%}"


def _claim(about: Mapping[str, Any]) -> str:
    """What the figures rest on: onsets, when in the poll period, whom they reached."""
    onsets, period_s = about["events"], about["scenario_as_run"]["poll_period_s"]
    lines = [line for onset in onsets for line in onset["lines"]]
    quarters = Counter(
        int(onset["published_at"] % period_s / period_s * 4) for onset in onsets
    )
    reached, users = about["commuters_reached"], about["users"]
    return (
        f"{len(onsets)} onsets, {len(lines) - len(set(lines))} on a line used before, "
        f"by quarter of the poll period {', '.join(str(quarters[n]) for n in range(4))}"
        f"; {reached} of {users} commuters were reached ({reached / users:.0%}); "
        f"{about['pushes_due']} pushes due, {about['pushes_lost']} lost, "
        f"{about['pushes_duplicated']} duplicated"
    )


def _measures(about: Mapping[str, Any], run: Recorded) -> Table:
    title = f"{about['scenario']}, {about['users']} users, {run.duration_s:.0f} s"
    table = Table(title=title)
    for column, justify in (("measure", "left"), ("value", "right"), ("unit", "left")):
        table.add_column(column, justify=justify)  # type: ignore[arg-type]
    table.add_column("objective")
    promises = {objective.measure: objective for objective in OBJECTIVES.values()}
    for name in SHOWN:
        value = MEASURES[name].function(run)
        promise = promises.get(name)
        said = ""
        if promise is not None:
            sign = "<=" if promise.sense == "at_most" else ">="
            kept = "kept" if promise.met(value) else "missed"
            said = f"{sign} {promise.limit:g} {kept}"
        table.add_row(name, _number(value), MEASURES[name].unit, said)
    return table


def _tasks(run: Recorded) -> Table:
    table = Table(title="attempts")
    table.add_column("task")
    for column in ("attempts", "succeeded", "wait p95 s", "service p50 s", "p95 s"):
        table.add_column(column, justify="right")
    for name in sorted({record.task for record in run.tasks}):
        mine = run.of_task(name).tasks
        started = [record for record in mine if record.started_at is not None]
        table.add_row(
            name,
            str(len(mine)),
            str(sum(record.outcome == "succeeded" for record in mine)),
            _number(quantile((r.wait_s for r in started), 0.95)),
            _number(quantile((r.service_s for r in started), 0.50)),
            _number(quantile((r.service_s for r in started), 0.95)),
        )
    return table


def _ramp(steps: Sequence[Step]) -> Table:
    limit = OBJECTIVES["queue_wait"].limit
    knee = knee_of(steps)
    found = (
        "no knee: every rate was kept up with; more --users go further"
        if knee is None
        else f"the knee is at {knee.offered_per_s:.0f} notifications a second"
    )
    table = Table(title=f"ramp: {found}", caption=f"kept up: p95 wait <= {limit:g} s")
    for column in ("stated/s", "notifications/s", "wait p95 s", "kept up"):
        table.add_column(column, justify="right")
    for step in steps:
        table.add_row(
            _number(step.stated_per_s),
            _number(step.offered_per_s),
            _number(step.wait_p95_s),
            ("yes" if step.kept_up else "no") if step.offered_per_s else "-",
        )
    return table


def _number(value: float) -> str:
    return "-" if value != value else f"{value:,.3f}".rstrip("0").rstrip(".")
