"""Figures in one visual language: the title states the finding, axes carry units.

Each function draws on the axes it is given and returns them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from simulation.tables import Floats
from worker.policy.feeds import Quota

COLORS = {
    "A": "#9aa0a6", "B": "#c48f2f", "C": "#7a5ba6", "D": "#b0413e", "ours": "#1f6f8b",
    "critical": "#b0413e", "normal": "#1f6f8b", "batch": "#7a5ba6",
    "measured": "#222222", "predicted": "#1f6f8b",
}  # fmt: skip
"""One color a layout, a queue, a side: the same in every figure."""

SIZE, DPI = (7.0, 3.5), 90

STYLE: Any = {
    "figure.figsize": SIZE,
    "figure.dpi": DPI,
    "figure.constrained_layout.use": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "font.size": 9,
    "legend.frameon": False,
}


def figure() -> tuple[Figure, Axes]:
    """A figure of the house's size and style, with its axes; no display needed."""
    with mpl.rc_context(STYLE):
        drawn = Figure()
        axes = drawn.subplots()
    return drawn, axes


def limit(ax: Axes, value: float, label: str, *, vertical: bool = False) -> Axes:
    """A grey dashed line for a limit from the policy."""
    draw = ax.axvline if vertical else ax.axhline
    draw(value, color="#777777", linestyle="--", linewidth=1, label=label)
    return ax


def by_users(
    rows: Sequence[Mapping[str, Any]], measure: str, unit: str, ax: Axes,
    *, promise: float | None = None,
) -> Axes:  # fmt: skip
    """A measure over users, one line a layout with its 95 % band."""
    layouts = list(dict.fromkeys(row["layout"] for row in rows))
    for name in layouts:
        mine = sorted(
            (r for r in rows if r["layout"] == name), key=lambda r: r["users"]
        )
        users = [row["users"] for row in mine]
        band = np.array(
            [row["intervals"].get(measure, (np.nan, np.nan)) for row in mine],
            dtype=float,
        )
        color = COLORS.get(name, "#444444")
        ax.fill_between(
            users, band[:, 0], band[:, 1], color=color, alpha=0.12, linewidth=0
        )
        ax.plot(
            users, [row[measure] for row in mine], color=color, marker=".", label=name
        )
    if promise is not None:
        limit(ax, promise, f"promised {promise:g}")
    top = max(row["users"] for row in rows)
    last = {row["layout"]: row[measure] for row in rows if row["users"] == top}
    best, worst = min(last, key=last.__getitem__), max(last, key=last.__getitem__)
    title(
        ax,
        f"At {top:,} users {measure} is {last[best]:.3g} on {best} "
        f"and {last[worst]:.3g} on {worst}",
    )
    ax.set_xlabel("users")
    ax.set_ylabel(f"{measure}, {unit}")
    ax.set_ylim(bottom=0)
    ax.legend(ncols=len(layouts) + 1, loc="upper left")
    return ax


def cost_by_users(bills: Sequence[Mapping[str, Any]], budget: float, ax: Axes) -> Axes:
    """The month's bill by what is paid for, stacked, with the budget."""
    users = [f"{bill['users']:,}" for bill in bills]
    kinds = ("memory", "cpu workers", "cpu api", "egress", "volume")
    bottom = np.zeros(len(bills))
    shades = [COLORS[name] for name in ("ours", "C", "A", "B", "D")]
    for kind, color in zip(kinds, shades, strict=True):
        height = np.array(
            [
                sum(usd for name, usd in bill["lines"].items() if name.startswith(kind))
                for bill in bills
            ]
        )
        ax.bar(users, height, bottom=bottom, color=color, label=kind)
        bottom += height
    limit(ax, budget, f"budget {budget:g} USD")
    inside = [bill for bill in bills if bill["within_budget"]]
    reach = f"{max(bill['users'] for bill in inside):,} users" if inside else "no user"
    title(ax, f"The platform stays within {budget:g} USD up to {reach} of those shown")
    ax.set_xlabel("users")
    ax.set_ylabel("USD per month")
    ax.legend(loc="upper left")
    return ax


def quota_day(
    spent: Mapping[str, Floats], hours: Floats, quota: Quota, ax: Axes
) -> Axes:
    """Requests spent by the hour of a day, a line a plan, with the key's limits.

    ``spent``: plan -> requests since midnight at each of ``hours``; the first plan is
    the one that is kept.
    """
    shades = (COLORS["ours"], COLORS["B"], COLORS["D"])
    for (plan, requests), color in zip(spent.items(), shades, strict=False):
        ax.plot(hours, requests, color=color, label=plan)
    granted = quota.granted_per_day
    limit(ax, granted, f"granted {granted:,}")
    planned = quota.planned_share * granted
    ax.axhline(
        planned, color="#777777", linestyle=":", linewidth=1,
        label=f"planned at most {planned:,.0f}",
    )  # fmt: skip
    (kept, of_day), *others = spent.items()
    finding = f"{kept.capitalize()} takes {of_day[-1] / granted:.0%} of the quota"
    for plan, requests in others:
        if requests[-1] > granted:
            dark = hours[int(np.argmax(requests >= granted))]
            finding += f"; {plan} is dark by {int(dark)}:{int(dark % 1 * 60):02d}"
    title(ax, finding)
    ax.set_xlabel("hour of the day in Sydney")
    ax.set_ylabel("requests since midnight")
    ax.set_xlim(0, 24)
    ax.set_xticks(range(0, 25, 4))
    ax.set_ylim(bottom=0)
    ax.legend(loc="upper left")
    return ax


def title(ax: Axes, finding: str) -> None:
    """What the figure has found, above it."""
    ax.set_title(finding, loc="left", fontsize=10)
