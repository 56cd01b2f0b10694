"""Limits in closed form: how many users each of them allows, and what to do then."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import betaincinv

from simulation.assumptions import assumed
from simulation.demands import MATCH, PUSH, Calibration
from simulation.layout import Layout
from simulation.loop import sender
from simulation.tables import Machine
from worker.policy import Every, Policy
from worker.policy.objectives import LATE_PUSH_S

ACT_AT = 0.6
"""Act when a design storm takes this share of its time: next month has more users."""
MOST_USERS = 100_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Storm:
    """The design storm: 19 of 20 disruptions concern a smaller share of riders."""

    share: float

    @classmethod
    def design(cls) -> "Storm":
        """The 95 % quantile of the assumed Beta(2, 12)."""
        share = betaincinv(assumed("storm_alpha"), assumed("storm_beta"), 0.95)
        return cls(share=float(share))


@dataclass(frozen=True, kw_only=True, slots=True)
class Limit:
    """``users`` at which something is full; None where it does not depend on users, or
    lies beyond every number that is asked about.
    """

    name: str
    users: int | None
    derivation: str
    action: str


def drain_s(
    calibration: Calibration, layout: Layout, cores: float, pushes: float
) -> float:
    """Seconds to send so many pushes: children and cores, whichever is slower."""
    push = calibration.demands[PUSH]
    batches = max(1.0, pushes / layout.batch_size)
    by_children = batches * push.service_s(pushes / batches) / sender(layout).children
    cpu_s = batches * float(np.mean(push.cpu_s)) + pushes * push.cpu_per_unit_s
    return max(by_children, cpu_s / cores)


def storm_s(
    calibration: Calibration, layout: Layout, cores: float, pushes: float
) -> float:
    """Seconds from the nudge to the last push of a storm: matched, then sent."""
    matched_s = calibration.demands[MATCH].service_s(pushes)
    return matched_s + drain_s(calibration, layout, cores, pushes)


def users_at(
    calibration: Calibration,
    layout: Layout,
    cores: float,
    budget_s: float,
    share: float,
) -> int:
    """The most users whose design storm is matched and sent within ``budget_s``."""
    low, high = 0, MOST_USERS
    while high - low > 100:
        users = (low + high) // 2
        took = storm_s(calibration, layout, cores, users * share)
        low, high = (users, high) if took <= budget_s else (low, users)
    return low


def storm_budget_s(policy: Policy) -> float:
    """What is left of a push's time when the poll that saw its delay began."""
    tick = policy.tasks["gtfs_rt_poller"].tick
    assert isinstance(tick, Every)
    return LATE_PUSH_S - tick.period_s


def limits(calibration: Calibration, policy: Policy, machine: Machine) -> list[Limit]:
    """What binds, from the first on: storms, the matcher, the sender's queue."""
    layout, storm = Layout.of(policy), Storm.design()
    cores = machine.v_eff or float(layout.children)
    budget_s = storm_budget_s(policy)
    pool = sender(layout)
    binds = users_at(calibration, layout, cores, budget_s, storm.share)
    act = users_at(calibration, layout, cores, ACT_AT * budget_s, storm.share)
    wider = users_at(
        calibration, _with_children(layout, pool.name, 2 * pool.children), cores,
        budget_s, storm.share,
    )  # fmt: skip
    full = int(policy.push.queue_limit * policy.push.batch_size / storm.share)
    match = calibration.demands[MATCH]
    slope = match.io_per_unit_s + match.cpu_per_unit_s
    soft_s = policy.tasks[MATCH].soft_time_limit_s
    matched = (
        int((soft_s - match.service_s()) / slope / storm.share) if slope > 0 else None
    )
    found = [
        Limit(
            name="storm drain, act",
            users=act,
            derivation=f"a storm that concerns {storm.share:.0%} of riders is matched "
            f"and sent within {ACT_AT:.0%} of {budget_s:g} s",
            action="Raise push.batch_size or push.streams; then pools.bg.children.",
        ),
        Limit(
            name="storm drain, late",
            users=binds,
            derivation=f"the same storm takes {budget_s:g} s: {LATE_PUSH_S:g} s less a "
            f"poll period, with {pool.children} children",
            action=f"Double pools.{pool.name}.children: late from {wider:,} users on; "
            "then vCPU; last a second replica.",
        ),
        Limit(
            name="sender's queue full",
            users=full,
            derivation=f"push.queue_limit {policy.push.queue_limit} messages of "
            f"{policy.push.batch_size} hold one storm of {storm.share:.0%}",
            action="Raise push.queue_limit: the rest waits for the next sweep.",
        ),
        Limit(
            name="matcher's soft limit",
            users=matched,
            derivation=f"{match.service_s():.2f} s and {slope * 1e3:.3f} ms a "
            f"notification reach {soft_s} s"
            + ("" if slope > 0 else "; no slope was measured in so small a run"),
            action="Match in parts, or raise tasks.alert_matcher.soft_time_limit_s.",
        ),
    ]
    return sorted(found, key=lambda limit: limit.users or MOST_USERS)


def _with_children(layout: Layout, pool: str, children: int) -> Layout:
    row = replace(layout.pools[pool], children=children)
    return replace(layout, pools={**layout.pools, pool: row})
