"""Predictions that cannot be: one flipped bit makes a delay of years."""

import numpy as np
from numpy.typing import NDArray

from worker.policy.feeds import RealtimeLimits
from worker.realtime.calls import (
    ARRIVAL_DELAY,
    ARRIVAL_TIME,
    DEPARTURE_DELAY,
    DEPARTURE_TIME,
)
from worker.realtime.decode import StopTimes


def leave_out(times: StopTimes, timestamp: int, limits: RealtimeLimits) -> int:
    """Forget delays and times beyond the policy's limits; how many there were.

    ``timestamp`` is the header's. What is left of such a row is that the trip calls at
    the stop. Buses send the time 0 for an arrival at their first stop.
    """
    found = 0
    for values, bit, middle, limit in (
        (times.arrival_delay, ARRIVAL_DELAY, 0, limits.delay_limit_s),
        (times.departure_delay, DEPARTURE_DELAY, 0, limits.delay_limit_s),
        (times.arrival_time, ARRIVAL_TIME, timestamp, limits.horizon_s),
        (times.departure_time, DEPARTURE_TIME, timestamp, limits.horizon_s),
    ):
        beyond = (values < middle - limit) | (values > middle + limit)
        beyond &= (times.known & bit) != 0
        found += _forget(values, times.known, bit, np.flatnonzero(beyond))
    return found


def _forget(
    values: NDArray[np.signedinteger],
    known: NDArray[np.uint8],
    bit: int,
    rows: NDArray[np.intp],
) -> int:
    values[rows] = 0
    known[rows] &= ~np.uint8(bit)
    return len(rows)


def on_earth(places: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which (latitude, longitude) a vehicle can be at; 0, 0 says that none is known."""
    latitude, longitude = places[:, 0], places[:, 1]
    known: NDArray[np.bool_] = (latitude != 0) | (longitude != 0)
    known &= (np.abs(latitude) <= 90) & (np.abs(longitude) <= 180)
    return known
