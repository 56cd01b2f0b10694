"""What a month costs: use of the platform times its prices."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from simulation.assumptions import believed
from simulation.demands import MATCH, PUSH, SYNC, Calibration
from simulation.layout import Layout
from simulation.memory import standing_mib
from simulation.prices import usd
from worker.policy import POLICY, Daily, Every

DAY_S = 86_400.0
MONTH_DAYS = 30.0
GB_MIB = 1024.0
BUDGET_USD = POLICY.objectives["budget"].limit
FREE_DATABASE_MB, FREE_EGRESS_GB = 500.0, 5.0
"""Supabase Free: read-only beyond the first, restricted beyond the second."""
DRAWS = 200
Beliefs = Mapping[str, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Bill:
    """One month at a number of users, in USD: ``lines`` by what is paid for.

    ``interval``: 95 % under the uncertainty of the measured demands and of every
    assumption. Railway bills the larger of use and subscription. ``database``: the
    Supabase plan that is large enough, free or pro, and ``reason`` why.
    """

    users: int
    lines: Mapping[str, float]
    platform_usd: float
    interval: tuple[float, float]
    with_supabase_pro_usd: float
    database: str
    reason: str
    total_usd: float
    vcpu: float
    memory_mib: float

    def as_json(self) -> dict[str, object]:
        """The bill under the names of plan.json."""
        return {
            "users": self.users,
            "usd_per_month": round(self.platform_usd, 2),
            "interval": [round(end, 2) for end in self.interval],
            "with_supabase_pro": round(self.with_supabase_pro_usd, 2),
            "database": self.database,
            "total_usd": round(self.total_usd, 2),
            "within_budget": self.platform_usd <= BUDGET_USD,
            "vcpu": round(self.vcpu, 4),
            "memory_mib": round(self.memory_mib, 1),
            "lines": {name: round(value, 2) for name, value in self.lines.items()},
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class BriefLine:
    """A line of the brief's cost table beside the price list."""

    users: int
    workers: int
    vcpu: float
    memory_gb: float
    claimed_usd: float
    list_usd: float = field(init=False)

    def __post_init__(self) -> None:
        full = self.vcpu * usd("railway_cpu") + self.memory_gb * usd("railway_memory")
        object.__setattr__(self, "list_usd", full)


BRIEF: tuple[BriefLine, ...] = (
    BriefLine(users=1_000, workers=2, vcpu=0.5, memory_gb=0.5, claimed_usd=10.0),
    BriefLine(users=5_000, workers=4, vcpu=1.0, memory_gb=1.0, claimed_usd=25.0),
    BriefLine(users=10_000, workers=6, vcpu=1.5, memory_gb=2.0, claimed_usd=50.0),
)
"""The brief's three lines: what they would cost if all of it were used all month."""


def pushes_a_day(users: int, beliefs: Beliefs) -> float:
    """Notifications of a weekday: ordinary delays, and disruptions on average."""
    alpha, beta = beliefs["storm_alpha"], beliefs["storm_beta"]
    storms = beliefs["storms_per_day"] * alpha / (alpha + beta)
    return users * (beliefs["pushes_per_user_day"] + storms)


def mean_vcpu(
    calibration: Calibration,
    layout: Layout,
    users: int,
    rng: np.random.Generator | None = None,
    beliefs: Beliefs | None = None,
) -> float:
    """Cores busy on average over a day; ``rng`` resamples the measured attempts."""
    pushes = pushes_a_day(users, believed() if beliefs is None else beliefs)
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
    lines = lines_of(calibration, layout, users, believed())
    rng = np.random.default_rng(seed)
    spread = [
        sum(lines_of(calibration, layout, users, believed(rng), rng).values())
        for _ in range(DRAWS)
    ]
    low, high = (float(end) for end in np.quantile(spread, (0.025, 0.975)))
    least = usd("railway_hobby")
    platform = max(sum(lines.values()), least)
    database, reason = database_plan(users, believed())
    memory = sum(usd_ for name, usd_ in lines.items() if name.startswith("memory"))
    cpu = sum(usd_ for name, usd_ in lines.items() if name.startswith("cpu"))
    return Bill(
        users=users,
        lines=lines,
        platform_usd=platform,
        interval=(max(low, least), max(high, least)),
        with_supabase_pro_usd=platform + usd("supabase_pro"),
        database=database,
        reason=reason,
        total_usd=platform + usd(f"supabase_{database}"),
        vcpu=cpu / usd("railway_cpu"),
        memory_mib=memory / usd("railway_memory") * GB_MIB,
    )


