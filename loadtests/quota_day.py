"""A day of the poller against its quota, by the deployed rules of cadence.

Pure and fast, for notebooks: what Redis and the network add to it is measured by
``loadtests.bench.day``.
"""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pandas as pd

from worker.errors import PolicyError
from worker.policy import Every, Policy
from worker.policy.feeds import DAY_S, QUARTER_S, Intervals
from worker.realtime import cadence
from worker.realtime.cadence import FeedState

MIDNIGHT = 1_781_100_000
"""2026-06-11 00:00 in Sydney, a day of 24 hours."""

DEPLOYED, DISRUPTED, EAGER = "the plan", "a disrupted day", "every feed each tick"
PLANS = (DEPLOYED, DISRUPTED, EAGER)
"""Every feed in its interval of the hour; all day at the cadence of the peak; and what
the policy refuses, every feed at every tick."""


def asked(policy: Policy, plan: str = DEPLOYED) -> pd.DataFrame:
    """Every request of a Sydney day under a plan: seconds after midnight and feed.

    All feeds change all the time, which is the most they can cost.
    """
    tick = _tick(policy)
    feeds, limits = policy.feeds, policy.realtime
    if plan == EAGER:
        each = tick.period_s
        always = Intervals(peak_s=each, day_s=each, night_s=each)
        feeds = {name: replace(row, intervals=always) for name, row in feeds.items()}
        limits = replace(limits, feeds_per_tick=len(feeds))
    states: dict[str, FeedState] = {}
    rows: list[tuple[int, str]] = []
    for at_s in range(0, DAY_S, tick.period_s):
        now_s = MIDNIGHT + at_s
        for feed in cadence.due(
            feeds,
            states,
            now_s=now_s,
            period=cadence.period_of(datetime.fromtimestamp(now_s, UTC), limits),
            disrupted=plan == DISRUPTED,
            slowed=False,
            limits=limits,
            tick=tick,
        ):
            states[feed.name] = FeedState(asked_at=now_s, entities=1)
            rows.append((at_s, feed.name))
    return pd.DataFrame(rows, columns=["at_s", "feed"])


def spend(policy: Policy) -> pd.DataFrame:
    """Requests spent by each quarter hour of the Sydney day: a plan a column, the
    index is the hour, from 0 to 24.
    """
    edges = np.arange(0, DAY_S + 1, QUARTER_S)
    return pd.DataFrame(
        {plan: np.searchsorted(asked(policy, plan)["at_s"], edges) for plan in PLANS},
        index=pd.Index(edges / 3600, name="hour"),
    )


def dark_from(spent: "pd.Series[int]", granted: int) -> float | None:
    """The hour by which a day's quota is spent; None when it lasts."""
    over = spent.index[spent >= granted]
    return float(over[0]) if len(over) else None


def _tick(policy: Policy) -> Every:
    tick = policy.tasks["gtfs_rt_poller"].tick
    if not isinstance(tick, Every):
        raise PolicyError("tasks.gtfs_rt_poller.tick must be a period in seconds")
    return tick
