import numpy as np
import pytest

from simulation import plots
from simulation.validation_plots import depth_fan, parity, push_cdf, sojourn_cdf
from worker.measures import Recorded
from worker.records import Outcome, TaskRecord


def test_pushes_that_never_came_stay_off_the_axis_and_in_the_share():
    _, ax = plots.figure()
    measured = np.array([5.0, 10.0, np.inf, np.inf])

    push_cdf(measured, [np.array([5.0, 9.0]), np.array([6.0, 11.0])], 20.0, ax)

    (line,) = [line for line in ax.lines if line.get_label() == "measured"]
    assert np.isfinite(line.get_xdata()).all()
    assert line.get_ydata()[-1] == pytest.approx(0.5)
    assert "differ by 50%" in ax.get_title(loc="left")


def test_parity_counts_what_lies_outside():
    _, ax = plots.figure()
    found = ((1.0, 1.1, "within"), (1.0, 9.0, "outside"), (None, 9.0, "inconclusive"))
    rows = [
        {"run": "r", "metric": "m", "measured": m, "predicted": p, "verdict": v}
        for m, p, v in found
    ]

    parity(rows, ax)

    assert ax.get_title(loc="left").startswith("1 of 3 predicted figures lie outside")


def test_the_band_of_a_cdf_says_whether_the_model_lies_in_it():
    measured = np.geomspace(0.1, 10.0, 400)
    titles = []
    for predicted in ([measured * 1.02] * 5, [measured * 1.5] * 5):
        _, ax = plots.figure()
        sojourn_cdf(measured, predicted, "senders", ax)
        titles.append(ax.get_title(loc="left"))

    assert titles[0].endswith(" inside the band")
    assert titles[1].endswith(" outside the band")
    assert ax.get_xscale() == "log"


def waiting(start_s, waits_s):
    """A run of 20 s in which one message waits."""
    record = TaskRecord(
        task_id="a", attempt=0, task="apns_worker", queue="normal", worker="w",
        enqueued_at=start_s, started_at=start_s + waits_s,
        finished_at=start_s + waits_s, outcome=Outcome.SUCCEEDED,
    )  # fmt: skip
    return Recorded(tasks=[record], started_at=0.0, finished_at=20.0)


def test_the_fan_counts_the_seconds_in_which_it_holds_the_real_depth():
    _, ax = plots.figure()
    measured = waiting(5.0, 10.0)

    depth_fan(measured, [waiting(5.0, 10.0)] * 4, "normal", ax)
    assert "in 100% of the seconds" in ax.get_title(loc="left")
    depth_fan(measured, [waiting(15.0, 4.5)] * 4, "normal", ax)
    assert "in 21% of the seconds" in ax.get_title(loc="left")
