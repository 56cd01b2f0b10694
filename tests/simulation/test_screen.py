from dataclasses import replace

import pytest
from rich.console import Console

from simulation import screen
from simulation.comparison import Comparison
from simulation.words import percent

ROW = Comparison(
    metric="mean_queue_length", of="apns_worker", run="full-children-5", measured=0.857,
    measured_interval=(0.7, 1.0), predicted=0.841, interval=(0.79, 0.88),
    relative_error=-0.019, error_interval=(-0.05, 0.01), threshold=0.1,
    verdict="within", reason="",
)  # fmt: skip


def printed(parts):
    console = Console(width=80, record=True, quiet=False)
    with console.capture() as said:
        for part in parts:
            console.print(part, highlight=False, markup=False)
    return said.get()


def test_verdicts_fit_80_columns_and_no_name_is_cut():
    rows = [
        replace(ROW, metric="late_push_fraction", of="all", floor=0.02, measured=0.0),
        ROW,
        replace(ROW, metric="p95_sojourn_s", verdict="outside", relative_error=0.31),
        replace(ROW, metric="p99_sojourn_s", verdict="inconclusive", needed_s=24055.0),
    ]

    text = printed(screen.validation(rows))

    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 80
    for word in ("late_push_fraction", "mean_queue_length", "needs 24055 s", "±0.02"):
        assert word in text
    assert "1 outside" in text.replace("\n", " ")


def test_a_share_of_nothing_is_a_dash_and_a_huge_one_has_no_size():
    assert percent(float("nan")) == "-"
    assert percent(float("inf")) == ">999%"
    assert percent(-0.123) == "-12.3%"


@pytest.mark.parametrize("value", [None, float("nan")])
def test_what_was_not_measured_is_a_dash(value):
    assert "-" in printed([screen.rows_of([{"measure": "lost", "first": value}])])
