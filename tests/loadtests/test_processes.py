"""Processes seen from outside: their places, their last words."""

import json
import os
import subprocess
import sys

import psutil
import pytest

from loadtests.processes import cpu_of, last_words, memory_of, used_with_ended_s


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("", "it logged nothing"),
        ("NameError: name 'x' is not defined\n", "NameError: name 'x' is not defined"),
        (json.dumps({"event": "step failed"}), "step failed"),
        (
            json.dumps(
                {"event": "failed", "exception": "Traceback\n  x\nValueError: 7"}
            ),
            "ValueError: 7",
        ),
        ("[1, 2]", "[1, 2]"),
    ],
    ids=["empty", "plain", "event", "traceback", "other json"],
)
def test_last_words_are_one_short_line(line: str, says: str) -> None:
    assert last_words(line) == says
    assert len(last_words(line * 1000)) <= 300


def test_processor_time_counts_from_the_last_reading_of_that_process() -> None:
    before: dict[str, tuple[int, float]] = {"bg/child-0": (os.getpid(), 0.0)}

    (first,) = cpu_of({"bg/child-0": os.getpid()}, before, now=1.0)
    (again,) = cpu_of({"bg/child-0": os.getpid()}, before, now=2.0)

    assert first.value > 0
    assert again.value < first.value


def test_a_recycled_child_starts_anew() -> None:
    before: dict[str, tuple[int, float]] = {"bg/child-0": (1, 1e9)}

    (sample,) = cpu_of({"bg/child-0": os.getpid()}, before, now=1.0)

    assert 0 < sample.value < 1e6


def test_a_process_that_is_gone_leaves_no_reading() -> None:
    gone = {"bg/child-0": 2**22 + 1}

    assert cpu_of(gone, {}, now=1.0) == []
    assert memory_of(gone, now=1.0) == []


def test_a_child_that_has_ended_still_counts() -> None:
    """Children of a pool are recycled: what they used is no neighbour's."""
    me = psutil.Process()
    before_s = used_with_ended_s(me)
    burn = "import time\nwhile time.process_time() < 0.3: pass"
    subprocess.run([sys.executable, "-c", burn], check=True)
    own_s = sum(me.cpu_times()[:2])

    assert used_with_ended_s(me) - before_s >= 0.25
    assert used_with_ended_s(me) > own_s
