"""What a month costs: use of the platform times its prices."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from simulation.assumptions import assumed
from simulation.demands import MATCH, PUSH, SYNC, Calibration
from simulation.layout import Layout
from simulation.memory import pool_mib
from simulation.prices import usd
from worker.policy import Daily, Every

DAY_S = 86_400.0
GB_MIB = 1024.0
BUDGET_USD = 25.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Bill:
    """One month at a number of users, in USD: ``lines`` by what is paid for.

    ``interval``: 95 % under the uncertainty of the measured demands. Railway bills the
    larger of use and subscription.
    """

    users: int
    lines: Mapping[str, float]
    platform_usd: float
    interval: tuple[float, float]
    with_supabase_pro_usd: float
    vcpu: float
    memory_mib: float

    def as_json(self) -> dict[str, object]:
        """The bill under the names of plan.json."""
        return {
            "users": self.users,
            "usd_per_month": round(self.platform_usd, 2),
            "interval": [round(end, 2) for end in self.interval],
            "with_supabase_pro": round(self.with_supabase_pro_usd, 2),
            "within_budget": self.platform_usd <= BUDGET_USD,
            "vcpu": round(self.vcpu, 4),
            "memory_mib": round(self.memory_mib, 1),
            "lines": {name: round(value, 2) for name, value in self.lines.items()},
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class BriefLine:
    """A line of the brief's cost table beside the price list."""

    users: int
    vcpu: float
    memory_gb: float
    claimed_usd: float
    list_usd: float = field(init=False)

    def __post_init__(self) -> None:
        full = self.vcpu * usd("railway_cpu") + self.memory_gb * usd("railway_memory")
        object.__setattr__(self, "list_usd", full)


BRIEF: tuple[BriefLine, ...] = (
    BriefLine(users=1_000, vcpu=0.5, memory_gb=0.5, claimed_usd=10.0),
    BriefLine(users=5_000, vcpu=1.0, memory_gb=1.0, claimed_usd=25.0),
    BriefLine(users=10_000, vcpu=1.5, memory_gb=2.0, claimed_usd=50.0),
)
"""The brief's three lines: what they would cost if all of it were used all month."""


def mean_vcpu(
    calibration: Calibration,
    layout: Layout,
    users: int,
    rng: np.random.Generator | None = None,
) -> float:
    """Cores busy on average over a day; ``rng`` resamples the measured attempts."""
    pushes = users * (
        assumed("pushes_per_user_day") + assumed("storms_per_day") * _storm_share()
    )
    units = {PUSH: pushes, MATCH: pushes}
    total = 0.0
    for name, task in layout.tasks.items():
        demand = calibration.demands.get(name)
        if demand is None:
            continue
        cpu_s = np.asarray(demand.cpu_s)
        if rng is not None:
            cpu_s = rng.choice(cpu_s, size=len(cpu_s))
        if isinstance(task.tick, Every):
            attempts = DAY_S / task.tick.period_s
        elif isinstance(task.tick, Daily):
            attempts = 1.0
        else:
            attempts = _batches(pushes, layout.batch_size)
        total += attempts * float(cpu_s.mean())
        total += units.get(name, 0.0) * demand.cpu_per_unit_s
    return total / DAY_S


def bill(
    calibration: Calibration, layout: Layout, users: int, *, seed: int = 1
) -> Bill:
    """The month's bill for workers, beat, Redis and the API on Railway."""
    peak = pool_mib(calibration, layout, sync=False)
    sync = calibration.demands.get(SYNC)
    sync_share = 0.0
    if sync is not None:
        sync_share = sync.service_s() / DAY_S * float(np.max(sync.rss_mib))
    memory = {**peak, "beat": assumed("beat_mib"), "redis": assumed("redis_mib")}
    memory["api"] = assumed("api_mib")
    memory_mib = sum(memory.values()) + sync_share
    vcpu = mean_vcpu(calibration, layout, users)
    api_vcpu = assumed("api_vcpu_per_10k") * users / 10_000
    lines = {
        f"memory {name}": mib / GB_MIB * usd("railway_memory")
        for name, mib in memory.items()
    }
    lines["cpu workers"] = vcpu * usd("railway_cpu")
    lines["cpu api"] = api_vcpu * usd("railway_cpu")
    used = sum(lines.values())
    rng = np.random.default_rng(seed)
    spread = [
        used + (mean_vcpu(calibration, layout, users, rng) - vcpu) * usd("railway_cpu")
        for _ in range(100)
    ]
    low, high = (float(end) for end in np.quantile(spread, (0.025, 0.975)))
    platform = max(used, usd("railway_hobby"))
    return Bill(
        users=users,
        lines=lines,
        platform_usd=platform,
        interval=(max(low, usd("railway_hobby")), max(high, usd("railway_hobby"))),
        with_supabase_pro_usd=platform + usd("supabase_pro"),
        vcpu=vcpu + api_vcpu,
        memory_mib=memory_mib,
    )


def bills(
    calibration: Calibration, layout: Layout, users: Sequence[int], *, seed: int = 1
) -> list[Bill]:
    """A bill for each number of users."""
    return [bill(calibration, layout, number, seed=seed) for number in users]


def breaks_budget_at(calibration: Calibration, layout: Layout) -> int | None:
    """The users at which the platform exceeds the budget; None up to 1,000,000."""
    low, high = 0, 1_000_000
    if bill(calibration, layout, high).platform_usd <= BUDGET_USD:
        return None
    while high - low > 100:
        middle = (low + high) // 2
        if bill(calibration, layout, middle).platform_usd <= BUDGET_USD:
            low = middle
        else:
            high = middle
    return high


def _storm_share() -> float:
    alpha, beta = assumed("storm_alpha"), assumed("storm_beta")
    return alpha / (alpha + beta)


def _batches(pushes: float, size: int) -> float:
    """Messages for so many pushes a day: storms fill batches, trickles do not."""
    return max(pushes / size, min(pushes, DAY_S / 120))
