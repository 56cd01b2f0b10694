"""When to add what: rules in closed form, and alarms tried on modelled hours."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from scipy.special import betaincinv

from simulation.assumptions import assumed
from simulation.demands import MATCH, PUSH, Calibration
from simulation.engine import Growth
from simulation.layout import Layout
from simulation.sweep import Hour, deployed, hour, platform, storm_hour
from simulation.tables import Machine
from simulation.workload import Happenings
from worker.policy import POLICY, Policy, Pool
from worker.policy.alarms import Alarm
from worker.policy.objectives import LATE_PUSH_S
from worker.records import Sample

GAUGE_S = 15.0
COLD_START_S = 60.0
"""A container of the platform starts in 30 s to 2 min, as its documentation says."""
COOL_DOWN_S = 180.0
MOST_STEPS = 4
LATE_SHARE = "late_pushes"
"""The objective that an hour breaks when too many of its pushes are late."""

CANDIDATES: tuple[Alarm, ...] = (
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
    Alarm(
        name="age_at_once", sample="oldest_age_s", label="normal", threshold=5,
        sustain_s=0, kind="scaling", action="Add a child at the first late message.",
        reason="The quickest that any reaction to waiting can be.",
    ),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Trigger:
    """A scaling rule with its derivation and what it was worth on modelled hours.

    ``hit_rate``: share of hours that broke the promise in which it fired; None when
    none did. ``false_alarms_per_week``: of hours that kept it. ``late_before`` and
    ``late_after``: late pushes of the storm hours without the rule, and with a child
    added whenever it fired, ready ``COLD_START_S`` later; minutes in which a late push
    arrived alike.
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
    late_before: float | None = None
    late_after: float | None = None
    violation_minutes_before: float | None = None
    violation_minutes_after: float | None = None
    added_child_hours_per_week: float | None = None

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
        share = betaincinv(assumed("storm_alpha"), assumed("storm_beta"), 0.95)
        return cls(share=float(share))


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
    users: Sequence[int] = (1_000, 10_000, 50_000),
    hours: int = 12,
    seed: int = 1,
    jobs: int = -1,
) -> list[Trigger]:
    """The capacity rule in closed form; each scaling alarm of the policy and of the
    brief, tried on the same storm hours and on as many ordinary ones.
    """
    here, layout = deployed(calibration), Layout.of(policy)
    machine = platform(calibration, policy)
    scaling = [alarm for alarm in policy.alarms.values() if alarm.kind == "scaling"]
    rules = (*scaling, *CANDIDATES)
    seen = Parallel(n_jobs=jobs)(
        delayed(_hours)(here, layout, machine, number, storm, hours, seed, rules)
        for number in users
        for storm in (True, False)
    )
    stormy = [each for cells in seen[::2] for each in cells]
    ordinary = [each for cells in seen[1::2] for each in cells]
    limit = policy.objectives[LATE_SHARE].limit
    return [
        _capacity(here, layout, machine),
        *(
            _scored(rule, here, layout, users, stormy, ordinary, limit)
            for rule in rules
        ),
    ]


@dataclass(frozen=True, kw_only=True, slots=True)
class Tried:
    """One hour without rules, and what each rule that fired in it made of it."""

    plain: Mapping[str, float]
    with_rule: Mapping[str, Mapping[str, float]]
    added_child_hours: Mapping[str, float]

    @property
    def late(self) -> float:
        """Late pushes without any rule."""
        return self.plain["late_push_fraction"]

    def measured(self, rule: str, measure: str) -> float:
        """A measure of the hour with the rule in the loop, whether it fired or not."""
        return self.with_rule.get(rule, self.plain)[measure]


def first_firing(
    alarm: Alarm, samples: Sequence[Sample], *, after: float = -np.inf
) -> float | None:
    """When the deployed rule first fires after an instant; None when it does not."""
    mine = [s for s in samples if (s.name, s.label) == (alarm.sample, alarm.label)]
    times = [sample.at for sample in mine]
    for at in times[bisect_right(times, after) :]:
        first = max(0, bisect_left(times, at - alarm.sustain_s) - 1)
        recent = mine[first : bisect_right(times, at)]
        if alarm.state(recent, now=at) == "firing":
            return at
    return None


