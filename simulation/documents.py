"""Tables that documents hold, each generated from the rows it shows.

Longer than 250 lines because it is a list of tables, each a function of its own.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from simulation.assumptions import ASSUMPTIONS
from simulation.cost import BRIEF, GB_MIB, bill, bills
from simulation.layout import Layout
from simulation.layouts import LAYOUTS
from simulation.memory import child_mib, pool_mib, standing_mib
from simulation.plan import COST_USERS
from simulation.prices import PRICES
from simulation.providers import breaks, options
from simulation.results import base, found, limit_rows
from simulation.simplified import SIMPLIFIED
from worker.policy import POLICY

Rows = list[dict[str, Any]]


def prices() -> Rows:
    """What is paid for, dated and sourced."""
    return [_fields(price) for price in PRICES.values()]


def assumptions() -> Rows:
    """What the model did not measure."""
    return [_fields(row) for row in ASSUMPTIONS.values()]


def simplified() -> Rows:
    """What the worker does and the model leaves out."""
    return [_fields(row) for row in SIMPLIFIED]


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
    """The brief's cost lines beside the price list and beside our bill."""
    calibration, layout = base(), Layout.of(POLICY)
    rows = []
    for line in BRIEF:
        month = bill(calibration, layout, line.users)
        rows.append(
            {
                "users": f"{line.users:,}",
                "workers": line.workers,
                "vCPU": line.vcpu,
                "GB": line.memory_gb,
                "claimed USD": f"{line.claimed_usd:.0f}",
                "at full use": f"{line.list_usd:.0f}",
                "claim less that": f"{line.claimed_usd - line.list_usd:+.0f}",
                "our bill": f"{month.platform_usd:.2f}",
                "our vCPU": f"{month.vcpu:.2f}",
                "our GB": f"{month.memory_mib / GB_MIB:.2f}",
                "not in the claim": "Redis, beat, API, egress, subscription, Supabase",
            }
        )
    return rows


def cost() -> Rows:
    """The month's bill, from the kept calibration."""
    return [
        {
            "users": f"{month.users:,}",
            "USD a month": f"{month.platform_usd:.2f}",
            "95 % interval": f"{month.interval[0]:.2f} to {month.interval[1]:.2f}",
            "Supabase": month.database,
            "because": month.reason,
            "with Supabase": f"{month.total_usd:.2f}",
            "vCPU": f"{month.vcpu:.2f}",
            "MiB": f"{month.memory_mib:,.0f}",
        }
        for month in bills(base(), Layout.of(POLICY), COST_USERS)
    ]


def bill_lines() -> Rows:
    """What the bill is made of, USD a month by users."""
    months = bills(base(), Layout.of(POLICY), COST_USERS)
    return [
        {
            "paid for": name,
            **{f"{month.users:,}": f"{month.lines[name]:.2f}" for month in months},
        }
        for name in months[0].lines
    ]


def hosting() -> Rows:
    """The same workers elsewhere, USD a month without Supabase."""
    users = tuple(number for number in COST_USERS if number <= 10_000)
    return [
        {
            "hosted": option.name,
            **{f"{n:,}": f"{usd:.2f}" for n, usd in option.usd_by_users.items()},
            "note": option.says,
        }
        for option in options(base(), Layout.of(POLICY), users)
    ]


def budget() -> Rows:
    """What breaks the budget, the first one first."""
    return [
        {
            "what": row.what,
            "from users": "-" if row.users is None else f"{row.users:,}",
            "USD a month then": f"{row.usd_per_month:.2f}",
            "because": row.says,
        }
        for row in breaks(base(), Layout.of(POLICY))
    ]


def memory() -> Rows:
    """What each pool takes: gauged, bounded by its attempts, allowed by its service."""
    calibration, layout = base(), Layout.of(POLICY)
    gauged, peaks = standing_mib(calibration, layout), pool_mib(calibration, layout)
    return [
        {
            "pool": name,
            "children": pool.children,
            "PSS MiB": f"{gauged[name]:.0f}",
            "attempts' peaks MiB": f"{peaks[name]:.0f}",
            "one more child MiB": f"{child_mib(calibration, layout, name):.0f}",
            "recycled above MiB": pool.max_memory_per_child_mib,
            "service allows MiB": POLICY.services[name].memory_mib,
        }
        for name, pool in layout.pools.items()
    ]


def limits() -> Rows:
    """What binds at how many users, from the first on."""
    return [
        {
            "limit": row["name"],
            "users": "-" if row["users"] is None else f"{row['users']:,}",
            "derivation": row["derivation"],
            "then": row["action"],
        }
        for row in limit_rows(base())
    ]


