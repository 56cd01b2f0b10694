from dataclasses import replace

from simulation.comparison import Comparison, undecided
from simulation.tally import tally

WITHIN = Comparison(
    metric="utilization", of="apns_worker", run="held", measured=0.40,
    measured_interval=(0.38, 0.42), predicted=0.41, interval=(0.39, 0.43),
    relative_error=0.025, error_interval=(-0.01, 0.04), threshold=0.05,
    verdict="within", reason="",
)  # fmt: skip
OUTSIDE = replace(WITHIN, verdict="outside", interval=(0.5, 0.6))
LONGER = replace(WITHIN, verdict="inconclusive", needed_s=500.0)
NOT_MEASURED = replace(
    WITHIN, verdict="inconclusive", measured=float("nan"), reason="nothing"
)


def test_figures_of_a_noisy_run_do_not_count_among_those_that_need_a_longer_one():
    found = tally([WITHIN, OUTSIDE, LONGER, undecided(LONGER, "the run is noisy")])

    assert (found.within, found.outside, found.longer, found.noisy) == (1, 1, 1, 1)
    assert found.verdicts() == (
        "1 within, 1 outside, 1 need longer runs, 1 undecided because the run was noisy"
    )


def test_coverage_counts_figures_that_both_sides_have_and_says_of_how_many():
    endless = replace(WITHIN, interval=(0.39, float("inf")))

    found = tally([WITHIN, OUTSIDE, NOT_MEASURED, endless])

    assert (found.covered, found.judged, found.open) == (1, 2, 1)
    assert found.coverage().startswith("1 of 2 (50%) measured values lie in")
    # One interval reaches 0.02 of 0.41 to either side, the other 0.05.
    assert found.coverage().endswith(
        "knows chance alone, not how runs differ; half of these intervals reach 8.5% "
        "or less to either side"
    )
    assert NOT_MEASURED.as_json()["covered"] is None
    assert OUTSIDE.as_json()["covered"] is False


def test_coverage_says_what_chance_alone_would_have_held():
    narrow, wide = (0.405, 0.43), (0.39, 0.43)
    widened = replace(WITHIN, interval=wide, by_chance=narrow)

    assert "1 of 1 (100%)" in tally([widened]).coverage()
    assert ", 0 in what chance alone makes of a run;" in tally([widened]).coverage()


def test_a_value_on_the_end_of_its_interval_is_covered_whatever_the_rounding():
    on_the_end = replace(WITHIN, measured=0.1 + 0.2, interval=(0.2, 0.3))

    assert on_the_end.covered