def _hours(
    calibration: Calibration,
    layout: Layout,
    machine: Machine,
    users: int,
    storm: bool,
    hours: int,
    seed: int,
    rules: Sequence[Alarm],
) -> list[Tried]:
    return [
        tried(
            rules,
            calibration,
            layout,
            machine,
            storm_hour(users, seed=seed, replication=replication, storm=storm),
            seed=seed,
            replication=replication,
        )
        for replication in range(hours)
    ]


def tried(
    rules: Sequence[Alarm],
    calibration: Calibration,
    layout: Layout,
    machine: Machine,
    happenings: Happenings,
    *,
    seed: int,
    replication: int,
) -> Tried:
    """Run an hour, and again with each rule in the loop.

    A rule that fires adds a child to the sender's pool, which is ready a cold start
    later; it may fire again after a cool-down. What happened before a change does not
    depend on it, so running the hour again with the changes so far is the closed loop.
    """

    def run(growth: Sequence[Growth]) -> Hour:
        return hour(
            happenings,
            calibration,
            layout,
            machine,
            seed=seed,
            replication=replication,
            gauges_every_s=GAUGE_S,
            growth=growth,
        )

    plain = run(())
    pool = sender(layout).name
    with_rule: dict[str, Mapping[str, float]] = {}
    added: dict[str, float] = {}
    for rule in rules:
        growth: list[Growth] = []
        seen, after = plain, -np.inf
        while len(growth) < MOST_STEPS:
            at = first_firing(rule, seen.samples, after=after)
            if at is None:
                break
            ready_at = at + COLD_START_S
            growth.append(Growth(at=ready_at, pool=pool, children=1))
            after = ready_at + COOL_DOWN_S
            if ready_at >= happenings.end_at:
                break
            seen = run(growth)
        if growth:
            with_rule[rule.name] = seen.measures
            added[rule.name] = sum(
                max(0.0, happenings.end_at - each.at) / 3600 for each in growth
            )
    return Tried(
        plain=plain.measures,
        with_rule=with_rule,
        added_child_hours=added,
    )


def sender(layout: Layout) -> Pool:
    """The pool that sends pushes."""
    queue = layout.tasks[PUSH].queue
    return next(pool for pool in layout.pools.values() if queue in pool.queues)


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
    stormy: Sequence[Tried],
    ordinary: Sequence[Tried],
    limit: float,
) -> Trigger:
    def fired(each: Tried) -> bool:
        return alarm.name in each.with_rule

    bad = [each for each in (*stormy, *ordinary) if each.late > limit]
    a_week = {
        "storm": 7 * assumed("storms_per_day"),
        "ordinary": 7 * (24 - assumed("storms_per_day")),
    }
    false, added = 0.0, 0.0
    for kind, cells in (("storm", stormy), ("ordinary", ordinary)):
        wrong = [fired(each) and each.late <= limit for each in cells]
        hours = [each.added_child_hours.get(alarm.name, 0.0) for each in cells]
        false += a_week[kind] * float(np.mean(wrong))
        added += a_week[kind] * float(np.mean(hours))
    return Trigger(
        name=alarm.name,
        signal=f"{alarm.sample} of {alarm.label}",
        threshold=alarm.threshold,
        sustain_s=float(alarm.sustain_s),
        action=alarm.action,
        derivation=_derivation(alarm, calibration, layout),
        valid_for=f"{min(users):,} to {max(users):,} users; "
        + _valid(layout, calibration),
        hit_rate=float(np.mean([fired(each) for each in bad])) if bad else None,
        false_alarms_per_week=false,
        late_before=float(np.mean([each.late for each in stormy])),
        late_after=float(
            np.mean(
                [each.measured(alarm.name, "late_push_fraction") for each in stormy]
            )
        ),
        violation_minutes_before=float(
            np.mean([each.plain["violation_minutes"] for each in stormy])
        ),
        violation_minutes_after=float(
            np.mean([each.measured(alarm.name, "violation_minutes") for each in stormy])
        ),
        added_child_hours_per_week=added,
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
