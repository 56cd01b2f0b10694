"""Sets of runs that a model is made from and judged by, written down beforehand.

Longer than 250 lines because every run is written out.
A calibration and its hold-outs differ in what the model must cope with: riders, rate
of onsets, bursts; in ``FULL`` also children, batches, a sync beside, a slow outside.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from simulation.scenario import Event, EventKind, Scenario
from simulation.scenarios import GROUP_LEAST, GROUP_MOST
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
    """One run of a matrix; ``burst`` lines are delayed at once besides the onsets.

    ``groups_per_s`` groups of notifications, of up to ``group_most``, are published
    besides, and ``extra_events`` happen. ``apns_rtt_ms`` is of the run's world, which
    rows of the same share. ``settings`` (PATH=VALUE) are of its crew.
    """

    name: str
    role: str
    users: int
    duration_s: float
    lines: int
    onset_every_s: float
    seed: int
    burst: int = 0
    groups_per_s: float = 0.0
    group_most: int = GROUP_MOST
    extra_events: tuple[Event, ...] = ()
    settings: tuple[str, ...] = ()
    apns_rtt_ms: float | None = None

    @property
    def crew(self) -> str:
        """Rows that follow one another with the same have the same workers; those of a
        world of their own begin with fresh ones each.
        """
        return "" if self.apns_rtt_ms is None and not self.settings else self.name

    def scenario(self) -> Scenario:
        """The row as a scenario."""
        plain = Scenario(
            name="steady" if self.groups_per_s else "disruption",
            question="How soon do the riders of one delayed line know?",
            users=self.users,
            duration_s=self.duration_s,
            lines=self.lines,
            onset_every_s=self.onset_every_s,
            warm_up_s=WARM_UP_S,
            settle_s=SETTLE_S,
            delay_s=DELAY_S,
            seed=self.seed,
            groups_per_s=(self.groups_per_s,) if self.groups_per_s else (),
            group_least=GROUP_LEAST,
            group_most=self.group_most,
            extra_events=self.extra_events,
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

FULL_S = 190.0
FULL_RTT_MS = 300.0
FULL_MOST = 380
"""Notifications of the largest groups: up to four messages at once for three children,
so that a queue forms at most groups and is not the luck of a few that meet."""

REPLACED = "pools.bg.max_tasks_per_child=40"
"""As deployed few children are replaced in a run of minutes; with this dozens are, so
that what it costs is measured, and predicted where it matters."""


def _full(name: str, seed: int, rate: float, *settings: str, **changes: Any) -> Row:
    """A run long enough to decide: hundreds of messages at a load that is stated."""
    values: dict[str, Any] = {
        "role": HOLDOUT,
        "users": 400,
        "duration_s": FULL_S,
        "lines": 32,
        "onset_every_s": 6.0,
        "group_most": FULL_MOST,
        "settings": settings,
        "apns_rtt_ms": FULL_RTT_MS,
    }
    return Row(name=name, seed=seed, groups_per_s=rate, **{**values, **changes})


def _each(kind: EventKind, every_s: float, value: float = 0.0) -> tuple[Event, ...]:
    """An event of the kind each so many seconds of a run of ``FULL``."""
    times = int((FULL_S - SETTLE_S) / every_s)
    return tuple(
        Event(at_s=every_s * k, kind=kind, value=value) for k in range(1, times + 1)
    )


FULL = (
    _full("full-calibration-1", 21, 0.8, role=CALIBRATION),
    _full("full-rate", 22, 2.2),
    _full("full-burst", 23, 0.5, extra_events=_each("publish", 15.0, 1_200)),
    _full("full-children-5", 25, 3.0, "pools.bg.children=5"),
    _full(
        "full-calibration-2",
        31,
        1.2,
        role=CALIBRATION,
        extra_events=_each("sync", 24.0),
    ),
    _full("full-batch-40", 26, 1.6, "push.batch_size=40", group_most=180),
    _full("full-replaced", 24, 1.8, REPLACED),
    _full("full-sync", 27, 1.4, extra_events=_each("sync", 15.0)),
    _full(
        "full-slow",
        28,
        0.9,
        extra_events=(
            Event(at_s=30.0, kind="apns_slow", value=0.3, duration_s=70.0),
            Event(at_s=120.0, kind="nsw_slow", value=1.5, duration_s=45.0),
        ),
    ),
    _full("full-calibration-3", 32, 1.0, REPLACED, role=CALIBRATION),
)
"""Recorded runs that a validation can decide on, in about 35 minutes.

Three calibrations, first, in the middle and last, at low and middle loads: what differs
between runs of the same machine is measured too. One has syncs of a database that has a
timetable already, one has children replaced, as a hold-out each has. No hold-out has a
calibration's rate, and each differs from them in one thing.
"""

USERS = tuple(
    Row(
        name=f"users-{users}",
        role=HOLDOUT,
        users=users,
        duration_s=65.0,
        lines=24,
        onset_every_s=1.8,
        seed=30 + place,
    )
    for place, users in enumerate((1_000, 2_000, 5_000, 10_000))
)
"""One disruption, at the sizes that the app is to grow to."""

MATRICES: Mapping[str, tuple[Row, ...]] = {
    "plan": PLAN,
    "small": SMALL,
    "full": FULL,
    "users": USERS,
}


def rows_of(name: str, *, quick: bool, only: Sequence[str] = ()) -> tuple[Row, ...]:
    """The rows of a matrix, or ``only`` those; raises UsageError for one that there is
    not, and for a ``quick`` one of a matrix that has no shorter runs.
    """
    if name not in MATRICES:
        raise UsageError(
            f"there is no matrix '{name}'; choose one of {', '.join(MATRICES)}"
        )
    if quick and name != "plan":
        raise UsageError(
            f"--quick is of the matrix plan, {name} has no shorter runs: type it "
            "without --quick"
        )
    rows = QUICK if quick else MATRICES[name]
    unknown = set(only) - {row.name for row in rows}
    if unknown:
        raise UsageError(
            f"the matrix {name} has no run {', '.join(sorted(unknown))}; choose from "
            f"{', '.join(row.name for row in rows)}"
        )
    return tuple(row for row in rows if not only or row.name in only)


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
