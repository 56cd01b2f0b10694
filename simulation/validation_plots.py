"""Figures that hold the model against a run it has not seen."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from simulation.gauges import depth, instants
from simulation.plots import COLORS, limit, title
from simulation.tables import Floats
from worker.measures import Recorded

DKW_SHARE = 0.05
MARKS = {"within": "o", "inconclusive": "^", "outside": "X"}
WEDGES = ((0.2, 0.10), (0.1, 0.18))
"""Relative error and how dark: 20 % and 10 %."""


def push_cdf(
    measured: Floats, predicted: Sequence[Floats], late_s: float, ax: Axes
) -> Axes:
    """Measured and predicted shares of pushes that had arrived, with a 95 % band."""
    longest_s = float(np.max(measured[np.isfinite(measured)], initial=0.0))
    grid = np.linspace(0, max(late_s * 1.2, longest_s), 240)
    share = np.searchsorted(np.sort(measured), grid, side="right") / max(
        1, len(measured)
    )
    each = np.array(
        [
            np.searchsorted(np.sort(p), grid, side="right") / max(1, len(p))
            for p in predicted
        ]
    )
    low, middle, high = np.quantile(each, (0.025, 0.5, 0.975), axis=0)
    ax.fill_between(grid, low, high, color=COLORS["predicted"], alpha=0.25, linewidth=0)
    ax.plot(grid, middle, color=COLORS["predicted"], label="predicted, 95 % band")
    ax.plot(grid, share, color=COLORS["measured"], label="measured")
    limit(ax, late_s, f"late after {late_s:g} s", vertical=True)
    gap = float(np.max(np.abs(share - middle)))
    title(ax, f"Measured and predicted pushes differ by {gap:.0%} of riders at most")
    ax.set_xlabel("delay published to push arrived, s")
    ax.set_ylabel("share of pushes")
    ax.set_ylim(0, 1.02)
    ax.legend(loc="lower right")
    return ax


def sojourn_cdf(
    measured: Floats, predicted: Sequence[Floats], what: str, ax: Axes
) -> Axes:
    """Shares of attempts done after so many seconds, measured with its DKW band.

    The band holds the true curve with 95 % if attempts were independent (Dvoretzky,
    Kiefer and Wolfowitz 1956, with Massart's constant 1990); attempts that queue
    together are less than that, so the band is the narrowest that can be claimed.
    """
    pooled = np.sort(np.concatenate(list(predicted)))
    real = np.sort(measured)
    grid = np.geomspace(
        max(1e-3, min(real[0], pooled[0])), max(real[-1], pooled[-1]), 300
    )
    share = np.searchsorted(real, grid, side="right") / len(real)
    model = np.searchsorted(pooled, grid, side="right") / len(pooled)
    half = float(np.sqrt(np.log(2 / DKW_SHARE) / (2 * len(real))))
    ax.fill_between(
        grid, np.clip(share - half, 0, 1), np.clip(share + half, 0, 1),
        color=COLORS["measured"], alpha=0.15, linewidth=0,
        label=f"measured, DKW band ±{half:.1%}",
    )  # fmt: skip
    ax.plot(grid, share, color=COLORS["measured"], linewidth=1)
    ax.plot(grid, model, color=COLORS["predicted"], label="simulated")
    apart = float(np.max(np.abs(share - model)))
    inside = "inside" if apart <= half else "outside"
    title(ax, f"{what}: the curves are {apart:.1%} apart at most, {inside} the band")
    ax.set_xscale("log")
    ax.set_xlabel("enqueued to finished, s")
    ax.set_ylabel("share of attempts")
    ax.legend(loc="lower right")
    return ax


def depth_fan(
    measured: Recorded, predicted: Sequence[Recorded], queue: str, ax: Axes
) -> Axes:
    """Messages waiting over time: the model's quantiles, and the real run."""
    at = instants(measured.started_at, measured.finished_at, 1.0)
    real = _depth(measured, queue, at)
    each = np.array([_depth(run, queue, at) for run in predicted])
    low, quarter, middle, third, high = np.quantile(
        each, (0.05, 0.25, 0.5, 0.75, 0.95), axis=0
    )
    seconds = at - measured.started_at
    color = COLORS["predicted"]
    ax.fill_between(seconds, low, high, color=color, alpha=0.15, linewidth=0,
                    label="simulated, 5 to 95 %", step="mid")  # fmt: skip
    ax.fill_between(seconds, quarter, third, color=color, alpha=0.3, linewidth=0,
                    label="25 to 75 %", step="mid")  # fmt: skip
    ax.step(seconds, middle, color=color, linewidth=0.8, where="mid", label="median")
    ax.step(seconds, real, color=COLORS["measured"], linewidth=0.8, where="mid",
            label="measured")  # fmt: skip
    held = float(np.mean((real >= low) & (real <= high)))
    title(ax, f"The fan holds the real depth of {queue} in {held:.0%} of the seconds")
    ax.set_xlabel("seconds of the run")
    ax.set_ylabel(f"messages waiting in {queue}")
    ax.set_ylim(bottom=0)
    ax.legend(loc="upper right", ncols=2)
    return ax


def parity(rows: Sequence[Mapping[str, Any]], ax: Axes) -> Axes:
    """Predicted over measured, one point a metric and run; wedges of 10 and 20 %.

    A point is named where it lies outside, or where few are shown.
    """
    shown = [row for row in rows if row["measured"] and row["predicted"]]
    values = [row[side] for row in shown for side in ("measured", "predicted")]
    low, high = (min(values), max(values)) if values else (0.1, 1.0)
    line = np.geomspace(low / 1.5, high * 1.5, 50)
    for share, alpha in WEDGES:
        ax.fill_between(
            line, line * (1 - share), line * (1 + share), color="#777777", alpha=alpha,
            linewidth=0, label=f"±{share:.0%}",
        )  # fmt: skip
    ax.plot(line, line, color="#777777", linewidth=0.8)
    for verdict, mark in MARKS.items():
        mine = [row for row in shown if row["verdict"] == verdict]
        ax.scatter(
            [row["measured"] for row in mine],
            [row["predicted"] for row in mine],
            marker=mark,
            s=18,
            color=COLORS["predicted"] if verdict != "outside" else COLORS["D"],
            facecolors="none" if verdict == "inconclusive" else None,
            label=f"{verdict} ({len(mine)})",
            zorder=3,
        )
    for row in shown:
        if row["verdict"] == "outside":
            ax.annotate(
                f"{row['run']} {row['metric']}", (row["measured"], row["predicted"]),
                fontsize=6, xytext=(3, 3), textcoords="offset points",
            )  # fmt: skip
    outside = sum(row["verdict"] == "outside" for row in rows)
    title(ax, f"{outside} of {len(rows)} predicted figures lie outside their threshold")
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel("measured (each figure in its unit)")
    ax.set_ylabel("predicted")
    ax.legend(loc="upper left")
    return ax


def _depth(run: Recorded, queue: str, at: Floats) -> Floats:
    return depth([record for record in run.tasks if record.queue == queue], at)
