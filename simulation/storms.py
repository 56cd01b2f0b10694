"""Storm hours in the kernel: what riders wait for, and what it depends on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from simulation import kernel
from simulation.assumptions import ASSUMPTIONS, believed
from simulation.demands import POLL, PUSH, Calibration
from simulation.hour import SETTLE_S, deployed, platform, storm_hour
from simulation.layout import Layout
from simulation.loop import COLD_START_S, first_firing
from simulation.rules import rules_of
from simulation.signals import instants, signals, waiting_at
from simulation.tables import Floats, Machine, Tables
from simulation.workload import Happenings, tables_of
from worker.policy import POLICY, Policy
from worker.policy.objectives import LATE_PUSH_S

STAGES = ("until the poll", "polled", "until matched", "queued", "sent")
SWINGS = (
    "apns_rtt_s", "storm_alpha", "storm_beta", "pushes_per_user_day",
    "throttled_share", "throttle_round_s", "throttle_s", "sync_io_s", "sync_cpu_s",
)  # fmt: skip
"""Assumptions on which a storm's pushes hang; the others are about money."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """Pushes of modelled storm hours: seconds each, and where they went by stage."""

    took_s: Floats
    stages: Floats
    lost: int

    @property
    def late(self) -> float:
        """Share of pushes that came late, or never."""
        slow = int((self.took_s > LATE_PUSH_S).sum()) + self.lost
        return slow / max(1, len(self.took_s) + self.lost)

    def quantile_s(self, share: float) -> float:
        """Seconds within which that share had arrived."""
        return float(np.quantile(self.took_s, share)) if len(self.took_s) else np.nan


def storms(
    calibration: Calibration,
    users: int,
    *,
    policy: Policy = POLICY,
    hours: int = 40,
    seed: int = 1,
    beliefs: Mapping[str, float] | None = None,
    without: str = "",
) -> Told:
    """The same ``hours`` hours with a storm in each; ``without`` one of ``CAUSES``."""
    beliefs = believed() if beliefs is None else beliefs
    here, machine = deployed(calibration, beliefs), platform(calibration, policy)
    layout = Layout.of(policy)
    if without == "recycling":
        machine = replace(machine, respawn_s=machine.between_s)
    elif without == "sharing cores":
        machine = replace(machine, v_eff=float(layout.children))
    elif without == "handing over":
        machine = replace(machine, parent_s=0.0)
    lived = [
        _spared(
            storm_hour(users, seed=seed, replication=replication, beliefs=beliefs),
            without,
        )
        for replication in range(hours)
    ]
    return _told(lived, here, layout, machine, seed)


def _told(
    lived: Sequence[Happenings],
    calibration: Calibration,
    layout: Layout,
    machine: Machine,
    seed: int,
) -> Told:
    took, parts, lost = [], [], 0
    for replication, happenings in enumerate(lived):
        attempts, tables = ran(
            happenings, calibration, layout, machine, seed=seed, replication=replication
        )
        due, took_s, unheard = heard(attempts, tables)
        took.append(took_s)
        parts.append(stages(attempts, tables)[due])
        lost += unheard
    return Told(took_s=np.concatenate(took), stages=np.concatenate(parts), lost=lost)


def ran(
    happenings: Happenings,
    calibration: Calibration,
    layout: Layout,
    machine: Machine,
    *,
    seed: int,
    replication: int,
) -> tuple[kernel.Attempts, Tables]:
    """What happens there in the kernel; polls are as blind as was measured."""
    tables = tables_of(
        happenings, calibration, layout, seed=seed, replication=replication, belief=0,
        machine=machine,
    )  # fmt: skip
    tables = replace(tables, blind=calibration.blind_share)
    return kernel.run(layout, tables), tables


def heard(
    attempts: kernel.Attempts, tables: Tables
) -> tuple[npt.NDArray[np.bool_], Floats, int]:
    """Which pushes were published before the end had to be waited for, the seconds that
    each of those took, and how many more should have come.
    """
    published, arrived = kernel.pushes(attempts, tables)
    last = tables.end_at - SETTLE_S
    due = published <= last
    onsets = zip(tables.onset_at, tables.onset_riders, strict=True)
    expected = sum(int(riders) for at, riders in onsets if at <= last)
    return due, (arrived - published)[due], max(0, expected - int(due.sum()))


CAUSES = (
    "APNs throttling", "the timetable sync", "recycling", "sharing cores",
    "handing over",
)  # fmt: skip


def _spared(hour: Happenings, cause: str) -> Happenings:
    if cause == "APNs throttling":
        return replace(hour, windows=())
    return replace(hour, syncs=()) if cause == "the timetable sync" else hour


