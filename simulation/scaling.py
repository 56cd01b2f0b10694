"""When to add what: rules in closed form, and alarms tried on modelled hours."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from scipy import stats

from simulation.assumptions import assumed
from simulation.demands import MATCH, PUSH, Calibration
from simulation.layout import Layout
from simulation.sweep import Hour, deployed, hour, platform, storm_hour
from simulation.tables import Machine
from worker.policy import POLICY, Policy
from worker.policy.alarms import Alarm
from worker.policy.objectives import LATE_PUSH_S
from worker.records import Sample

GAUGE_S = 15.0
LATE_SHARE = "late_pushes"
"""The objective that an hour breaks when too many of its pushes are late."""

BRIEF_RULES: tuple[Alarm, ...] = (
    Alarm(
        name="brief_add_worker", sample="depth", label="normal", threshold=50,
        sustain_s=300, kind="scaling", action="Add a worker (the brief's rule).",
        reason="Brief: queue depth > 50 sustained for 5 min.",
    ),
    Alarm(
        name="brief_scale_out", sample="cpu_share", label="all", threshold=0.70,
        sustain_s=600, kind="scaling", action="Scale horizontally (the brief's rule).",
        reason="Brief: CPU > 70 % for 10 min.",
    ),
    Alarm(
        name="brief_overwhelmed", sample="depth", label="normal", threshold=100,
        sustain_s=0, kind="scaling", action="Workers overwhelmed (the brief's rule).",
        reason="Brief: queue depth > 100.",
    ),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Trigger:
    """A scaling rule with its derivation and what it was worth on modelled hours.

    ``hit_rate``: share of hours that broke the promise in which it fired; None when
    none did. ``false_alarms_per_week``: of hours that kept it.
    """

    name: str
    signal: str
    threshold: float
    sustain_s: float
    action: str
    derivation: str
    valid_for: str
    hit_rate: float | None
    false_alarms_per_week: float | None

    def as_json(self) -> dict[str, Any]:
        """The trigger under the names of plan.json."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True, kw_only=True, slots=True)
class Storm:
    """The design storm: 19 of 20 disruptions concern a smaller share of riders."""

    share: float

    @classmethod
    def design(cls) -> "Storm":
        """The 95 % quantile of the assumed Beta(2, 12)."""
        law = stats.beta(assumed("storm_alpha"), assumed("storm_beta"))
        return cls(share=float(law.ppf(0.95)))


def drain_s(
    calibration: Calibration, layout: Layout, cores: float, pushes: float
) -> float:
    """Seconds to send so many pushes: children and cores, whichever is slower."""
    push = calibration.demands[PUSH]
    pool = next(
        p for p in layout.pools.values() if layout.tasks[PUSH].queue in p.queues
    )
    batches = max(1.0, pushes / layout.batch_size)
    by_children = batches * push.service_s(pushes / batches) / pool.children
    cpu_s = batches * float(np.mean(push.cpu_s)) + pushes * push.cpu_per_unit_s
    return max(by_children, cpu_s / cores)


def users_at(
    calibration: Calibration,
    layout: Layout,
    cores: float,
    budget_s: float,
    share: float,
) -> int:
    """The most users whose design storm is matched and sent within ``budget_s``."""
    match = calibration.demands[MATCH]
    low, high = 0, 100_000_000
    while high - low > 100:
        users = (low + high) // 2
        pushes = users * share
        took = match.service_s(pushes) + drain_s(calibration, layout, cores, pushes)
        low, high = (users, high) if took <= budget_s else (low, users)
    return low


def triggers(
    calibration: Calibration,
    *,
    policy: Policy = POLICY,
    users: Sequence[int] = (1_000, 10_000, 50_000, 100_000),
    hours: int = 12,
    seed: int = 1,
    jobs: int = -1,
) -> list[Trigger]:
    """The capacity rule in closed form; each scaling alarm of the policy and of the
    brief, tried on the same storm hours and on as many ordinary ones.
    """
    here, layout = deployed(calibration), Layout.of(policy)
    machine = platform(calibration, policy)
    seen = Parallel(n_jobs=jobs)(
        delayed(_hours)(here, layout, machine, number, storm, hours, seed)
        for number in users
        for storm in (True, False)
    )
    stormy = [each for rows in seen[::2] for each in rows]
    ordinary = [each for rows in seen[1::2] for each in rows]
    limit = policy.objectives[LATE_SHARE].limit
    scaling = [alarm for alarm in policy.alarms.values() if alarm.kind == "scaling"]
    return [
        _capacity(here, layout, machine),
        *(
            _scored(alarm, here, layout, users, stormy, ordinary, limit)
            for alarm in (*scaling, *BRIEF_RULES)
        ),
    ]


