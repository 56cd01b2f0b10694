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