def stages(attempts: kernel.Attempts, tables: Tables) -> Floats:
    """Seconds of each push by ``STAGES``; a row adds up to published to arrived."""
    published, arrived = kernel.pushes(attempts, tables)
    sent = attempts.of(PUSH) & (attempts.outcome == kernel.SUCCEEDED)
    sizes = (attempts.last - attempts.first)[sent]
    queued_at = np.repeat(attempts.enqueued_at[sent], sizes)
    begun_at = np.repeat(attempts.started_at[sent], sizes)
    # The last good poll that began before the batch existed saw its onset; the batch
    # exists when its match has ended.
    polls = attempts.of(POLL) & (attempts.outcome == kernel.SUCCEEDED)
    began = np.sort(attempts.started_at[polls])
    ended = attempts.finished_at[polls][np.argsort(attempts.started_at[polls])]
    first = np.minimum(np.searchsorted(began, published), len(began) - 1)
    seen_at = np.minimum(began[first], queued_at)
    known_at = np.clip(ended[first], seen_at, queued_at)
    moments = (published, seen_at, known_at, queued_at, begun_at, arrived)
    table: Floats = np.diff(np.column_stack(moments), axis=1)
    return table


@dataclass(frozen=True, kw_only=True, slots=True)
class Anatomy:
    """A storm second by second after its delay was published, and its marks."""

    riders: int
    at_s: Floats
    depth: Floats
    age_s: Floats
    marks: Mapping[str, float]


def anatomy(
    calibration: Calibration,
    users: int,
    *,
    policy: Policy = POLICY,
    replication: int = 0,
    seed: int = 1,
    longest_s: float = 300.0,
) -> Anatomy:
    """The storm of one of the hours: what waits, and when each rule fires at all."""
    hour = storm_hour(users, seed=seed, replication=replication)
    here, layout = deployed(calibration), Layout.of(policy)
    tables = tables_of(
        hour, here, layout, seed=seed, replication=replication, belief=0,
        machine=platform(calibration, policy),
    )  # fmt: skip
    attempts = kernel.run(layout, tables)
    begun_at, riders = max(hour.onsets, key=lambda onset: onset[1])
    at = begun_at + np.arange(0.0, longest_s, 1.0)
    depth, age_s = waiting_at(attempts, layout, layout.tasks[PUSH].queue, at)
    seen, read_at = signals(attempts, tables, layout), instants(tables)
    marks = {}
    for rule in rules_of(policy):
        values = seen.get((rule.sample, rule.label))
        if values is None:
            continue
        fired = first_firing(rule, read_at, values, after=begun_at)
        if fired is not None and fired - begun_at < longest_s:
            marks[f"{rule.name} fires"] = fired - begun_at
    if marks:
        marks["earliest capacity"] = min(marks.values()) + COLD_START_S[0]
    return Anatomy(
        riders=riders, at_s=at - begun_at, depth=depth, age_s=age_s, marks=marks
    )


def waiting(calibration: Calibration, users: int, **how: Any) -> list[dict[str, Any]]:
    """Where a push's time goes: seconds by stage, of all pushes and of the late."""
    told = storms(calibration, users, **how)
    slow = told.took_s > LATE_PUSH_S
    return [
        {
            "users": users,
            "stage": stage,
            "all_s": float(told.stages[:, place].mean()),
            "late_s": float(told.stages[slow, place].mean()) if slow.any() else None,
        }
        for place, stage in enumerate(STAGES)
    ]


def causes(calibration: Calibration, users: int, **how: Any) -> list[dict[str, Any]]:
    """Late pushes of the same storms, each time without one cause of waiting."""
    rows = []
    for cause in ("", *CAUSES):
        told = storms(calibration, users, without=cause, **how)
        rows.append(
            {
                "users": users,
                "without": cause or "(as it is)",
                "late": told.late,
                "p95_s": told.quantile_s(0.95),
                "p99_s": told.quantile_s(0.99),
            }
        )
    return rows


def sensitivity(
    calibration: Calibration, users: int, **how: Any
) -> list[dict[str, Any]]:
    """Late pushes with one assumption at either end, the widest swing first."""
    rows = []
    base = storms(calibration, users, **how).late
    for name in SWINGS:
        row = ASSUMPTIONS[name]
        ends = [
            storms(calibration, users, beliefs={**believed(), name: value}, **how).late
            for value in (row.low, row.high)
        ]
        rows.append(
            {
                "users": users, "assumption": name, "low": row.low, "high": row.high,
                "late_at_low": ends[0], "late": base, "late_at_high": ends[1],
            }
        )  # fmt: skip
    return sorted(rows, key=lambda r: -abs(r["late_at_high"] - r["late_at_low"]))
