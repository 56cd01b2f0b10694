"""Both engines beside queueing theory, each with a confidence interval."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from simulation import kernel
from simulation.engine import World
from simulation.engine.behaviours import Behaviours
from simulation.layout import Layout
from simulation.replications import Estimate, until_precise
from simulation.steady import truncation
from simulation.systems import SYSTEMS, Seen, System, draw, little
from simulation.tables import Tables

CONFIDENCE = 0.999
"""Of each interval: stopping once precise makes intervals a little too short."""
PRECISE = 0.20
"""Half-width, as a share of the mean, beyond which an interval decides nothing."""
PILOTS = 5
"""Replications whose mean course shows how long a system needs to settle."""

Verdict = Literal["within", "outside", "inconclusive"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """Theory beside an engine: mean over replications and its interval."""

    metric: str
    run: str
    theory: float
    predicted: float
    interval: tuple[float, float]
    verdict: Verdict
    reason: str

    def as_json(self) -> dict[str, Any]:
        """The check under the names of the run-folder contract."""
        error = (self.predicted - self.theory) / self.theory if self.theory else 0.0
        return {
            "metric": self.metric,
            "run": self.run,
            "theory": self.theory,
            "predicted": self.predicted,
            "interval": list(self.interval),
            "relative_error": error,
            "threshold": PRECISE,
            "verdict": self.verdict,
            "reason": self.reason,
        }


def of_engine(layout: Layout, tables: Tables) -> tuple[Seen, int]:
    """What the SimPy engine makes of a system, and how many messages it cannot account
    for: published less done and inside.
    """
    world = World(layout, tables, behaviours=lambda _: Behaviours())
    result = world.run()
    lines = result.journal.lines
    missing = result.published + result.redelivered - len(lines) - result.inside
    return _seen(
        tables,
        [tables.ticking.index(line.task) for line in lines],
        [line.enqueued_at for line in lines],
        [line.started_at for line in lines],
        [line.finished_at for line in lines],
    ), missing


def of_kernel(layout: Layout, tables: Tables) -> tuple[Seen, int]:
    """What the compiled twin makes of it. It ends with the tables, so that what it has
    published and not done is inside by definition.
    """
    left = kernel.run(layout, tables)
    return _seen(
        tables, left.task, left.enqueued_at, left.started_at, left.finished_at
    ), 0


Engine = Callable[[Layout, Tables], tuple[Seen, int]]
ENGINES: dict[str, Engine] = {"engine": of_engine, "kernel": of_kernel}


def verify(
    *,
    messages: int = 4_000,
    most: int = 40,
    seed: int = 1,
    step: Callable[[str], None] = lambda _: None,
) -> list[Check]:
    """Every system beside theory in both engines, then Little's law and conservation.

    Each is replicated until its interval is ``PRECISE``, at most ``most`` times.
    ``step`` is told what is being checked.
    """

    def check(system: System, name: str) -> Check:
        step(f"{system.metric} of {system.name} ({name})")
        return _check(system, name, messages, most, seed)

    checks = [check(system, name) for name in ENGINES for system in SYSTEMS]
    queue = SYSTEMS[1]
    law = System(
        name=queue.name, metric="L / (lambda W)", expected=1.0, figure=little,
        arrivals=queue.arrivals, children=queue.children,
    )  # fmt: skip
    missing = sum(of_engine(*draw(system, messages, 0, seed))[1] for system in SYSTEMS)
    return [
        *checks,
        *(check(law, name) for name in ENGINES),
        Check(
            metric="published less done and inside",
            run="every system (engine)",
            theory=0.0,
            predicted=float(missing),
            interval=(float(missing), float(missing)),
            verdict="outside" if missing else "within",
            reason="counted, not estimated",
        ),
    ]


def settled_at(system: System, engine: Engine, messages: int, seed: int) -> float:
    """Share of a replication after which its start no longer shows (MSER-5, on the mean
    course of some replications of their own).
    """
    courses = []
    for pilot in range(PILOTS):
        seen, _ = engine(*draw(system, messages, pilot, seed + 1_000_003))
        courses.append(seen.wait_s if system.cores is None else _sojourns(seen))
    shortest = min(len(course) for course in courses)
    mean = np.mean([course[:shortest] for course in courses], axis=0)
    return truncation(mean) / shortest


def _check(system: System, name: str, messages: int, most: int, seed: int) -> Check:
    engine = ENGINES[name]
    share = settled_at(system, engine, messages, seed)

    def figure(replication: int) -> float:
        seen, _ = engine(*draw(system, messages, replication, seed))
        return system.figure(seen.since(share * seen.end_at))

    estimate = until_precise(
        figure, relative=PRECISE, fewest=10, most=most, confidence=CONFIDENCE
    )
    verdict, reason = _judge(system.expected, estimate, messages)
    return Check(
        metric=system.metric,
        run=f"{system.name} ({name})",
        theory=system.expected,
        predicted=estimate.mean,
        interval=estimate.interval,
        verdict=verdict,
        reason=reason,
    )


def _judge(expected: float, estimate: Estimate, messages: int) -> tuple[Verdict, str]:
    low, high = estimate.interval
    ran = f"{estimate.replications} replications of {messages} messages"
    if not low <= expected <= high:
        return "outside", f"theory lies outside the interval of {ran}"
    if not estimate.precise:
        wide = estimate.half_width / abs(estimate.mean) / PRECISE
        needed = int(estimate.replications * wide**2) + 1
        return "inconclusive", f"{ran}; it needs about {needed} replications"
    return "within", ran


def _sojourns(seen: Seen) -> Any:
    return seen.finished_at - seen.enqueued_at


def _seen(
    tables: Tables, task: Any, enqueued: Any, started: Any, finished: Any
) -> Seen:
    order = np.argsort(np.asarray(enqueued), kind="stable")
    return Seen(
        tasks=tables.ticking,
        task=np.asarray(task)[order],
        enqueued_at=np.asarray(enqueued, dtype=np.float64)[order],
        started_at=np.asarray(started, dtype=np.float64)[order],
        finished_at=np.asarray(finished, dtype=np.float64)[order],
        end_at=tables.end_at,
    )
