"""Tables that documents hold, each generated from the rows it shows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from simulation.assumptions import ASSUMPTIONS
from simulation.cost import BRIEF
from simulation.layouts import LAYOUTS
from simulation.prices import PRICES
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


TABLES: Mapping[str, Callable[[], Rows]] = {
    "prices": prices,
    "assumptions": assumptions,
    "layouts": layouts,
    "brief": brief,
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


def _fields(row: Any) -> dict[str, Any]:
    return {field.name: getattr(row, field.name) for field in fields(row)}


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)