def fires(alarm: Alarm, samples: Sequence[Sample]) -> bool:
    """Whether the deployed rule fires at any reading of the hour."""
    mine = [s for s in samples if (s.name, s.label) == (alarm.sample, alarm.label)]
    times = [sample.at for sample in mine]
    for at in times:
        first = max(0, bisect_left(times, at - alarm.sustain_s) - 1)
        recent = mine[first : bisect_right(times, at)]
        if alarm.state(recent, now=at) == "firing":
            return True
    return False


def _hours(
    calibration: Calibration,
    layout: Layout,
    machine: Machine,
    users: int,
    storm: bool,
    hours: int,
    seed: int,
) -> list[Hour]:
    return [
        hour(
            storm_hour(users, seed=seed, replication=replication, storm=storm),
            calibration,
            layout,
            machine,
            seed=seed,
            replication=replication,
            gauges_every_s=GAUGE_S,
        )
        for replication in range(hours)
    ]


def _capacity(calibration: Calibration, layout: Layout, machine: Machine) -> Trigger:
    storm = Storm.design()
    budget_s = LATE_PUSH_S - 15.0
    cores = machine.v_eff or float(layout.children)
    binds = users_at(calibration, layout, cores, budget_s, storm.share)
    act = users_at(calibration, layout, cores, 0.6 * budget_s, storm.share)
    return Trigger(
        name="capacity_forecast",
        signal="users next month",
        threshold=float(act),
        sustain_s=0.0,
        action="Raise push.batch_size or push.streams, then pools.bg.children, then "
        "vCPU; last a second replica.",
        derivation=f"a storm that concerns {storm.share:.0%} of riders must be matched "
        f"and sent within {budget_s:g} s of the poll that saw it (20 s less one poll "
        f"period); acted on at 60 % of that time, late from {binds:,} users on",
        valid_for=_valid(layout, calibration),
        hit_rate=None,
        false_alarms_per_week=None,
    )


def _scored(
    alarm: Alarm,
    calibration: Calibration,
    layout: Layout,
    users: Sequence[int],
    stormy: Sequence[Hour],
    ordinary: Sequence[Hour],
    limit: float,
) -> Trigger:
    def broken(each: Hour) -> bool:
        return each.measures["late_push_fraction"] > limit

    fired = {id(each): fires(alarm, each.samples) for each in (*stormy, *ordinary)}
    bad = [each for each in (*stormy, *ordinary) if broken(each)]
    storms_per_week = 7 * assumed("storms_per_day")
    false = {
        kind: np.mean([fired[id(each)] and not broken(each) for each in hours])
        for kind, hours in (("storm", stormy), ("ordinary", ordinary))
    }
    return Trigger(
        name=alarm.name,
        signal=f"{alarm.sample} of {alarm.label}",
        threshold=alarm.threshold,
        sustain_s=float(alarm.sustain_s),
        action=alarm.action,
        derivation=_derivation(alarm, calibration, layout),
        valid_for=f"{min(users):,} to {max(users):,} users; "
        + _valid(layout, calibration),
        hit_rate=float(np.mean([fired[id(each)] for each in bad])) if bad else None,
        false_alarms_per_week=float(
            storms_per_week * false["storm"]
            + (7 * 24 - storms_per_week) * false["ordinary"]
        ),
    )


def _derivation(alarm: Alarm, calibration: Calibration, layout: Layout) -> str:
    push = calibration.demands[PUSH]
    service_s = push.service_s(layout.batch_size)
    pool = next(
        p for p in layout.pools.values() if layout.tasks[PUSH].queue in p.queues
    )
    if alarm.sample == "depth":
        pushes = layout.batch_size * (
            alarm.threshold + alarm.sustain_s * pool.children / service_s
        )
        return (
            f"{alarm.reason} With {pool.children} children and {service_s:.2f} s a "
            f"batch it needs {pushes:,.0f} pushes at once: n >= D + T c / E[S] batches"
        )
    return alarm.reason


def _valid(layout: Layout, calibration: Calibration) -> str:
    children: Mapping[str, int] = {n: p.children for n, p in layout.pools.items()}
    listed = ", ".join(f"{name} {count}" for name, count in children.items())
    service_s = calibration.demands[PUSH].service_s(layout.batch_size)
    return f"children {listed}; {service_s:.2f} s a batch of {layout.batch_size}"
