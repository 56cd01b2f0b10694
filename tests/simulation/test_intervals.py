import numpy as np
import pytest

from simulation.intervals import interval, likely


def test_another_replication_lies_in_the_interval_as_often_as_it_says():
    rng = np.random.default_rng(5)
    draws = rng.lognormal(0, 1, size=(4_000, 81))

    held = [
        low <= row[80] <= high for row in draws for low, _, high in [likely(row[:80])]
    ]

    assert np.mean(held) == pytest.approx(0.95, abs=0.015)


def test_few_replications_give_the_widest_interval_that_they_can():
    assert likely(np.array([3.0, 1.0, 2.0])) == (1.0, 2.0, 3.0)


@pytest.mark.parametrize("ends", [lambda x: likely(x)[::2], interval])
def test_replications_without_the_figure_do_not_hide_what_the_others_show(ends):
    shown = np.arange(1.0, 41.0)

    assert ends(np.append(shown, np.nan)) == ends(shown)


@pytest.mark.parametrize("ends", [likely, interval])
def test_a_figure_that_most_replications_lack_is_none(ends):
    assert np.isnan(ends(np.array([1.0, np.nan, np.nan]))).all()
