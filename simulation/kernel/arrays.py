"""Layout and tables as the arrays that the compiled loop reads."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from simulation.demands import MATCH, POLL, PUSH, REFUSED_S, UPKEEP
from simulation.engine import Growth
from simulation.kernel.loop import (
    CPU,
    DOWN,
    FAILS,
    IO,
    LAG,
    LUCK,
    MATCHES,
    POLLS,
    PUSHES,
    RSS,
    SLOW,
    SWEEPS,
    THROTTLED,
)
from simulation.layout import Layout
from simulation.tables import RETRY_STRIDE, Stream, Tables

ROLES = {POLL: POLLS, MATCH: MATCHES, PUSH: PUSHES, UPKEEP: SWEEPS}
WINDOWS = {"nsw_down": DOWN, "nsw_slow": SLOW, "apns_slow": THROTTLED}


class Columns(NamedTuple):
    """Everything that a run reads, as numba takes it; seconds and epoch seconds.

    ``tick_code``: a place in ``ticking``, which holds places in ``rows``.
    ``outbox[k]``: notifications of the onsets before k. ``windows``: start, end, kind,
    value. ``cycles``: the queues of each worker process in order, -1 beyond the last.
    ``cores``: of the machine, or of each worker process.
    """

    start_at: float
    end_at: float
    tick_at: Any
    tick_code: Any
    ticking: Any
    onset_at: Any
    outbox: Any
    group_at: Any
    group_size: Any
    windows: Any
    rows: Any
    draws: Any
    cycles: Any
    pools: Any
    hired: Any
    cores: Any
    parent_s: float
    between_s: float
    respawn_s: float
    in_turn: bool
    batch_size: int
    streams: int
    blind: float
    nudge_s: float
    breaker_failures: int
    breaker_open_s: float
    breaker_open_max_s: float
    claim_margin_s: float
    expiry_s: float
    match_task: int
    push_task: int
    warm: bool
    refused_s: float
    retry_stride: int


def columns(layout: Layout, tables: Tables, growth: Sequence[Growth]) -> Columns:
    """The arrays of a run."""
    names = list(layout.tasks)
    workers = layout.workers
    queues = sorted({queue for worker in workers for queue in worker.queues})
    shared = tables.machine.v_eff
    streams = [tables.streams.get(name) for name in names]
    codes = np.array([names.index(name) for name in tables.ticking], dtype=np.int64)
    return Columns(
        start_at=tables.start_at,
        end_at=tables.end_at,
        tick_at=tables.tick_at,
        tick_code=tables.tick_task,
        ticking=codes,
        onset_at=np.asarray(tables.onset_at, dtype=np.float64),
        outbox=np.concatenate([[0], np.cumsum(tables.onset_riders)]).astype(np.int64),
        group_at=np.asarray(tables.group_at, dtype=np.float64),
        group_size=np.asarray(tables.group_size, dtype=np.int64),
        windows=np.array(
            [(w.start_at, w.end_at, WINDOWS[w.kind], w.value) for w in tables.windows],
            dtype=np.float64,
        ).reshape(-1, 4),
        rows=_rows(layout, queues, streams),
        draws=_draws(streams),
        cycles=np.array(
            [
                [queues.index(q) for q in worker.queues]
                + [-1] * (len(queues) - len(worker.queues))
                for worker in workers
            ],
            dtype=np.int64,
        ),
        pools=np.array(
            [
                (w.children, w.max_tasks_per_child, w.max_memory_per_child_mib)
                for w in workers
            ],
            dtype=np.float64,
        ),
        hired=np.array(
            [
                (workers.index(layout.pools[each.pool]), each.ready_at, each.until)
                for each in growth
                for _ in range(each.children)
            ],
            dtype=np.float64,
        ).reshape(-1, 3),
        cores=np.array(
            [shared] if shared is not None else [layout.vcpu[w.name] for w in workers],
            dtype=np.float64,
        ),
        parent_s=tables.machine.parent_s,
        between_s=tables.machine.between_s,
        respawn_s=tables.machine.respawn_s,
        in_turn=layout.broker.queue_order == "round_robin",
        batch_size=layout.batch_size,
        streams=layout.streams,
        blind=tables.blind,
        nudge_s=float(layout.realtime.nudge_s),
        breaker_failures=layout.realtime.breaker_failures,
        breaker_open_s=float(layout.realtime.breaker_open_s),
        breaker_open_max_s=float(layout.realtime.breaker_open_max_s),
        claim_margin_s=float(layout.push.claim_margin_s),
        expiry_s=float(layout.push.expiry_s),
        match_task=names.index(MATCH) if MATCH in names else -1,
        push_task=names.index(PUSH) if PUSH in names else -1,
        warm=tables.warm,
        refused_s=REFUSED_S,
        retry_stride=RETRY_STRIDE,
    )


def _rows(layout: Layout, queues: list[str], streams: list[Stream | None]) -> Any:
    lengths = [len(stream) if stream else 1 for stream in streams]
    firsts = np.cumsum([0, *lengths[:-1]])
    return np.array(
        [
            (
                task.expires_s, task.soft_time_limit_s, task.time_limit_s,
                task.max_retries, task.retry_backoff_s, task.retry_backoff_max_s,
                ROLES.get(task.name, 0),
                stream.io_per_unit_s if stream else 0.0,
                stream.cpu_per_unit_s if stream else 0.0,
                stream.deaf if stream else False,
                queues.index(task.queue), length,
                stream.cold_s if stream else 0.0, first,
            )
            for task, stream, length, first in zip(
                layout.tasks.values(), streams, lengths, firsts, strict=True
            )
        ],
        dtype=np.float64,
    )  # fmt: skip


def _draws(streams: list[Stream | None]) -> Any:
    """Of every task, one after the other; one without demands has one of nothing."""
    draws = np.empty((6, sum(len(stream) if stream else 1 for stream in streams)))
    first = 0
    for stream in streams:
        last = first + (len(stream) if stream else 1)
        mine = draws[:, first:last]
        if stream is None:
            mine[:] = 0.0
        else:
            mine[IO], mine[CPU], mine[RSS] = stream.io_s, stream.cpu_s, stream.rss_mib
            mine[LUCK], mine[LAG] = stream.luck, stream.lag_s
            mine[FAILS] = stream.chance < stream.failure
        first = last
    return draws
