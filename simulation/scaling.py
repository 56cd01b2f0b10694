"""Scaling rules tried on a simulated year, each week with beliefs of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from joblib import Parallel, delayed

from simulation import kernel
from simulation.assumptions import believed
from simulation.capacity import ACT_AT, Storm, limits, storm_budget_s
from simulation.days import sydney_day
from simulation.demands import Calibration
from simulation.hour import SETTLE_S, deployed, platform
from simulation.layout import Layout
from simulation.loop import episodes, in_the_loop, sender
from simulation.memory import child_mib
from simulation.prices import usd
from simulation.rules import derivation, rules_of, validity
from simulation.signals import signals
from simulation.tables import Floats, Tables
from simulation.workload import stream, tables_of
from worker.policy import POLICY, Policy
from worker.policy.alarms import Alarm
from worker.policy.objectives import LATE_PUSH_S

WEEKS = 52
DAYS = 7
HOURS_A_MONTH = 730.0
LOST_AFTER_S = 600.0
"""A push that never arrived kept its rider waiting for so long: then it expires."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Felt:
    """What riders felt of one day, and what a rule did in it."""

    told: int
    late: int
    violation_minutes: int
    slowest_s: float
    episodes: tuple[tuple[float, float], ...]
    fired_at: tuple[float, ...] = ()
    ready_at: tuple[float, ...] = ()
    added_hours: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """A rule at a number of users over the simulated time; ``before`` without it.

    ``hit_rate``: share of the times in which pushes were late (gaps of ten minutes
    bridged) in which it fired; None when there was none. ``false_alarms_per_week``:
    firings outside of them. ``detected_s``: from the first late rider's delay to the
    firing, median. ``in_time``: share of those times whose capacity came before their
    end. ``saved``: late pushes less with the rule, as a share of all, with its 95 %
    interval over weeks.
    """

    rule: str
    users: int
    days: int
    late_before: float
    late_after: float
    saved: tuple[float, float]
    violation_minutes_before: float
    violation_minutes_after: float
    episodes: int
    hit_rate: float | None
    in_time: float | None
    detected_s: float | None
    firings_per_week: float
    false_alarms_per_week: float
    child_hours_per_week: float
    usd_per_month: float

    def as_json(self) -> dict[str, Any]:
        """The score as one flat row."""
        return {name: _plain(getattr(self, name)) for name in self.__dataclass_fields__}


