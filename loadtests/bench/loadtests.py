"""What the load test itself costs and how exact it is, beside workers at work."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

from loadtests.bench.row import Row
from loadtests.given import Input
from loadtests.progress import Steps
from loadtests.run import perform
from loadtests.stage import Stage, stage
from loadtests.summary import watched_cpu_s
from simulation.runs import Run
from simulation.scenario import Scenario
from simulation.scenarios import GROUP_LEAST, GROUP_MOST
from worker.errors import UsageError

RATE_PER_S = 520.0
"""Poisson: a little above 500, so that fewer than 500 come in no run of these."""

REPEATS = 3
NO_LIMIT = "push.queue_limit=1000000"
"""The senders cannot keep up with the publisher's rate, and are not meant to."""


def rows(say: Callable[[str], None]) -> Iterator[Row]:
    """Runs on one stage, the one that leaves a backlog last."""
    used: set[str] = set()

    def done(here: Stage, described: Scenario, folder: Path) -> Run:
        say(f"{described.name}, {described.users} users, {described.duration_s:g} s")
        run = perform(here, described, folder, avoid=used, steps=Steps())
        if run.about["broken"]:
            raise UsageError(f"a run of the bench is broken: {run.about['broken']}")
        used.update(run.about["routes"])
        say(_beside(here, run))
        return run

    with (
        tempfile.TemporaryDirectory() as name,
        stage(Input(), settings=[NO_LIMIT], steps=Steps()) as here,
    ):
        out = Path(name)
        many = done(here, _many(), out / "many")
        yield commuters(many)
        yield _recorder_floor(many)
        yield watching(done(here, _busy(), out / "busy"))
        published = [
            done(here, _publishing(number + 1), out / f"publishing-{number}")
            for number in range(REPEATS)
        ]
        yield from _publisher(published)


def _beside(here: Stage, run: Run) -> str:
    """What the workers did meanwhile: a load test beside idle ones costs nothing.

    Of all that they ended, what waited from an earlier run included.
    """
    cores = run.about["workers_cpu_s"] / run.records.duration_s
    ended = sum(
        run.records.started_at <= record.finished_at <= run.records.finished_at
        for record in here.recorder.tasks
    )
    said = (
        f"workers used {cores:.2f} cores and ended {ended} attempts in "
        f"{run.records.duration_s:g} s"
    )
    said += (
        f"; the recorder used {run.about['recorder_cpu_s']:.2f} s, the canary "
        f"{run.about['canary_cpu_s']:.2f} s"
    )
    told = run.about["publisher"]
    if not told["messages"]:
        return said
    late_ms = told["late_p99_s"] * 1000
    return (
        f"{said}; {told['messages']} messages published, 99 % within {late_ms:.1f} ms"
    )


def _many() -> Scenario:
    """Ten thousand riders, all of whom are told of a delay once."""
    return _scenario("disruption", users=10_000, lines=40, onset_every_s=1.0)


def _busy() -> Scenario:
    """Four groups a second, some 350 notifications: of the runs of the full matrix only
    the two heaviest have more of these.
    """
    return _scenario(
        "steady",
        users=400,
        lines=10,
        onset_every_s=4.0,
        groups_per_s=(4.0,),
        group_least=GROUP_LEAST,
        group_most=GROUP_MOST,
    )


def _publishing(number: int) -> Scenario:
    """One notification a message, at a rate that senders cannot keep up with."""
    return _scenario(
        "steady",
        users=10,
        lines=2,
        onset_every_s=5.0,
        duration_s=30.0,
        seed=number,
        groups_per_s=(RATE_PER_S,),
    )


def _scenario(name: str, **values: Any) -> Scenario:
    """What the runs of this room have in common, and what each has of its own."""
    common: dict[str, Any] = {"duration_s": 65.0, "warm_up_s": 5.0, "settle_s": 20.0}
    return Scenario(name=name, question="What does it cost?", **{**common, **values})


def commuters(run: Run) -> Row:
    """What locust costs when every rider is told; UsageError when some were not, since
    riders that hear of nothing cost less.
    """
    reached, users = run.about["commuters_reached"], run.about["users"]
    if reached < users:
        raise UsageError(
            f"a run of the bench reached {reached:,} of its {users:,} commuters, so "
            "that what all of them cost is not known"
        )
    return Row(
        name="locust_10000_commuters",
        value=run.about["locust"]["cpu_s"] / run.records.duration_s,
        unit="cores",
        repeats=1,
        target=0.10,
    )


def watching(run: Run) -> Row:
    """What recorder and canary cost together, beside workers at work."""
    return Row(
        name="recorder",
        value=watched_cpu_s(run.about),
        unit="s of a core",
        baseline="processor time of the workers in the same run",
        baseline_value=run.about["workers_cpu_s"],
        repeats=1,
        target=0.03,
    )


def _recorder_floor(run: Run) -> Row:
    """What the recorder costs whether the workers do anything or not.

    Of workers that idle it is any share. With the canary's millisecond 3 % are to hold
    from a tenth of a core on.
    """
    return Row(
        name="recorder_second",
        value=run.about["recorder_cpu_s"] / run.records.duration_s * 1000,
        unit="ms of a core",
        repeats=1,
        target=1.5,
    )


def _publisher(runs: list[Run]) -> Iterator[Row]:
    late_ms, apart_ms = [], []
    for run in runs:
        told, at = run.about["publisher"], run.about["groups"]["published_at"]
        late_ms.append(told["late_p99_s"] * 1000)
        apart_ms.append((at[-1] - at[0]) / told["messages"] * 1000)
    yield Row(
        name="publisher_schedule_error_p99",
        value=median(late_ms),
        unit="ms",
        repeats=len(runs),
        target=50.0,
    )
    yield Row(
        name="publisher_message",  # 500 a second are 2 ms each
        value=median(apart_ms),
        unit="ms",
        repeats=len(runs),
        target=2.0,
    )
