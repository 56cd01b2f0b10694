"""Tables that documents hold, each generated from the rows it shows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from simulation.assumptions import ASSUMPTIONS
from simulation.calibration import calibrate
from simulation.cost import BRIEF, bills
from simulation.kept import kept
from simulation.layout import Layout
from simulation.layouts import LAYOUTS
from simulation.plan import COST_USERS
from simulation.prices import PRICES
from simulation.scaling import triggers
from worker.policy import POLICY

Rows = list[dict[str, Any]]


def prices() -> Rows:
    """What is paid for, dated and sourced."""
    return [_fields(price) for price in PRICES.values()]


def assumptions() -> Rows:
    """What the model did not measure."""
    return [_fields(row) for row in ASSUMPTIONS.values()]


def layouts() -> Rows:
    """The queue layouts that a sweep compares."""
    rows = []
    for layout in LAYOUTS.values():
        policy = layout.of(POLICY)
        rows.append(
            {
                "layout": layout.name,
                "what": layout.title,
                **{
                    "pools": "; ".join(
                        f"{pool.name}: {', '.join(pool.queues)} x {pool.children}"
                        for pool in policy.pools.values()
                    )
                },
            }
        )
    return rows


def brief() -> Rows:
    """The brief's cost lines beside the price list."""
    return [
        {
            "users": line.users,
            "vCPU": line.vcpu,
            "GB": line.memory_gb,
            "claimed USD": line.claimed_usd,
            "at full use USD": line.list_usd,
            "difference": line.list_usd - line.claimed_usd,
        }
        for line in BRIEF
    ]


def cost() -> Rows:
    """The month's bill, from the kept calibration."""
    calibration = calibrate(kept("calibration")[0], strict=False)
    return [
        {
            "users": f"{month.users:,}",
            "USD a month": f"{month.platform_usd:.2f}",
            "95 % interval": f"{month.interval[0]:.2f} to {month.interval[1]:.2f}",
            "with Supabase Pro": f"{month.with_supabase_pro_usd:.2f}",
            "vCPU": f"{month.vcpu:.2f}",
            "MiB": f"{month.memory_mib:,.0f}",
        }
        for month in bills(calibration, Layout.of(POLICY), COST_USERS)
    ]


def scaling() -> Rows:
    """Each scaling rule with what it was worth, from the kept calibration."""
    calibration = calibrate(kept("calibration")[0], strict=False)
    return [
        {
            "rule": rule.name,
            "signal": rule.signal,
            "above": f"{rule.threshold:g}",
            "for s": f"{rule.sustain_s:g}",
            "action": rule.action,
            "hit rate": _share(rule.hit_rate),
            "false alarms a week": (
                "-"
                if rule.false_alarms_per_week is None
                else f"{rule.false_alarms_per_week:.1f}"
            ),
            "late before": _share(rule.late_before),
            "late after": _share(rule.late_after),
            "derivation": rule.derivation,
            "valid for": rule.valid_for,
        }
        for rule in triggers(calibration, hours=4)
    ]


TABLES: Mapping[str, Callable[[], Rows]] = {
    "prices": prices,
    "assumptions": assumptions,
    "layouts": layouts,
    "brief": brief,
    "cost": cost,
    "scaling": scaling,
}


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as a Markdown table."""
    if not rows:
        return ""
    names = list(rows[0])
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    lines += [
        "| " + " | ".join(_cell(row[name]) for name in names) + " |" for row in rows
    ]
    return "\n".join(lines)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"


def _fields(row: Any) -> dict[str, Any]:
    return {field.name: getattr(row, field.name) for field in fields(row)}


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)