@dataclass(frozen=True, kw_only=True, slots=True)
class Trigger:
    """A scaling rule with its derivation and what it was worth in simulated weeks:
    hits of all users that were tried, false alarms at the fewest, late pushes at the
    most.
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
    usd_per_month: float | None = None

    def as_json(self) -> dict[str, Any]:
        """The trigger under the names of plan.json."""
        return {name: _plain(getattr(self, name)) for name in self.__dataclass_fields__}


def scores(
    calibration: Calibration,
    *,
    policy: Policy = POLICY,
    users: Sequence[int] = (10_000, 100_000),
    weeks: int = WEEKS,
    seed: int = 1,
    jobs: int = -1,
    rules: Sequence[Alarm] | None = None,
) -> list[Score]:
    """Every rule at every number of users, on the same weeks."""
    rules = rules_of(policy) if rules is None else rules
    layout = Layout.of(policy)
    pool = sender(layout)
    usd_an_hour = (
        child_mib(calibration, layout, pool.name) / 1024
        * usd("railway_memory") / HOURS_A_MONTH
    )  # fmt: skip
    cells = [(number, week) for number in users for week in range(weeks)]
    lived = Parallel(n_jobs=jobs)(
        delayed(_week)(calibration, policy, number, week, seed, rules)
        for number, week in cells
    )
    found = []
    for number in users:
        mine = [days for (n, _), days in zip(cells, lived, strict=True) if n == number]
        for rule in rules:
            found.append(_score(rule.name, number, mine, usd_an_hour, seed))
    return found


def triggers(
    calibration: Calibration,
    *,
    policy: Policy = POLICY,
    users: Sequence[int] = (10_000, 100_000),
    weeks: int = 8,
    seed: int = 1,
    jobs: int = -1,
) -> list[Trigger]:
    """The capacity rule in closed form; each scaling alarm and candidate as scored."""
    tried = scores(
        calibration, policy=policy, users=users, weeks=weeks, seed=seed, jobs=jobs
    )
    layout, here = Layout.of(policy), deployed(calibration)
    valid = f"{min(users):,} to {max(users):,} users; {validity(here, layout)}"
    found = [_capacity(calibration, policy, valid)]
    for rule in rules_of(policy):
        mine = [score for score in tried if score.rule == rule.name]
        few, many = mine[0], mine[-1]
        bad = sum(score.episodes for score in mine)
        hits = sum((score.hit_rate or 0.0) * score.episodes for score in mine)
        found.append(
            Trigger(
                name=rule.name,
                signal=f"{rule.sample} of {rule.label}",
                threshold=rule.threshold,
                sustain_s=float(rule.sustain_s),
                action=rule.action,
                derivation=derivation(rule, here, layout),
                valid_for=valid,
                hit_rate=hits / bad if bad else None,
                false_alarms_per_week=few.false_alarms_per_week,
                late_before=many.late_before,
                late_after=many.late_after,
                usd_per_month=many.usd_per_month,
            )
        )
    return found


def _capacity(calibration: Calibration, policy: Policy, valid: str) -> Trigger:
    machine = platform(calibration, policy)
    rows = {row.name: row for row in limits(deployed(calibration), policy, machine)}
    act, late = rows["storm drain, act"], rows["storm drain, late"]
    return Trigger(
        name="capacity_forecast",
        signal="users next month",
        threshold=float(act.users or 0),
        sustain_s=0.0,
        action=f"{act.action} {late.action}",
        derivation=f"a storm that concerns {Storm.design().share:.0%} of riders must "
        f"be matched and sent within {storm_budget_s(policy):g} s of the poll that saw "
        f"it; acted on at {ACT_AT:.0%} of that time, late from {late.users:,} users on",
        valid_for=valid,
        hit_rate=None,
        false_alarms_per_week=None,
    )


def _week(
    calibration: Calibration,
    policy: Policy,
    users: int,
    week: int,
    seed: int,
    rules: Sequence[Alarm],
) -> list[dict[str, Felt]]:
    """Seven days of one belief about the world: "" without a rule, then each rule's."""
    beliefs = believed(stream(seed, week, "beliefs"))
    here = deployed(calibration, beliefs)
    layout, machine = Layout.of(policy), platform(calibration, policy)
    days = []
    for number in range(week * DAYS, (week + 1) * DAYS):
        happenings = sydney_day(number, users, seed=seed, beliefs=beliefs)
        tables = tables_of(
            happenings, here, layout, seed=seed, replication=number, belief=week,
            machine=machine,
        )  # fmt: skip
        # What NSW's cache withholds is no rule's to mend: as measured, not as feared.
        tables = replace(tables, blind=here.blind_share)
        plain = kernel.run(layout, tables)
        seen = signals(plain, tables, layout)
        felt = {"": _felt(plain, tables)}
        for rule in rules:
            looped = in_the_loop(
                rule, layout, tables, plain, seen, children=sender(layout).children,
                rng=stream(seed, number, "cold start"),
            )  # fmt: skip
            if looped.fired_at:
                felt[rule.name] = _felt(
                    looped.attempts, tables, fired_at=looped.fired_at,
                    ready_at=tuple(each.at for each in looped.growth),
                    added_hours=looped.added_hours(tables.end_at),
                )  # fmt: skip
        days.append(felt)
    return days


