"""How many cores a busy process gets here: a process that tries, again and again.

Run as a script: ``python canary.py FILE PERIOD_S``. At once, and then every so often,
it computes for a few milliseconds and notes which share of the elapsed time the kernel
gave it, times the number of cores. Independent of the workers, at their priority: on a
quiet machine it reads the number of cores, beside neighbours less.
"""

import os
import random
import sys
import time
from pathlib import Path

BURN_S = 0.006
PERIOD_S = 6.0
"""6 ms in 6 s are 0.1 % of a core, less than the recorder takes. Beside workers at work
one reading has a standard deviation of 5 to 13 %, and the mean of n readings that over
the root of n: 1 to 2 % in the 190 s of a run to calibrate with, 2 to 4 % in 65 s.
"""

APART = 0.125
"""A wait is longer or shorter by up to this share, 0.75 s of 6 s: what is done at each
full second meets no more and no fewer readings than its time is worth.
"""


def cost_s(readings: int) -> float:
    """Seconds of a core that so many readings burnt; its wake-ups come on top."""
    return BURN_S * readings


def burn(seconds: float) -> float:
    """Compute for ``seconds`` of processor time; the share of the elapsed time."""
    began_at, used_at = time.perf_counter(), time.thread_time()
    while (used := time.thread_time() - used_at) < seconds:
        pass
    return used / (time.perf_counter() - began_at)


def main() -> None:
    """Append ``epoch_s cores`` lines to the file until the process is ended."""
    path, period_s = Path(sys.argv[1]), float(sys.argv[2])
    cores = len(os.sched_getaffinity(0))
    with path.open("a", buffering=1) as file:
        while True:
            share = min(1.0, burn(BURN_S))
            file.write(f"{time.time():.3f} {share * cores:.4f}\n")
            time.sleep(period_s * random.uniform(1 - APART, 1 + APART))


if __name__ == "__main__":
    main()
