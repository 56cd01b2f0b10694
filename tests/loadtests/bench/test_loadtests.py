"""The bench's own runs are held to what they were meant to do."""

from pathlib import Path
from typing import Any

import pytest

from loadtests.bench.loadtests import commuters, watching
from simulation.runs import Run
from worker.errors import UsageError
from worker.measures import Recorded


def run_of(**about: Any) -> Run:
    records = Recorded(started_at=1_000.0, finished_at=1_065.0)
    return Run(folder=Path("made"), about=about, records=records)


def test_riders_that_heard_of_nothing_are_no_cheap_riders() -> None:
    costs = {"locust": {"cpu_s": 3.25}, "users": 10_000}

    assert commuters(run_of(**costs, commuters_reached=10_000)).value == 0.05
    with pytest.raises(UsageError, match="reached 9,999 of its 10,000 commuters"):
        commuters(run_of(**costs, commuters_reached=9_999))


def test_the_canary_is_held_to_the_recorders_share() -> None:
    costs = {"recorder_cpu_s": 0.2, "workers_cpu_s": 10.0}

    assert watching(run_of(**costs, canary_cpu_s=0.05)).met
    assert not watching(run_of(**costs, canary_cpu_s=0.15)).met