def scaling() -> Rows:
    """Each rule in the loop, at each number of users, over the simulated year."""
    document = found()
    rules = {rule["name"]: rule for rule in document["rules"]}
    return [
        {
            "rule": score["rule"],
            "fires": _fires(rules[score["rule"]]),
            "users": f"{score['users']:,}",
            "hit rate": _share(score["hit_rate"]),
            "capacity in time": _share(score["in_time"]),
            "after s": _or_dash(score["detected_s"], ".0f"),
            "false alarms a week": f"{score['false_alarms_per_week']:.2f}",
            "late before": f"{score['late_before']:.2%}",
            "late after": f"{score['late_after']:.2%}",
            "late pushes spared": _between(score["saved"]),
            "late minutes a week": f"{score['violation_minutes_before']:.1f} to "
            f"{score['violation_minutes_after']:.1f}",
            "child hours a week": f"{score['child_hours_per_week']:.1f}",
            "USD a month": f"{score['usd_per_month']:.2f}",
        }
        for score in document["scores"]
    ]


def rules() -> Rows:
    """Each rule's threshold, action and derivation."""
    document = found()
    tried = f"{min(document['users']):,} to {max(document['users']):,} users"
    return [
        {
            "rule": rule["name"],
            "deployed": "yes" if rule["name"] in POLICY.alarms else "no",
            "fires": _fires(rule),
            "action": rule["action"],
            "derivation": rule["derivation"],
            "valid for": f"{tried}; {document['valid_for']}",
        }
        for rule in document["rules"]
    ]


def waiting() -> Rows:
    """Where a push's time goes in the hour of a storm."""
    return [
        {
            "users": f"{row['users']:,}",
            "stage": row["stage"],
            "s, all pushes": f"{row['all_s']:.2f}",
            "s, late pushes": _or_dash(row["late_s"], ".2f"),
        }
        for row in found()["waiting"]
    ]


def causes() -> Rows:
    """Late pushes of the same storms without one cause of waiting."""
    return [
        {
            "users": f"{row['users']:,}",
            "without": row["without"],
            "late": f"{row['late']:.2%}",
            "p95 s": f"{row['p95_s']:.1f}",
            "p99 s": f"{row['p99_s']:.1f}",
        }
        for row in found()["causes"]
    ]


def sensitivity() -> Rows:
    """Late pushes with one assumption at either end, the widest swing first."""
    return [
        {
            "assumption": row["assumption"],
            "from": f"{row['low']:g}",
            "to": f"{row['high']:g}",
            "late at the low end": f"{row['late_at_low']:.2%}",
            "as assumed": f"{row['late']:.2%}",
            "late at the high end": f"{row['late_at_high']:.2%}",
        }
        for row in found()["sensitivity"]
    ]


def cheapest() -> Rows:
    """The cheapest number of children that keeps what riders are promised."""
    return [
        {
            "users": f"{row['users']:,}",
            "pushes": f"{row['batch_size']} a message",
            "children": row["children"],
            "promise": _PROMISE[row["promise"]],
            "late": f"{row['late']:.2%}",
            "95 % interval": _between(row["late_interval"]),
            "p95 s": f"{row['p95_s']:.1f}",
            "USD a month": f"{row['usd_per_month']:.2f}",
        }
        for row in found()["cheapest"]
    ]


_PROMISE = {
    "kept": "kept",
    "undecided": "undecided; kept surely by no number tried",
    "broken": "broken by every number tried",
}
TABLES: Mapping[str, Callable[[], Rows]] = {
    "prices": prices,
    "assumptions": assumptions,
    "simplified": simplified,
    "layouts": layouts,
    "brief": brief,
    "cost": cost,
    "bill": bill_lines,
    "hosting": hosting,
    "budget": budget,
    "memory": memory,
    "limits": limits,
    "rules": rules,
    "scaling": scaling,
    "waiting": waiting,
    "causes": causes,
    "sensitivity": sensitivity,
    "cheapest": cheapest,
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


def _between(ends: Sequence[float]) -> str:
    return f"{ends[0]:.2%} to {ends[1]:.2%}"


def _or_dash(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _fires(rule: Mapping[str, Any]) -> str:
    return (
        f"{rule['sample']} of {rule['label']} > {rule['threshold']:g} "
        f"for {rule['sustain_s']:g} s"
    )


def _fields(row: Any) -> dict[str, Any]:
    return {field.name: getattr(row, field.name) for field in fields(row)}


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)
