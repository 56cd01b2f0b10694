"""The same workers elsewhere: Fly.io machines, and Redis by the command or fixed."""

from collections.abc import Mapping
from dataclasses import dataclass

from simulation.assumptions import believed
from simulation.cost import (
    BUDGET_USD,
    FREE_DATABASE_MB,
    FREE_EGRESS_GB,
    MONTH_DAYS,
    Beliefs,
    breaks_budget_at,
    database_egress_gb,
    database_mb,
    egress_gb,
    lines_of,
    pushes_a_day,
)
from simulation.demands import POLL, Calibration
from simulation.layout import Layout
from simulation.memory import pool_mib
from simulation.prices import usd
from worker.policy import Every

MACHINES = ((256, "fly_shared_256"), (512, "fly_shared_512"), (1024, "fly_shared_1024"))
COMMANDS_PER_PUSH_MESSAGE = 10.0
"""Of a message that is acknowledged late: 2,027 commands for 200 were counted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Option:
    """A way to host the same workers, USD a month by users."""

    name: str
    usd_by_users: Mapping[int, float]
    says: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Break:
    """What takes a month over the budget, and from how many users on."""

    what: str
    users: int | None
    usd_per_month: float
    says: str


def machine_usd(mib: float) -> float:
    """The smallest Fly.io machine that holds so much, extra memory by the GB."""
    for size, name in MACHINES:
        if mib <= size:
            return usd(name)
    largest, name = MACHINES[-1]
    return usd(name) + (mib - largest) / 1024 * usd("fly_memory")


def redis_commands(layout: Layout, users: int, beliefs: Beliefs) -> float:
    """Commands a month that Upstash would count."""
    tick = layout.tasks[POLL].tick
    polls = 86_400 / tick.period_s if isinstance(tick, Every) else 0.0
    messages = pushes_a_day(users, beliefs) / layout.batch_size
    a_day = (
        beliefs["redis_commands_idle_per_day"]
        + polls * beliefs["redis_commands_per_poll"]
        + messages * COMMANDS_PER_PUSH_MESSAGE
    )
    return MONTH_DAYS * a_day


def options(
    calibration: Calibration, layout: Layout, users: tuple[int, ...]
) -> list[Option]:
    """Railway with each Redis, and Fly.io: the platform without Supabase."""
    beliefs = believed()
    railway = {n: lines_of(calibration, layout, n, beliefs) for n in users}
    own = ("memory redis", "volume")
    bare = {
        n: sum(value for name, value in lines.items() if name not in own)
        for n, lines in railway.items()
    }
    commands = {n: redis_commands(layout, n, beliefs) for n in users}
    peaks = {
        **pool_mib(calibration, layout),
        "beat": beliefs["beat_mib"],
        "api": beliefs["api_mib"],
    }
    machines = sum(machine_usd(mib) for mib in peaks.values())
    found = {
        "Railway, its Redis": {n: sum(lines.values()) for n, lines in railway.items()},
        "Railway, Upstash by the command": {
            n: bare[n] + commands[n] / 1e5 * usd("upstash_commands") for n in users
        },
        "Railway, Upstash fixed": {
            n: bare[n] + usd("upstash_fixed_250") for n in users
        },
        "Fly.io, Upstash fixed": {
            n: machines
            + egress_gb(n, beliefs) * usd("fly_egress")
            + usd("upstash_fixed_250")
            for n in users
        },
    }
    least = usd("railway_hobby")
    says = {
        "Railway, its Redis": "billed by the minute of use",
        "Railway, Upstash by the command": f"{commands[users[0]] / 1e6:.1f} million "
        "commands a month before the first user",
        "Railway, Upstash fixed": "what Upstash itself advises for Celery",
        "Fly.io, Upstash fixed": "machines by size, used or not: "
        + ", ".join(f"{name} {mib:,.0f} MiB" for name, mib in peaks.items()),
    }
    return [
        Option(
            name=name,
            usd_by_users={
                n: max(least, value) if name.startswith("Railway") else value
                for n, value in by_users.items()
            },
            says=says[name],
        )
        for name, by_users in found.items()
    ]


def breaks(calibration: Calibration, layout: Layout) -> list[Break]:
    """What breaks the budget, the first one first."""
    beliefs = believed()
    a_user_mb = beliefs["database_kb_per_user"] / 1e3
    by_size = int((FREE_DATABASE_MB - database_mb(0, beliefs)) / a_user_mb)
    by_egress = int(FREE_EGRESS_GB / database_egress_gb(1, beliefs))
    found = [
        Break(
            what="Supabase Free's size, so Pro",
            users=by_size,
            usd_per_month=_total(calibration, layout, by_size),
            says=f"{a_user_mb * 1e3:.0f} kB a user on top of "
            f"{database_mb(0, beliefs):.0f} MB reach {FREE_DATABASE_MB:.0f} MB",
        ),
        Break(
            what="Supabase Free's egress, so Pro",
            users=by_egress,
            usd_per_month=_total(calibration, layout, by_egress),
            says=f"{FREE_EGRESS_GB:.0f} GB a month",
        ),
    ]
    used = breaks_budget_at(calibration, layout)
    found.append(
        Break(
            what="the platform's own use",
            users=used,
            usd_per_month=BUDGET_USD,
            says="memory, cores and egress together, on Supabase Free",
        )
    )
    return sorted(found, key=lambda row: row.users or 10**9)


def _total(calibration: Calibration, layout: Layout, users: int) -> float:
    lines = lines_of(calibration, layout, users, believed())
    return max(usd("railway_hobby"), sum(lines.values())) + usd("supabase_pro")
