import numpy as np
import pytest

from simulation import plots

SWEEP = [
    {
        "users": users,
        "layout": layout,
        "late_push_fraction": users / 1e5 * factor,
        "intervals": {"late_push_fraction": [0.0, users / 4e4 * factor]},
    }
    for users in (1_000, 10_000)
    for layout, factor in (("A", 2.0), ("ours", 1.0))
]


def test_a_figure_says_what_it_found_and_in_which_unit():
    _, ax = plots.figure()

    plots.by_users(SWEEP, "late_push_fraction", "share", ax, promise=0.05)

    assert "0.1 on ours and 0.2 on A" in ax.get_title(loc="left")
    assert ax.get_ylabel() == "late_push_fraction, share"
    assert ax.get_ylim()[0] == 0


def test_pushes_that_never_came_stay_off_the_axis_and_in_the_share():
    _, ax = plots.figure()
    measured = np.array([5.0, 10.0, np.inf, np.inf])

    plots.push_cdf(measured, [np.array([5.0, 9.0]), np.array([6.0, 11.0])], 20.0, ax)

    (line,) = [line for line in ax.lines if line.get_label() == "measured"]
    assert np.isfinite(line.get_xdata()).all()
    assert line.get_ydata()[-1] == pytest.approx(0.5)
    assert "differ by 50%" in ax.get_title(loc="left")


def test_parity_counts_what_lies_outside():
    _, ax = plots.figure()
    rows = [
        {"metric": "a", "measured": 1.0, "predicted": 1.1, "verdict": "within"},
        {"metric": "b", "measured": 1.0, "predicted": 9.0, "verdict": "outside"},
        {"metric": "c", "measured": None, "predicted": 9.0, "verdict": "inconclusive"},
    ]

    plots.parity(rows, ax)

    assert ax.get_title(loc="left").startswith("1 of 3 predicted metrics lie outside")
