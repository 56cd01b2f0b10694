"""Figures of planning say what they found, from the rows that they draw."""

import numpy as np

from simulation import planning_plots, plots

GRID = [
    {"users": users, "children": children, "late": users / children / 2e5,
     "usd_per_month": 5.0 + children + users / 1e3,
     "promise": "kept" if users == 1_000 else "undecided"}
    for users in (1_000, 10_000, 100_000)
    for children in (1, 3, 6)
]  # fmt: skip
SCORES = [
    {"rule": name, "users": 100_000, "usd_per_month": usd,
     "violation_minutes_after": minutes, "violation_minutes_before": 50.0}
    for name, usd, minutes in (("normal_waits", 0.0, 50.0), ("oldest_age", 0.1, 40.0))
]  # fmt: skip


def title(ax):
    return ax.get_title(loc="left")


def test_the_heatmap_names_the_users_up_to_which_the_promise_is_surely_kept():
    drawn, ax = plots.figure()

    planning_plots.late_heatmap(GRID, 0.05, ax)

    drawn.canvas.draw()
    assert title(ax).endswith("surely keeps 5% late up to 1,000 users")
    assert [text.get_text() for text in ax.get_xticklabels()] == ["1K", "10K", "100K"]


def test_the_frontier_says_what_the_best_reaction_leaves():
    _, ax = plots.figure()

    planning_plots.frontier(SCORES, ["normal_waits"], ax)

    assert "leaves 80% of the late minutes" in title(ax)
    assert ax.get_ylim()[0] == 0
    assert {text.get_text() for text in ax.texts} == {"normal_waits", "oldest_age"}


def test_a_storms_anatomy_names_what_comes_after_it_is_over():
    _, ax = plots.figure()
    at_s = np.arange(100.0)

    planning_plots.storm_anatomy(
        at_s, np.where(at_s < 60, 20.0, 0.0), np.minimum(at_s, 60.0),
        {"rule fires": 30.0, "earliest capacity": 90.0}, ax,
    )  # fmt: skip

    assert title(ax) == "The queue is empty after 59 s; later than that: " + (
        "earliest capacity"
    )


def test_the_tornado_begins_with_the_widest_swing():
    rows = [
        {
            "assumption": name, "users": 1, "low": 0, "high": 1,
            "late_at_low": 0.1 - swing, "late": 0.1, "late_at_high": 0.1 + swing,
        }
        for name, swing in (("wide", 0.05), ("narrow", 0.01))
    ]  # fmt: skip
    _, ax = plots.figure()

    planning_plots.tornado(rows, ax)

    assert title(ax) == "wide moves late pushes from 5% to 15%"
    assert ax.get_yticklabels()[-1].get_text().startswith("wide")


def test_the_stages_name_where_late_pushes_were():
    rows = [
        {"users": 10, "stage": stage, "all_s": 1.0, "late_s": late}
        for stage, late in (("queued", 9.0), ("sent", 2.0))
    ]
    _, ax = plots.figure()

    planning_plots.where_time_goes(rows, ("queued", "sent"), ax)

    assert title(ax) == "A late push has mostly been 'queued'"


def test_memory_and_limits_say_how_much_room_there_is():
    _, memory = plots.figure()
    _, ladder = plots.figure()

    planning_plots.memory_of_pools(
        [{"pool": "bg", "gauged": 100.0, "peaks": 200.0, "allowed": 400.0}], memory
    )
    planning_plots.limits_ladder(
        [{"task": "a", "p50": 1.0, "max": 4.0, "soft": 12.0, "hard": 15.0,
          "brief_soft": None, "brief_hard": None}], ladder,
    )  # fmt: skip

    assert "fill at most 50%" in title(memory)
    assert "at least 3 x the longest" in title(ladder)
