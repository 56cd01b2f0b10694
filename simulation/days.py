"""Sydney's days, one after the other: small delays, disruptions, a throttling APNs."""

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from simulation.tables import Floats, Window
from simulation.workload import Happenings, stream
from worker.policy.tasks import TIMEZONE

FIRST = date(2026, 3, 2)  # a Monday
YEAR = 365

SHAPE = (
    (0.0, 5.0, 0.010),
    (5.0, 6.5, 0.060),
    (6.5, 9.5, 0.260),
    (9.5, 15.0, 0.218),
    (15.0, 18.5, 0.325),
    (18.5, 24.0, 0.127),
)
"""(from, to, share of the day's travel), hours: NSW rail, Bureau of Transport
Statistics, table 24."""
PEAKS = ((6.5, 9.5, 0.4), (15.0, 18.5, 0.4), (9.5, 15.0, 0.2))
"""When a disruption begins: most of them when most trains run."""
SMALL_A_DAY = 690
"""Onsets of single trips a day: sixty in the busiest hour."""


def sydney_day(
    number: int, users: int, *, seed: int, beliefs: Mapping[str, float]
) -> Happenings:
    """The ``number``-th day after 2 March 2026, from midnight to midnight.

    Riders who are told of ordinary delays follow the day's travel. Disruptions are a
    Poisson number; each concerns a share of all riders, Beta distributed, at once: the
    worst that a share can do. A few days a year the whole network stops. The same
    number is the same day whatever runs it and however many users there are: what their
    number decides is drawn last.
    """
    rng = stream(seed, number, "day")
    today = FIRST + timedelta(days=number)
    start_at, end_at = (_midnight(today + timedelta(days=k)) for k in (0, 1))
    busy = 1.0 if today.weekday() < 5 else beliefs["weekend_share"]
    small_at = np.sort(_moments(rng, SHAPE, SMALL_A_DAY))
    storms = int(rng.poisson(busy * beliefs["storms_per_day"]))
    storm_at = _moments(rng, PEAKS, storms)
    shares = rng.beta(beliefs["storm_alpha"], beliefs["storm_beta"], storms)
    throttled = rng.random(storms) < beliefs["throttled_share"]
    if rng.random() < beliefs["network_stops_per_year"] / YEAR:
        storm_at = np.append(storm_at, _moments(rng, PEAKS, 1))
        shares = np.append(shares, beliefs["network_share"])
        throttled = np.append(throttled, rng.random() < beliefs["throttled_share"])
    told = round(users * busy * beliefs["pushes_per_user_day"])
    small = rng.multinomial(told, np.full(SMALL_A_DAY, 1 / SMALL_A_DAY))
    onsets = list(zip((start_at + small_at).tolist(), small.tolist(), strict=True))
    onsets += [
        (float(start_at + at), round(users * share))
        for at, share in zip(storm_at, shares, strict=True)
    ]
    return Happenings(
        start_at=start_at,
        end_at=end_at,
        onsets=tuple(sorted(onsets)),
        windows=tuple(
            Window(
                start_at=start_at + at,
                end_at=start_at + at + beliefs["throttle_s"],
                kind="apns_slow",
                value=beliefs["throttle_round_s"],
            )
            for at in np.sort(storm_at[throttled]).tolist()
        ),
    )


def _moments(
    rng: np.random.Generator, shape: tuple[tuple[float, float, float], ...], count: int
) -> Floats:
    """So many moments of a day, in seconds after its midnight, drawn from a shape."""
    table = np.array(shape)
    place = rng.choice(len(table), size=count, p=table[:, 2] / table[:, 2].sum())
    first, last = table[place, 0], table[place, 1]
    moments: Floats = 3600.0 * (first + (last - first) * rng.random(count))
    return moments


def _midnight(day: date) -> float:
    return datetime.combine(day, time(), ZoneInfo(TIMEZONE)).timestamp()
