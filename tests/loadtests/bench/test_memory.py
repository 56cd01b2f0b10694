"""Memory is that of all the work, wherever it sits."""

import subprocess
import sys
from functools import partial

import pytest

from loadtests.bench.memory import above_idle

HOLDS_64_MIB = """
import time
held = bytearray(b"x") * (64 << 20)
time.sleep(0.5)
"""


def test_memory_of_what_the_work_starts_counts() -> None:
    work = partial(subprocess.run, [sys.executable, "-c", HOLDS_64_MIB], check=True)

    measured = above_idle(work)

    assert 64 < measured.above_idle_mib < 128
    assert measured.answer.returncode == 0


def test_what_the_work_imports_is_not_called_idle() -> None:
    measured = above_idle(partial(exec, "import pandas"))

    assert measured.above_idle_mib > 20


def test_a_child_that_dies_is_no_measurement() -> None:
    with pytest.raises(RuntimeError, match="ended before its work did"):
        above_idle(partial(exec, "import os; os._exit(3)"))