def bills(
    calibration: Calibration, layout: Layout, users: Sequence[int], *, seed: int = 1
) -> list[Bill]:
    """A bill for each number of users."""
    return [bill(calibration, layout, number, seed=seed) for number in users]


def lines_of(
    calibration: Calibration,
    layout: Layout,
    users: int,
    beliefs: Beliefs,
    rng: np.random.Generator | None = None,
) -> dict[str, float]:
    """What is used in a month, each line in USD at Railway's prices."""
    memory = dict(standing_mib(calibration, layout))
    memory["beat"] = calibration.memory_mib.get("beat", beliefs["beat_mib"])
    memory["redis"] = beliefs["redis_mib"]
    memory["api"] = beliefs["api_mib"]
    sync = calibration.demands.get(SYNC)
    if sync is not None:
        share = sync.service_s() / DAY_S
        memory["sync"] = share * float(np.max(sync.rss_mib))
    lines = {
        f"memory {name}": mib / GB_MIB * usd("railway_memory")
        for name, mib in memory.items()
    }
    vcpu = mean_vcpu(calibration, layout, users, rng, beliefs)
    api_vcpu = beliefs["api_vcpu_per_10k"] * users / 10_000
    lines["cpu workers"] = vcpu * usd("railway_cpu")
    lines["cpu api"] = api_vcpu * usd("railway_cpu")
    lines["egress"] = egress_gb(users, beliefs) * usd("railway_egress")
    lines["volume"] = beliefs["redis_volume_gb"] * usd("railway_volume")
    return lines


def egress_gb(users: int, beliefs: Beliefs) -> float:
    """GB a month that leave the platform: to Apple, to riders, to PostgreSQL."""
    pushed_kb = pushes_a_day(users, beliefs) * beliefs["push_kb"]
    answered_kb = users * beliefs["api_kb_per_user_day"]
    loaded_kb = beliefs["timetable_mb_per_day"] * 1e3
    return MONTH_DAYS * (pushed_kb + answered_kb + loaded_kb) / 1e6


def database_mb(users: int, beliefs: Beliefs) -> float:
    """What PostgreSQL holds."""
    return (
        beliefs["database_base_mb"]
        + beliefs["database_timetable_mb"]
        + beliefs["database_records_mb"]
        + users * beliefs["database_kb_per_user"] / 1e3
    )


def database_egress_gb(users: int, beliefs: Beliefs) -> float:
    """GB a month that leave Supabase."""
    return users * beliefs["database_egress_kb_per_user_day"] * MONTH_DAYS / 1e6


def database_plan(users: int, beliefs: Beliefs) -> tuple[str, str]:
    """The smallest Supabase plan that holds so many users, and why."""
    held, left = database_mb(users, beliefs), database_egress_gb(users, beliefs)
    if held > FREE_DATABASE_MB:
        return "pro", f"{held:,.0f} MB exceed {FREE_DATABASE_MB:.0f}"
    if left > FREE_EGRESS_GB:
        return "pro", f"{left:,.1f} GB of egress exceed {FREE_EGRESS_GB:.0f}"
    return "free", f"{held:,.0f} MB, {left:.1f} GB of egress"


def breaks_budget_at(calibration: Calibration, layout: Layout) -> int | None:
    """The users at which the platform exceeds the budget; None up to 1,000,000."""
    low, high = 0, 1_000_000
    if _used(calibration, layout, high) <= BUDGET_USD:
        return None
    while high - low > 100:
        middle = (low + high) // 2
        if _used(calibration, layout, middle) <= BUDGET_USD:
            low = middle
        else:
            high = middle
    return high


def _used(calibration: Calibration, layout: Layout, users: int) -> float:
    return sum(lines_of(calibration, layout, users, believed()).values())


def _batches(pushes: float, size: int) -> float:
    """Messages for so many pushes a day: storms fill batches, trickles do not."""
    return max(pushes / size, min(pushes, DAY_S / 120))
