"""The closed loop: the deployed rule reads gauges, capacity comes, the day goes on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simulation import kernel
from simulation.demands import PUSH
from simulation.engine import Growth
from simulation.kernel import Attempts
from simulation.layout import Layout
from simulation.signals import Signals, instants, signals
from simulation.tables import Floats, Tables
from worker.policy import Pool
from worker.policy.alarms import Alarm
from worker.records import Sample

COLD_START_S = (30.0, 120.0)
"""A container of the platform starts in 30 s to 2 min, as its documentation says."""
COOL_DOWN_S = 180.0
"""After capacity has come a rule is not asked for so long."""
HOLD_S = 1800.0
"""What was added is taken away half an hour later; the rule may ask for it again."""
MOST_A_DAY = 12


@dataclass(frozen=True, kw_only=True, slots=True)
class Looped:
    """A day with a rule in the loop: when it fired, what it added, what came of it."""

    fired_at: tuple[float, ...]
    growth: tuple[Growth, ...]
    attempts: Attempts

    def added_hours(self, end_at: float) -> float:
        """Hours that added children were there."""
        return sum(
            each.children * max(0.0, min(each.until, end_at) - each.at) / 3600
            for each in self.growth
        )


def first_firing(
    alarm: Alarm, at: Floats, values: Floats, *, after: float = -np.inf
) -> float | None:
    """When the deployed rule first fires after an instant; None when it does not.

    Only instants with nothing low in their ``sustain_s`` can fire: the rule itself,
    ``Alarm.state``, is asked at those alone, with the samples that it would be given.
    """
    above = values > alarm.threshold
    if not above.any():
        return None
    places = np.arange(len(at))
    last_low = np.maximum.accumulate(np.where(above, -1, places))
    begins = np.searchsorted(at, at - alarm.sustain_s)
    for place in np.flatnonzero((last_low < begins) & (at > after)):
        first = max(0, int(begins[place]) - 1)
        samples = [
            Sample(at=float(when), name=alarm.sample, label=alarm.label, value=value)
            for when, value in zip(
                at[first : place + 1], values[first : place + 1].tolist(), strict=True
            )
        ]
        if alarm.state(samples, now=float(at[place])) == "firing":
            return float(at[place])
    return None


def in_the_loop(
    alarm: Alarm,
    layout: Layout,
    tables: Tables,
    plain: Attempts,
    seen: Signals,
    *,
    children: int,
    rng: np.random.Generator,
) -> Looped:
    """The day again, with the rule in the loop.

    A rule that fires adds ``children`` to the sender's pool, ready a cold start later,
    for half an hour. What happened before a change does not depend on it, so running
    the day again with the changes so far is the closed loop.
    """
    at, pool = instants(tables), sender(layout).name
    cold_s = rng.uniform(*COLD_START_S, MOST_A_DAY)
    attempts, after = plain, -np.inf
    fired: list[float] = []
    growth: list[Growth] = []
    while len(fired) < MOST_A_DAY:
        key = (alarm.sample, alarm.label)
        found = first_firing(alarm, at, seen[key], after=after) if key in seen else None
        if found is None:
            break
        ready_at = found + float(cold_s[len(fired)])
        fired.append(found)
        after = ready_at + COOL_DOWN_S
        if ready_at >= tables.end_at:
            break
        growth.append(
            Growth(at=ready_at, pool=pool, children=children, until=ready_at + HOLD_S)
        )
        attempts = kernel.run(layout, tables, growth=growth)
        seen = signals(attempts, tables, layout, growth)
    return Looped(fired_at=tuple(fired), growth=tuple(growth), attempts=attempts)


def sender(layout: Layout) -> Pool:
    """The pool that sends pushes."""
    queue = layout.tasks[PUSH].queue
    return next(pool for pool in layout.pools.values() if queue in pool.queues)


def episodes(
    late_from: Floats, late_to: Floats, gap_s: float = 600.0
) -> Sequence[tuple[float, float]]:
    """(begin, end) of the times in which somebody waited too long, gaps bridged."""
    order = np.argsort(late_from)
    found: list[tuple[float, float]] = []
    for begin, end in zip(
        late_from[order].tolist(), late_to[order].tolist(), strict=True
    ):
        if found and begin <= found[-1][1] + gap_s:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((begin, end))
    return found
