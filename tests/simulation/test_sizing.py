"""How many children: intervals over weeks, the promise's verdict, the cheapest kept."""

from dataclasses import replace

import numpy as np
import pytest

from simulation.demands import SYNC, assumed_sync
from simulation.sizing import Weeks, cheapest, grid, some_weeks, verdict
from worker.errors import UsageError
from worker.policy import POLICY, vary


@pytest.fixture
def calibration(truth):
    return replace(truth, demands={**truth.demands, SYNC: assumed_sync()})


def weeks_of(late):
    late = np.array(late)
    return Weeks(told=np.full(len(late), 1_000), late=late, times=np.ones(400, int))


def test_more_children_cost_more_and_are_never_later(calibration):
    rows = grid(calibration, [60_000], [1, 3, 9], weeks=2, jobs=1)

    assert np.all(np.diff([row["usd_per_month"] for row in rows]) > 0)
    assert np.all(np.diff([row["late"] for row in rows]) <= 1e-9)
    for row in rows:
        low, high = row["late_interval"]
        assert low <= row["late"] <= high
        assert row["promise"] == verdict((low, high))


def test_weeks_are_the_same_whatever_they_are_cut_into(calibration):
    few, more = (some_weeks(calibration, 20_000, weeks=n) for n in (1, 2))

    assert few.told[0] == more.told[0]
    assert few.late[0] == more.late[0]
    assert more.times.sum() + more.late.sum() >= more.told.sum()


def test_the_promise_is_kept_or_broken_by_the_whole_interval():
    assert verdict((0.01, 0.049)) == "kept"
    assert verdict((0.01, 0.051)) == "undecided"
    assert verdict((0.051, 0.2)) == "broken"
    stricter = vary(POLICY, "objectives.late_pushes.limit", 0.02)
    assert verdict((0.01, 0.049), stricter) == "undecided"


def test_the_interval_narrows_with_weeks_that_agree():
    """The mean is under the promise in both; the week that is not decides."""
    alike, apart = weeks_of([40] * 26), weeks_of([0] * 25 + [1_000])

    assert alike.share == 0.04
    assert apart.share < 0.05
    assert verdict(alike.interval(1)) == "kept"
    assert verdict(apart.interval(1)) == "undecided"
    assert alike.interval(1) == pytest.approx((0.04, 0.04))


def test_a_quantile_of_counted_times_is_at_most_a_bin_away():
    counted = weeks_of([0, 0])  # a push in each of the first 400 bins: 0 to 20 s

    assert counted.quantile_s(0.95) == pytest.approx(19.0, abs=0.05)
    assert counted.quantile_s(0.5) == pytest.approx(10.0, abs=0.05)


def test_the_cheapest_surely_keeps_the_promise_or_none_does():
    row = {"users": 1, "usd_per_month": 5.0, "late": 0.01, "promise": "kept"}
    dear = {**row, "usd_per_month": 9.0}
    unsure = {**row, "usd_per_month": 1.0, "late": 0.03, "promise": "undecided"}
    late = {**row, "usd_per_month": 0.5, "late": 0.3, "promise": "broken"}

    assert cheapest([dear, row, unsure, late]) == [row]
    assert cheapest([late, unsure]) == [unsure]
    assert cheapest([late]) == [late]


def test_one_week_has_no_interval(calibration):
    with pytest.raises(UsageError, match="at least 2 weeks"):
        grid(calibration, [1_000], [1], weeks=1, jobs=1)
