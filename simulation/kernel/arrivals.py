"""When pushes arrived: from the attempts that a compiled run left."""

import numpy as np

from simulation.demands import PUSH
from simulation.kernel.twin import SUCCEEDED, Attempts
from simulation.tables import Floats, Tables


def pushes(attempts: Attempts, tables: Tables) -> tuple[Floats, Floats]:
    """(published_at, arrived_at) of each push, as the engine spreads them."""
    sent = attempts.of(PUSH) & (attempts.outcome == SUCCEEDED)
    sent &= attempts.last > attempts.first  # a publisher's group tells nobody here
    first, last = attempts.first[sent], attempts.last[sent]
    start, end = attempts.started_at[sent], attempts.finished_at[sent]
    sizes = last - first
    begin = start + tables.arrivals[0] * (end - start)
    step = (tables.arrivals[1] - tables.arrivals[0]) * (end - start) / sizes
    place = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    arrived = np.repeat(begin, sizes) + np.repeat(step, sizes) * (place + 1)
    ends = np.cumsum(np.asarray(tables.onset_riders, dtype=np.int64))
    onset = np.searchsorted(ends, np.repeat(first, sizes) + place, side="right")
    return np.asarray(tables.onset_at)[onset], arrived
