"""Within, outside, or how long a run would have to be to tell."""

from math import sqrt

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from simulation.comparison import _judge

SECONDS, ALLOWED, MANY = 190.0, 0.10, 40
SHARES = st.floats(-0.5, 0.5)


def judged(error, errors):
    return _judge(error, errors, ALLOWED, SECONDS, MANY)


def test_the_far_end_of_a_lopsided_interval_says_how_long_a_run_must_be():
    # Half of the interval, 0.07, fits into the room of 0.08; its far end does not.
    verdict, reason, needed_s = judged(0.02, (0.00, 0.14))

    assert verdict == "inconclusive"
    assert needed_s == pytest.approx(SECONDS * (0.12 / 0.08) ** 2, abs=1.0)
    assert f"needs a run of {needed_s:.0f} s, this one had 190 s" in reason


@given(error=SHARES, below=st.floats(0, 0.5), above=st.floats(0, 0.5))
def test_a_run_as_long_as_is_said_to_be_needed_decides(error, below, above):
    verdict, _, needed_s = judged(error, (error - below, error + above))
    assume(verdict == "inconclusive" and needed_s is not None)

    assert needed_s > SECONDS
    narrower = sqrt(SECONDS / needed_s)
    longer = error - below * narrower, error + above * narrower
    assert judged(error, longer)[0] == ("within" if abs(error) < ALLOWED else "outside")


def test_an_error_at_the_threshold_is_decided_by_no_run():
    assert judged(0.099, (0.05, 0.15))[1:] == (
        "the error lies at the threshold: no run length decides", None
    )  # fmt: skip


@pytest.mark.parametrize(
    ("error", "errors", "verdict"),
    [
        (0.02, (-0.1, 0.1), "within"),
        (0.2, (0.11, 0.3), "outside"),
        (-0.2, (-0.3, -0.11), "outside"),
        (0.2, (0.05, 0.3), "inconclusive"),
    ],
)
def test_only_a_whole_interval_decides(error, errors, verdict):
    assert judged(error, errors)[0] == verdict