def _felt(
    attempts: kernel.Attempts,
    tables: Tables,
    *,
    fired_at: tuple[float, ...] = (),
    ready_at: tuple[float, ...] = (),
    added_hours: float = 0.0,
) -> Felt:
    published, arrived = kernel.pushes(attempts, tables)
    last = tables.end_at - SETTLE_S
    due = published <= last
    published, arrived = published[due], arrived[due]
    told = sum(
        riders
        for at, riders in zip(tables.onset_at, tables.onset_riders, strict=True)
        if at <= last
    )
    slow = arrived - published > LATE_PUSH_S
    unheard = _unheard(tables, published, last)
    late_from = np.concatenate([published[slow], unheard])
    late_to = np.concatenate([arrived[slow], unheard + LOST_AFTER_S])
    return Felt(
        told=told,
        late=int(slow.sum()) + max(0, told - len(published)),
        violation_minutes=len(np.unique(late_to // 60)),
        slowest_s=float(np.max(arrived - published, initial=0.0)),
        episodes=tuple(episodes(late_from, late_to)),
        fired_at=fired_at,
        ready_at=ready_at,
        added_hours=added_hours,
    )


def _unheard(tables: Tables, published: Floats, last: float) -> Floats:
    """Onsets of which some riders never heard, by the time they were published."""
    onset_at = np.asarray(tables.onset_at, dtype=np.float64)
    riders = np.asarray(tables.onset_riders)
    at, arrivals = np.unique(published, return_counts=True)
    heard = np.zeros(len(onset_at))
    heard[np.searchsorted(onset_at, at)] = arrivals
    missing: Floats = onset_at[(heard < riders) & (onset_at <= last)]
    return missing


def _score(
    rule: str,
    users: int,
    weeks: Sequence[Sequence[Mapping[str, Felt]]],
    usd_an_hour: float,
    seed: int,
) -> Score:
    days = [day for week in weeks for day in week]
    before = [day[""] for day in days]
    after = [day.get(rule, day[""]) for day in days]
    told = np.array([[day[""].told for day in week] for week in weeks]).sum(axis=1)
    saved = np.array(
        [sum(day[""].late - day.get(rule, day[""]).late for day in week)
         for week in weeks]
    )  # fmt: skip
    picks = stream(seed, "scores").integers(len(weeks), size=(1_000, len(weeks)))
    spread = saved[picks].sum(axis=1) / np.maximum(1, told[picks].sum(axis=1))
    hits, in_time, false, delays, bad = 0, 0, 0, [], 0
    for plain, looped in zip(before, after, strict=True):
        bad += len(plain.episodes)
        for begin, end in plain.episodes:
            inside = [at for at in looped.fired_at if begin <= at <= end]
            hits += bool(inside)
            delays += [at - begin for at in inside[:1]]
            in_time += any(begin <= at < end for at in looped.ready_at)
        false += sum(
            not any(begin <= at <= end for begin, end in looped.episodes)
            and not any(begin <= at <= end for begin, end in plain.episodes)
            for at in looped.fired_at
        )
    hours = sum(each.added_hours for each in after) / len(weeks)
    fired = sum(len(each.fired_at) for each in after)
    return Score(
        rule=rule,
        users=users,
        days=len(days),
        late_before=sum(f.late for f in before) / max(1, int(told.sum())),
        late_after=sum(f.late for f in after) / max(1, int(told.sum())),
        saved=(float(np.quantile(spread, 0.025)), float(np.quantile(spread, 0.975))),
        violation_minutes_before=_mean_week(before, len(weeks)),
        violation_minutes_after=_mean_week(after, len(weeks)),
        episodes=bad,
        hit_rate=hits / bad if bad else None,
        in_time=in_time / bad if bad else None,
        detected_s=float(np.median(delays)) if delays else None,
        firings_per_week=fired / len(weeks),
        false_alarms_per_week=false / len(weeks),
        child_hours_per_week=hours,
        usd_per_month=hours * usd_an_hour * HOURS_A_MONTH / (24 * 7),
    )


def _mean_week(days: Sequence[Felt], weeks: int) -> float:
    return sum(day.violation_minutes for day in days) / weeks


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}")
    return [_plain(each) for each in value] if isinstance(value, tuple) else value
