"""One hour of the model: the busiest of a day, with a storm and a sync in it.

The kernel runs the hours it knows, the engine the others: both leave the same records.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from simulation import kernel
from simulation.assumptions import believed
from simulation.demands import POLL, PUSH, SYNC, Calibration, TaskDemand, assumed_sync
from simulation.engine import recorded as by_engine
from simulation.engine import simulate
from simulation.gauges import feed_age_s, instants
from simulation.kernel import recorded as by_kernel
from simulation.layout import Layout
from simulation.tables import Floats, Machine, Tables, Window
from simulation.workload import Happenings, stream, tables_of
from worker.measures import MEASURES, Recorded
from worker.policy import POLICY, Policy
from worker.policy.objectives import LATE_PUSH_S
from worker.records import Sample, TaskRecord

HOUR_S = 3600.0
PEAK_AT = 1_772_398_800.0  # Monday 2 March 2026, 08:00 in Sydney
SETTLE_S = 120.0
AGE_EVERY_S = 1.0
"""How often the feed's age is read: rarer, in step with the polls, misses its peaks."""
TRICKLE = 60
"""Ordinary onsets of a peak hour: small delays of single trips."""

TASK_MEASURES = ("queue_wait_p95_s", "success_rate", "utilization")


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
    not to the run's stand-in, and the timetable is all of New South Wales, however
    small the run's was. Deployed once more it is the same.
    """
    beliefs = believed() if beliefs is None else beliefs
    push = calibration.demands[PUSH]
    near_s, far_s = calibration.apns_rtt_s or 0.0, beliefs["apns_rtt_s"]
    away = replace(
        push, io_s=tuple(max(0.0, io_s - near_s) + far_s for io_s in push.io_s)
    )
    sync = max(
        calibration.demands[SYNC], assumed_sync(beliefs), key=TaskDemand.service_s
    )
    demands = {**calibration.demands, PUSH: away, SYNC: sync}
    return replace(calibration, demands=demands, apns_rtt_s=far_s)


def platform(calibration: Calibration, policy: Policy = POLICY) -> Machine:
    """Cores of the services that run the pools, with the measured overheads. A layout
    whose pools have other names has the cores of the services that run ours.
    """
    known = all(name in policy.services for name in policy.pools)
    pools = policy.pools if known else POLICY.pools
    cores = sum(policy.services[name].vcpu for name in pools)
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
    records, (published, arrived) = _left(layout, tables)
    seen = Recorded(
        tasks=records,
        samples=[
            Sample(at=tables.start_at, name="children", label=name, value=p.children)
            for name, p in layout.pools.items()
        ],
        started_at=tables.start_at,
        finished_at=tables.end_at,
    )
    due = published <= tables.end_at - SETTLE_S
    took = arrived[due] - published[due]
    expected = sum(
        riders for at, riders in happenings.onsets if at <= tables.end_at - SETTLE_S
    )
    lost = max(0, expected - len(took))
    late = (float((took > LATE_PUSH_S).sum()) + lost) / max(1, expected)
    took = np.concatenate([took, np.full(lost, SETTLE_S)])
    age = feed_age_s(
        records, POLL, instants(tables.start_at, tables.end_at, AGE_EVERY_S)
    )
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
    }
    return Hour(measures=measures)


def _left(
    layout: Layout, tables: Tables
) -> tuple[list[TaskRecord], tuple[Floats, Floats]]:
    """Attempts, and (published_at, arrived_at) of each push."""
    if kernel.refusals(layout, tables):
        result = simulate(layout, tables)
        records = by_engine.task_records(result.journal, layout)
        return records, by_engine.pushes(result)
    attempts = kernel.run(layout, tables)
    return by_kernel.task_records(attempts, layout), kernel.pushes(attempts, tables)


def _quantile(values: Floats, share: float) -> float:
    return float(np.quantile(values, share)) if len(values) else float("nan")
