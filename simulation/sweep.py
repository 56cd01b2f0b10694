"""Users by layouts: the hour of a storm, on every layout with the same luck."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from joblib import Parallel, delayed

from simulation.assumptions import believed
from simulation.cost import bill
from simulation.demands import (
    POLL,
    PUSH,
    SYNC,
    Calibration,
    TaskDemand,
    assumed_sync,
)
from simulation.engine import simulate
from simulation.engine.recorded import pushes, task_records
from simulation.gauges import feed_age_s, instants
from simulation.layout import Layout
from simulation.layouts import LAYOUTS
from simulation.memory import pool_mib
from simulation.tables import Machine, Window
from simulation.workload import Happenings, stream, tables_of
from worker.errors import UsageError
from worker.measures import MEASURES, Recorded
from worker.policy import POLICY, Policy
from worker.policy.objectives import LATE_PUSH_S
from worker.records import Sample

HOUR_S = 3600.0
PEAK_AT = 1_772_398_800.0  # Monday 2 March 2026, 08:00 in Sydney
SETTLE_S = 120.0
TRICKLE = 60
"""Ordinary onsets of a peak hour: small delays of single trips."""

TASK_MEASURES = ("queue_wait_p95_s", "success_rate")


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One layout at one number of users: measure -> mean over hours and interval."""

    users: int
    layout: str
    measures: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    hours: int

    def as_json(self) -> dict[str, Any]:
        """Users, layout, then each measure; intervals beside them."""
        return {
            "users": self.users,
            "layout": self.layout,
            **{name: _plain(value) for name, value in self.measures.items()},
            "intervals": {
                name: [_plain(end) for end in ends]
                for name, ends in self.intervals.items()
            },
            "hours": self.hours,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Hour:
    """What one modelled hour showed."""

    measures: Mapping[str, float]


def storm_hour(
    users: int,
    *,
    seed: int,
    replication: int,
    storm: bool = True,
    beliefs: Mapping[str, float] | None = None,
) -> Happenings:
    """A weekday's busiest hour with a disruption and, late, a timetable sync.

    The storm concerns a Beta distributed share of the riders, all at once: the worst
    that a share can do. In every four storms one, with the assumptions at their values,
    meets an APNs that throttles: the brief's worst case. The same replication is the
    same hour whatever the users and the layout.
    """
    beliefs = believed() if beliefs is None else beliefs
    rng = stream(seed, replication, "hour")
    share = float(rng.beta(beliefs["storm_alpha"], beliefs["storm_beta"]))
    storm_at = PEAK_AT + float(rng.uniform(600, 2400))
    sync_at = PEAK_AT + float(rng.uniform(60, 1800))
    small_at = PEAK_AT + np.sort(rng.uniform(0, HOUR_S - SETTLE_S, TRICKLE))
    a_user = beliefs["pushes_per_user_day"] * beliefs["peak_hour_share"]
    small = rng.multinomial(round(users * a_user), np.full(TRICKLE, 1 / TRICKLE))
    onsets = [
        (float(at), int(riders)) for at, riders in zip(small_at, small, strict=True)
    ]
    throttled = Window(
        start_at=storm_at,
        end_at=storm_at + beliefs["throttle_s"],
        kind="apns_slow",
        value=beliefs["throttle_round_s"],
    )
    # Stratified: of any 20 hours in a row so many are throttled as the share says.
    drawn = (replication * 7 % 20 + 0.5) / 20 > 1 - beliefs["throttled_share"]
    if storm:
        onsets.append((storm_at, round(users * share)))
    return Happenings(
        start_at=PEAK_AT,
        end_at=PEAK_AT + HOUR_S,
        onsets=tuple(sorted(onsets)),
        windows=(throttled,) if storm and drawn else (),
        syncs=(sync_at,) if storm else (),
    )


def deployed(
    calibration: Calibration, beliefs: Mapping[str, float] | None = None
) -> Calibration:
    """The calibration as it holds on the platform: pushes travel to Apple and back,
    and the timetable is all of New South Wales, however small the run's was.
    """
    beliefs = believed() if beliefs is None else beliefs
    push = calibration.demands[PUSH]
    rtt_s = beliefs["apns_rtt_s"]
    away = replace(push, io_s=tuple(io_s + rtt_s for io_s in push.io_s))
    sync = max(
        calibration.demands[SYNC], assumed_sync(beliefs), key=TaskDemand.service_s
    )
    return replace(calibration, demands={**calibration.demands, PUSH: away, SYNC: sync})


def platform(calibration: Calibration, policy: Policy = POLICY) -> Machine:
    """Cores of the services that run the pools, with the measured overheads."""
    cores = sum(policy.services[name].vcpu for name in policy.pools)
    return replace(calibration.machine, v_eff=cores)


def hour(
    happenings: Happenings,
    calibration: Calibration,
    layout: Layout,
    machine: Machine,
    *,
    seed: int,
    replication: int,
) -> Hour:
    """Simulate one hour and measure it."""
    tables = tables_of(
        happenings,
        calibration,
        layout,
        seed=seed,
        replication=replication,
        machine=machine,
    )
    result = simulate(layout, tables)
    records = task_records(result.journal, layout)
    seen = Recorded(
        tasks=records,
        samples=[
            Sample(at=tables.start_at, name="children", label=name, value=p.children)
            for name, p in layout.pools.items()
        ],
        started_at=tables.start_at,
        finished_at=tables.end_at,
    )
    published, arrived = pushes(result)
    due = published <= tables.end_at - SETTLE_S
    took = arrived[due] - published[due]
    expected = sum(
        riders for at, riders in happenings.onsets if at <= tables.end_at - SETTLE_S
    )
    lost = max(0, expected - len(took))
    late = (float((took > LATE_PUSH_S).sum()) + lost) / max(1, expected)
    took = np.concatenate([took, np.full(lost, SETTLE_S)])
    age = feed_age_s(records, POLL, instants(tables.start_at, tables.end_at, 5.0))
    measures = {
        "late_push_fraction": late,
        "violation_minutes": float(
            len(
                np.unique(
                    arrived[due][arrived[due] - published[due] > LATE_PUSH_S] // 60
                )
            )
        ),
        "p50_push_s": _quantile(took, 0.50),
        "p95_push_s": _quantile(took, 0.95),
        "p99_push_s": _quantile(took, 0.99),
        "realtime_age_p99_s": _quantile(age[np.isfinite(age)], 0.99),
        **{name: MEASURES[name].function(seen) for name in TASK_MEASURES},
        "utilization": MEASURES["utilization"].function(seen),
    }
    return Hour(measures=measures)


def sweep(
    calibration: Calibration,
    users: Sequence[int],
    *,
    policy: Policy = POLICY,
    layouts: Sequence[str] = tuple(LAYOUTS),
    hours: int = 24,
    seed: int = 1,
    jobs: int = -1,
    step: Callable[[str], None] = lambda _: None,
) -> list[Row]:
    """Every layout at every number of users, over the same ``hours`` hours; ``step`` is
    told how far it is. Raises UsageError for fewer than 2 hours.
    """
    if hours < 2:
        raise UsageError(f"--hours {hours}: an interval needs at least 2 hours")
    here = deployed(calibration)
    machine = platform(calibration, policy)
    cells = [(number, name) for number in users for name in layouts]
    done = Parallel(n_jobs=jobs, return_as="generator")(
        delayed(_cell)(here, number, name, policy, machine, hours, seed)
        for number, name in cells
    )
    rows: list[Row] = []
    for row in done:
        rows.append(row)
        step(f"{len(rows)} of {len(cells)} cells: {row.users:,} users on {row.layout}")
    return rows


def _cell(
    calibration: Calibration,
    users: int,
    name: str,
    policy: Policy,
    machine: Machine,
    hours: int,
    seed: int,
) -> Row:
    layout = Layout.of(LAYOUTS[name].of(policy))
    seen = [
        hour(
            storm_hour(users, seed=seed, replication=replication),
            calibration,
            layout,
            machine,
            seed=seed,
            replication=replication,
        ).measures
        for replication in range(hours)
    ]
    table = {key: np.array([each[key] for each in seen]) for key in seen[0]}
    rng = stream(seed, "sweep")
    picks = rng.integers(hours, size=(400, hours))
    measures = {key: float(np.nanmean(values)) for key, values in table.items()}
    intervals = {
        key: _interval(np.nanmean(values[picks], axis=1))
        for key, values in table.items()
    }
    month = bill(calibration, layout, users)
    measures["memory_mib"] = sum(pool_mib(calibration, layout).values())
    measures["usd_per_month"] = month.platform_usd
    intervals["usd_per_month"] = month.interval
    return Row(
        users=users, layout=name, measures=measures, intervals=intervals, hours=hours
    )


def _quantile(values: np.ndarray[Any, np.dtype[np.float64]], share: float) -> float:
    return float(np.quantile(values, share)) if len(values) else float("nan")


def _interval(draws: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[float, float]:
    low, high = np.quantile(draws, (0.025, 0.975))
    return float(low), float(high)


def _plain(value: float) -> float | None:
    return round(float(value), 5) if np.isfinite(value) else None
