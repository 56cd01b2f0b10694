"""The canary as a run starts and ends it: a process of its own, at any moment."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from loadtests import canary
from loadtests.recorder import canary_samples


@pytest.mark.timeout(30)
def test_the_first_reading_comes_at_once_and_stays_when_the_run_is_ended(
    tmp_path: Path,
) -> None:
    path = tmp_path / "canary.txt"
    began_at = time.time()
    with subprocess.Popen([sys.executable, canary.__file__, str(path), "600"]) as here:
        while not (found := canary_samples(path)):
            assert here.poll() is None
            time.sleep(0.02)
        here.terminate()

    assert canary_samples(path) == found
    assert found[0].at >= began_at - 0.001
    assert 0 < found[0].value <= len(os.sched_getaffinity(0))
