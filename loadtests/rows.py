"""Sets of runs that a model is made from and judged by, written down beforehand.

A calibration and its hold-outs differ in what the model must cope with: riders, rate
of onsets, bursts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from simulation.scenario import Event, Scenario
from worker.errors import UsageError

CALIBRATION, HOLDOUT = "calibration", "holdout"

WARM_UP_S = 1.0
"""The stage is warm: its workers have polled and loaded before the first run."""

SETTLE_S = 20.0
"""After the last onset: up to a poll period, and some seconds to match and to send."""

DELAY_S = 1_050
"""In the middle of a size class of delays: a trip that gains or loses a minute stays in
it, so that a rider is told once. At a bound many are told twice."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One run of a matrix; ``burst`` lines are delayed at once besides the onsets."""

    name: str
    role: str
    users: int
    duration_s: float
    lines: int
    onset_every_s: float
    seed: int
    burst: int = 0

    def scenario(self) -> Scenario:
        """The row as a scenario."""
        plain = Scenario(
            name="disruption",
            question="How soon do the riders of one delayed line know?",
            users=self.users,
            duration_s=self.duration_s,
            lines=self.lines,
            onset_every_s=self.onset_every_s,
            warm_up_s=WARM_UP_S,
            settle_s=SETTLE_S,
            delay_s=DELAY_S,
            seed=self.seed,
        )
        return with_burst(plain, self.burst)


PLAN = (
    Row(
        name="calibration",
        role=CALIBRATION,
        users=2_000,
        duration_s=95.0,
        lines=40,
        onset_every_s=2.0,
        seed=1,
    ),
    Row(
        name="holdout",
        role=HOLDOUT,
        users=4_000,
        duration_s=95.0,
        lines=60,
        onset_every_s=1.6,
        seed=2,
        burst=12,
    ),
)
QUICK = (
    Row(
        name="calibration",
        role=CALIBRATION,
        users=1_000,
        duration_s=34.0,
        lines=26,
        onset_every_s=0.5,
        seed=1,
    ),
    Row(
        name="holdout",
        role=HOLDOUT,
        users=2_000,
        duration_s=34.0,
        lines=40,
        onset_every_s=0.4,
        seed=2,
        burst=6,
    ),
)
SMALL = (
    Row(
        name="calibration",
        role=CALIBRATION,
        users=300,
        duration_s=95.0,
        lines=40,
        onset_every_s=2.0,
        seed=11,
    ),
    Row(
        name="holdout",
        role=HOLDOUT,
        users=700,
        duration_s=95.0,
        lines=60,
        onset_every_s=1.6,
        seed=12,
        burst=12,
    ),
)
"""Kept in the repository, under loadtests/runs: small files, the shape of PLAN."""

MATRICES: Mapping[str, tuple[Row, ...]] = {"plan": PLAN, "small": SMALL}


def rows_of(name: str, *, quick: bool) -> tuple[Row, ...]:
    """The rows of a matrix; raises UsageError for one that there is not."""
    if name not in MATRICES:
        raise UsageError(
            f"there is no matrix '{name}'; choose one of {', '.join(MATRICES)}"
        )
    return QUICK if quick and name == "plan" else MATRICES[name]


def with_burst(scenario: Scenario, lines: int) -> Scenario:
    """The scenario with that many lines, none of them used yet, delayed at once.

    In the middle of the time in which onsets come. Raises UsageError when the scenario
    has no lines left for it.
    """
    if not lines:
        return scenario
    used = {event.line for event in scenario.events()}
    free = [line for line in range(scenario.lines) if line not in used]
    if len(free) < lines:
        raise UsageError(
            f"a burst of {lines} lines needs as many unused ones, {len(free)} are left"
        )
    onsets_s = scenario.duration_s - scenario.warm_up_s - scenario.settle_s
    burst = tuple(
        Event(
            at_s=scenario.warm_up_s + onsets_s / 2,
            kind="delay",
            value=float(scenario.delay_s),
            duration_s=scenario.duration_s,
            line=line,
        )
        for line in free[:lines]
    )
    return replace(scenario, extra_events=(*scenario.extra_events, *burst))
