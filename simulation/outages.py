"""When NSW is away: what retries, expiry and the breaker make of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from simulation import kernel
from simulation.demands import POLL, Calibration
from simulation.hour import PEAK_AT, deployed, platform
from simulation.layout import Layout
from simulation.tables import Tables, Window
from simulation.workload import Happenings, tables_of
from worker.policy import POLICY, Every, Policy

BEFORE_S, AFTER_S = 300.0, 600.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Outage:
    """``attempts`` of polls while NSW was away, ``busy_children`` with them on average;
    ``blind_s``: how long riders' data were older than promised; ``stale_attempts``
    began more than a period after their tick; ``back_s``: from NSW's return to the
    first success.
    """

    attempts: int
    busy_children: float
    blind_s: float
    stale_attempts: int
    back_s: float

    def as_json(self) -> dict[str, Any]:
        """The outage as one flat row."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def outage(
    calibration: Calibration,
    policy: Policy = POLICY,
    *,
    away_s: float = 600.0,
    hangs_s: float = 0.0,
    seed: int = 1,
) -> Outage:
    """NSW fails for ``away_s``, each request after ``hangs_s`` more than usual."""
    away_at = PEAK_AT + BEFORE_S
    back_at = away_at + away_s
    windows = [Window(start_at=away_at, end_at=back_at, kind="nsw_down", value=0.0)]
    if hangs_s:
        windows.append(
            Window(start_at=away_at, end_at=back_at, kind="nsw_slow", value=hangs_s)
        )
    happenings = Happenings(
        start_at=PEAK_AT, end_at=back_at + AFTER_S, onsets=(), windows=tuple(windows)
    )
    layout = Layout.of(policy)
    tables = tables_of(
        happenings, deployed(calibration), layout, seed=seed,
        machine=platform(calibration, policy),
    )  # fmt: skip
    return _seen(kernel.run(layout, tables), tables, policy, away_at, back_at)


def _seen(
    attempts: kernel.Attempts,
    tables: Tables,
    policy: Policy,
    away_at: float,
    back_at: float,
) -> Outage:
    polls = attempts.of(POLL) & ~np.isnan(attempts.started_at)
    began, ended = attempts.started_at[polls], attempts.finished_at[polls]
    good = attempts.outcome[polls] == kernel.SUCCEEDED
    inside = (began >= away_at) & (began < back_at)
    tick = policy.tasks[POLL].tick
    assert isinstance(tick, Every)
    first_s = _first_tick_s(attempts, polls)
    busy = np.minimum(ended, back_at) - np.maximum(began, away_at)
    fetched = np.sort(began[good])
    at = np.arange(tables.start_at + 60, tables.end_at, 1.0)
    newest = fetched[np.maximum(0, np.searchsorted(np.sort(ended[good]), at) - 1)]
    promised = policy.objectives["realtime_age"].limit
    after = ended[good & (began >= back_at)]
    return Outage(
        attempts=int(inside.sum()),
        busy_children=float(np.maximum(0.0, busy).sum() / (back_at - away_at)),
        blind_s=float((at - newest > promised).sum()),
        stale_attempts=int((inside & (began - first_s > tick.period_s)).sum()),
        back_s=float(after.min() - back_at) if len(after) else float("nan"),
    )


def _first_tick_s(attempts: kernel.Attempts, polls: Any) -> Any:
    """When each attempt's message was first enqueued: that of its attempt 0."""
    numbers = attempts.number[polls]
    first = np.full(int(numbers.max(initial=0)) + 1, np.inf)
    np.minimum.at(first, numbers, attempts.enqueued_at[polls])
    return first[numbers]


def breaker_asks(policy: Policy, away_s: float) -> Sequence[float]:
    """Seconds of an outage at which a feed is asked, with the deployed breaker: each
    tick until it opens, then once after each pause.
    """
    row, tick = policy.realtime, policy.tasks[POLL].tick
    assert isinstance(tick, Every)
    asked, at, pause = [], 0.0, float(row.breaker_open_s)
    while at < away_s:
        asked.append(at)
        if len(asked) < row.breaker_failures:
            at += tick.period_s
            continue
        # The tick after the pause is the one that may try.
        at += np.ceil(pause / tick.period_s) * tick.period_s
        pause = min(2 * pause, float(row.breaker_open_max_s))
    return asked


def retrying(policy: Policy, retries: int, backoff_max_s: int) -> Policy:
    """The poller with retries, as the brief has it: doubling, jittered."""
    task = replace(
        policy.tasks[POLL],
        max_retries=retries,
        retry_backoff_s=1,
        retry_backoff_max_s=backoff_max_s,
    )
    return replace(policy, tasks={**policy.tasks, POLL: task})
