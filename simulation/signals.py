"""What a scaling rule can see, read off a modelled day at each gauge.

Signals that live workers gauge (``depth``, ``oldest_age_s``) and candidates that they
could: the share of cores and of children that is busy, and forecasts made of them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from simulation.demands import PUSH
from simulation.engine import Growth
from simulation.kernel import Attempts
from simulation.layout import Layout
from simulation.tables import RETRY_STRIDE, Floats, Tables

Signals = Mapping[tuple[str, str], Floats]
"""(sample, label) -> a value at each instant."""

GAUGE_S = 15.0
WINDOW_S = 300.0
"""Shares and service times are of the last five minutes."""
AHEAD_S = 60.0
"""A forecast looks as far ahead as a container takes to start."""
TREND_S = 600.0


def instants(tables: Tables) -> Floats:
    """When gauges are read: as often as upkeep reads them."""
    return np.arange(tables.start_at + GAUGE_S, tables.end_at, GAUGE_S)


def signals(
    attempts: Attempts, tables: Tables, layout: Layout, growth: Sequence[Growth] = ()
) -> Signals:
    """Every signal of the day, at ``instants(tables)``."""
    at = instants(tables)
    codes = {name: code for code, name in enumerate(attempts.tasks)}
    taken = np.where(
        np.isnan(attempts.started_at), attempts.finished_at, attempts.started_at
    )
    found: dict[tuple[str, str], Floats] = {}
    for queue in sorted({task.queue for task in layout.tasks.values()}):
        depth, age_s = waiting_at(attempts, layout, queue, at)
        found["depth", queue], found["oldest_age_s", queue] = depth, age_s
    queue = layout.tasks[PUSH].queue
    pool = next(p for p in layout.pools.values() if queue in p.queues)
    children = np.full(len(at), float(pool.children))
    for each in growth:
        children += each.children * ((each.at <= at) & (at < each.until))
    pushes = attempts.task == codes[PUSH]
    waiting = _inside(attempts.enqueued_at[pushes], taken[pushes], at)
    service_s = _recent_service_s(attempts, pushes, at)
    found["drain_s", queue] = waiting * service_s / children
    served = [codes[t.name] for t in layout.tasks.values() if t.queue in pool.queues]
    busy = _busy_s(attempts, np.isin(attempts.task, served), at) / (children * WINDOW_S)
    found["busy_share", pool.name] = busy
    back = int(TREND_S / GAUGE_S)
    before = np.concatenate([np.repeat(busy[:1], back), busy[:-back]])
    found["busy_ahead", pool.name] = busy + (busy - before) * AHEAD_S / TREND_S
    cores = tables.machine.v_eff or float(layout.children)
    found["cpu_share", "all"] = _cpu_share(attempts, tables, at, cores)
    return found


def waiting_at(
    attempts: Attempts, layout: Layout, queue: str, at: Floats
) -> tuple[Floats, Floats]:
    """Messages waiting in a queue, and the age of the oldest, at each instant."""
    names = [task.name for task in layout.tasks.values() if task.queue == queue]
    here = np.isin(attempts.task, [attempts.tasks.index(name) for name in names])
    taken = np.where(
        np.isnan(attempts.started_at), attempts.finished_at, attempts.started_at
    )[here]
    enqueued = attempts.enqueued_at[here]
    return _inside(enqueued, taken, at), _oldest(enqueued, taken, at)


def _inside(begun: Floats, ended: Floats, at: Floats) -> Floats:
    """How many intervals hold each instant."""
    held: Floats = (
        np.searchsorted(np.sort(begun), at, side="right")
        - np.searchsorted(np.sort(ended), at, side="right")
    ).astype(np.float64)
    return held


def _oldest(enqueued: Floats, taken: Floats, at: Floats) -> Floats:
    """Age of what waits longest at each instant; most waits end between two."""
    ages = np.zeros(len(at))
    first, last = np.searchsorted(at, enqueued), np.searchsorted(at, taken)
    for row in np.flatnonzero(last > first):
        span = slice(first[row], last[row])
        ages[span] = np.maximum(ages[span], at[span] - enqueued[row])
    return ages


def _recent_service_s(attempts: Attempts, pushes: Any, at: Floats) -> Floats:
    """Mean service time of the pushes that ended lately; else of the whole day."""
    started = pushes & ~np.isnan(attempts.started_at)
    ended = attempts.finished_at[started]
    took = ended - attempts.started_at[started]
    order = np.argsort(ended)
    total = np.concatenate([[0.0], np.cumsum(took[order])])
    last = np.searchsorted(ended[order], at, side="right")
    first = np.searchsorted(ended[order], at - WINDOW_S, side="right")
    count = last - first
    usual = float(took.mean()) if len(took) else 0.0
    recent: Floats = np.where(
        count > 0, (total[last] - total[first]) / np.maximum(1, count), usual
    )
    return recent


def _busy_s(attempts: Attempts, mine: Any, at: Floats) -> Floats:
    """Child-seconds spent in the window before each instant."""
    mine = mine & ~np.isnan(attempts.started_at)
    return _given(
        attempts.started_at[mine], attempts.finished_at[mine], np.ones(mine.sum()), at
    )


def _cpu_share(attempts: Attempts, tables: Tables, at: Floats, cores: float) -> Floats:
    """CPU seconds given in the last minute, over those of the cores."""
    cpu_s = np.zeros(len(attempts.task))
    for code, name in enumerate(attempts.tasks):
        stream = tables.streams.get(name)
        mine = attempts.task == code
        if stream is None or not mine.any():
            continue
        place = (attempts.number + attempts.attempt * RETRY_STRIDE)[mine] % len(stream)
        units = (attempts.last - attempts.first)[mine]
        cpu_s[mine] = stream.cpu_s[place] + units * stream.cpu_per_unit_s
    ran = ~np.isnan(attempts.started_at)
    took = np.maximum(1e-6, attempts.finished_at[ran] - attempts.started_at[ran])
    rate = np.minimum(1.0, cpu_s[ran] / took)
    given = _given(
        attempts.started_at[ran], attempts.finished_at[ran], rate, at, window_s=60.0
    )
    return given / (cores * 60.0)


def _given(
    begun: Floats, ended: Floats, rate: Floats, at: Floats, window_s: float = WINDOW_S
) -> Floats:
    """What intervals with a rate gave in the window before each instant."""
    edges = np.concatenate([begun, ended])
    slopes = np.concatenate([rate, -rate])
    order = np.argsort(edges)
    edges, slope = edges[order], np.cumsum(slopes[order])
    if not len(edges):
        return np.zeros(len(at))
    total = np.concatenate([[0.0], np.cumsum(slope[:-1] * np.diff(edges))])
    upto = np.interp(at, edges, total, left=0.0)
    since = np.interp(at - window_s, edges, total, left=0.0)
    given: Floats = upto - since
    return given
