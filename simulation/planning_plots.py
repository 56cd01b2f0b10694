"""Figures of planning: who fits on what, what a rule is worth, what it hangs on."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from simulation.plots import COLORS, limit, title
from simulation.tables import Floats

Rows = Sequence[Mapping[str, Any]]
DEPLOYED, CANDIDATE, BRIEF = COLORS["ours"], COLORS["B"], COLORS["D"]


def late_heatmap(rows: Rows, promise: float, ax: Axes) -> Axes:
    """Late pushes by users and children, the promise's contour, lines of equal cost."""
    users = sorted({row["users"] for row in rows})
    children = sorted({row["children"] for row in rows})
    late, cost = np.empty((2, len(children), len(users)))
    for row in rows:
        place = children.index(row["children"]), users.index(row["users"])
        late[place], cost[place] = row["late"], row["usd_per_month"]
    drawn = ax.pcolormesh(
        np.arange(len(users)), np.arange(len(children)), 100 * late,
        cmap="YlOrRd", shading="nearest", vmin=0, vmax=max(100 * late.max(), 1.0),
    )  # fmt: skip
    ax.figure.colorbar(drawn, ax=ax, label="late pushes, %")
    if late.min() < promise < late.max():
        ax.contour(late, [promise], colors=COLORS["measured"], linewidths=1.5)
    lines = ax.contour(cost, 5, colors=COLORS["A"], linewidths=0.8, linestyles="--")
    ax.clabel(lines, fmt="%.0f USD", fontsize=7)
    ax.set_xticks(range(len(users)), [f"{n // 1000}K" for n in users])
    ax.set_yticks(range(len(children)), [str(n) for n in children])
    fits = [row["users"] for row in rows if row["promise"] == "kept"]
    ax.grid(False)
    reach = f"{max(fits):,} users" if fits else "no user"
    title(ax, f"Some number of children surely keeps {promise:.0%} late up to {reach}")
    ax.set_xlabel("users (black: the promise; dashed: equal cost)")
    ax.set_ylabel("children that send")
    return ax


def frontier(scores: Rows, deployed: Sequence[str], ax: Axes) -> Axes:
    """What each rule costs, and the minutes in which pushes stay late with it."""
    for score in scores:
        name = score["rule"]
        color = DEPLOYED if name in deployed else CANDIDATE
        color = BRIEF if name.startswith("brief") else color
        at = score["usd_per_month"], score["violation_minutes_after"]
        ax.plot(*at, "o", color=color)
    placed = sorted(scores, key=lambda score: score["violation_minutes_after"])
    tops = np.array([score["violation_minutes_after"] for score in placed])
    least = max(tops.max(), 1.0) / 14  # labels at least so far apart
    for k in range(1, len(tops)):
        tops[k] = max(tops[k], tops[k - 1] + least)
    right = max(score["usd_per_month"] for score in scores) or 1.0
    for score, top in zip(placed, tops, strict=True):
        at = score["usd_per_month"], score["violation_minutes_after"]
        ax.annotate(
            score["rule"], at, xytext=(at[0] + 0.03 * right, float(top)), fontsize=7,
            va="center",
        )  # fmt: skip
    before = scores[0]["violation_minutes_before"]
    limit(ax, before, "without any rule")
    best = min(scores, key=lambda score: score["violation_minutes_after"])
    left = best["violation_minutes_after"] / max(before, 1e-9)
    title(
        ax,
        f"At {scores[0]['users']:,} users the best reaction leaves "
        f"{left:.0%} of the late minutes",
    )
    ax.set_xlabel("added capacity, USD per month")
    ax.set_ylabel("late minutes per week")
    ax.set_ylim(0, 1.15 * max(before, float(tops.max())))
    ax.set_xlim(-0.05 * right, 1.35 * right)
    ax.legend(loc="lower right")
    return ax


def storm_anatomy(
    at_s: Floats,
    depth: Floats,
    age_s: Floats,
    marks: Mapping[str, float],
    ax: Axes,
) -> Axes:
    """A storm minute by minute: what waits, how long, and when which rule fires."""
    ax.step(at_s, depth, where="post", color=COLORS["normal"], label="messages waiting")
    ax.plot(at_s, age_s, color=COLORS["critical"], label="age of the oldest, s")
    top = max(float(depth.max()), float(age_s.max()), 1.0)
    for place, (name, moment) in enumerate(sorted(marks.items(), key=lambda m: m[1])):
        ax.axvline(moment, color="#777777", linewidth=0.8, linestyle="--")
        ax.text(moment, top * (1.30 - 0.09 * place), f" {name}", fontsize=7)
    over = float(at_s[np.flatnonzero(depth > 0)[-1]]) if (depth > 0).any() else 0.0
    late = [name for name, moment in marks.items() if moment > over]
    title(
        ax,
        f"The queue is empty after {over:.0f} s; "
        + (f"later than that: {', '.join(late)}" if late else "every mark is before"),
    )
    ax.set_xlabel("seconds after the delay was published")
    ax.set_ylabel("messages; seconds")
    ax.set_ylim(0, 1.42 * top)
    ax.legend(loc="center right")
    return ax


def tornado(rows: Rows, ax: Axes) -> Axes:
    """Late pushes with one assumption at either end, the widest swing on top."""
    shown = list(rows)[::-1]
    base = shown[0]["late"]
    for place, row in enumerate(shown):
        for end, color in (("low", COLORS["ours"]), ("high", COLORS["B"])):
            ax.barh(
                place, 100 * (row[f"late_at_{end}"] - base), left=100 * base,
                color=color, height=0.7, label=end if place == 0 else None,
            )  # fmt: skip
    ax.axvline(100 * base, color=COLORS["measured"], linewidth=1)
    names = [f"{r['assumption']} {r['low']:g} to {r['high']:g}" for r in shown]
    ax.set_yticks(range(len(shown)), names, fontsize=7)
    first = rows[0]
    low, high = sorted((first["late_at_low"], first["late_at_high"]))
    title(ax, f"{first['assumption']} moves late pushes from {low:.0%} to {high:.0%}")
    ax.set_xlabel(f"late pushes at {first['users']:,} users in storm hours, %")
    ax.legend(title="assumption at its", loc="lower right")
    return ax


def where_time_goes(rows: Rows, names: Sequence[str], ax: Axes) -> Axes:
    """Where a push's time goes: stacked seconds by stage, all pushes and late ones."""
    shades = (
        COLORS["A"], COLORS["critical"], COLORS["batch"], COLORS["normal"], COLORS["B"],
    )  # fmt: skip
    bars = [
        (f"{users:,}, {who}", users, key)
        for users in sorted({row["users"] for row in rows})
        for who, key in (("all", "all_s"), ("late", "late_s"))
    ]
    left = np.zeros(len(bars))
    for stage, color in zip(names, shades, strict=False):
        seconds = np.array(
            [
                next(
                    (r[key] or 0.0)
                    for r in rows
                    if r["users"] == users and r["stage"] == stage
                )
                for _, users, key in bars
            ]
        )
        ax.barh(range(len(bars)), seconds, left=left, color=color, label=stage)
        left += seconds
    ax.set_yticks(range(len(bars)), [label for label, _, _ in bars])
    ax.invert_yaxis()
    late = [row for row in rows if row["late_s"] is not None]
    most = max(late, key=lambda row: row["late_s"]) if late else rows[0]
    title(ax, f"A late push has mostly been '{most['stage']}'")
    ax.set_xlabel("seconds from published to arrived")
    ax.legend(loc="upper right", fontsize=7)
    return ax


def memory_of_pools(rows: Rows, ax: Axes) -> Axes:
    """Memory of pools: gauged, by their attempts' peaks, and what services allow."""
    names = [row["pool"] for row in rows]
    kinds = (
        ("gauged", "paid for (PSS)", COLORS["ours"]),
        ("peaks", "bound (peaks)", COLORS["A"]),
        ("allowed", "service allows", COLORS["D"]),
    )
    for place, (key, label, color) in enumerate(kinds):
        at = np.arange(len(rows)) + 0.26 * (place - 1)
        ax.bar(at, [row[key] for row in rows], width=0.24, color=color, label=label)
    ax.set_xticks(range(len(rows)), names)
    full = max(row["peaks"] / row["allowed"] for row in rows)
    title(ax, f"Peaks fill at most {full:.0%} of what the services allow")
    ax.set_ylabel("MiB")
    ax.legend(loc="upper left")
    return ax


def limits_ladder(rows: Rows, ax: Axes) -> Axes:
    """Measured service times of each task beside its limits, ours and the brief's."""
    for place, row in enumerate(rows):
        ax.plot(
            [row["p50"], row["max"]], [place, place], color=COLORS["measured"],
            linewidth=4, solid_capstyle="butt",
            label="measured, p50 to longest" if place == 0 else None,
        )  # fmt: skip
        for key, mark, color, label in (
            ("soft", "|", COLORS["ours"], "soft limit"),
            ("hard", "X", COLORS["ours"], "hard limit"),
            ("brief_soft", "|", COLORS["D"], "the brief's soft"),
            ("brief_hard", "x", COLORS["D"], "the brief's hard"),
        ):
            if row[key] is not None:
                shift = 0.18 if key.startswith("brief") else -0.18
                ax.plot(
                    row[key], place + shift, mark, color=color, markersize=9,
                    label=label if place == 0 else None,
                )  # fmt: skip
    ax.set_yticks(range(len(rows)), [row["task"] for row in rows])
    ax.set_xscale("log")
    ax.set_ylim(-0.6, len(rows) - 0.4)
    room = min(row["soft"] / row["max"] for row in rows)
    title(ax, f"Every soft limit is at least {room:.0f} x the longest attempt measured")
    ax.set_xlabel("seconds")
    ax.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax
