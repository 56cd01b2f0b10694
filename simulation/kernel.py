"""The fast twin: the engine's rules compiled by numba, on the same tables.

Longer than 250 lines because a compiled event loop is one function on arrays: what the
engine spreads over entities is one state here. The engine is right by definition; a
differential test holds both equal attempt by attempt.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Any

import numpy as np
from numba import njit

from simulation.demands import MATCH, POLL, PUSH
from simulation.engine import Growth
from simulation.layout import Layout
from simulation.tables import RETRY_STRIDE, Floats, Tables
from worker.errors import UsageError
from worker.records import Outcome

OUTCOMES = (
    Outcome.SUCCEEDED,
    Outcome.FAILED,
    Outcome.RETRIED,
    Outcome.EXPIRED,
    Outcome.TIMED_OUT,
    Outcome.KILLED,
)
SUCCEEDED, FAILED, RETRIED, EXPIRED, TIMED_OUT, KILLED = range(6)
WINDOW_KINDS = {"nsw_down": 1, "nsw_slow": 2, "apns_slow": 3}
ROLES = {POLL: 1, MATCH: 2, PUSH: 3}
HANDED, IO_DONE, STOPPED, CPU_DUE, READY, RETRY, DISMISSED = range(7)


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempts:
    """Attempts as columns, in order of their end; NaN in ``started_at``: expired.

    ``tasks`` names the codes in ``task``; a push attempt sent the notifications
    ``first`` to ``last`` of the outbox, of which onset k made ``onset_ends[k-1]`` to
    ``onset_ends[k]``; one of a publisher's group sent none of them.
    """

    tasks: tuple[str, ...]
    task: Any
    number: Any
    attempt: Any
    child: Any
    enqueued_at: Floats
    started_at: Floats
    finished_at: Floats
    outcome: Any
    first: Any
    last: Any
    onset_ends: Any
    published: int

    def of(self, task: str) -> Any:
        """Mask of a task's attempts."""
        return self.task == self.tasks.index(task)


def refusals(layout: Layout, tables: Tables) -> list[str]:
    """What this kernel does not know, by name; empty when it can run the tables."""
    unknown = sorted({w.kind for w in tables.windows} - set(WINDOW_KINDS))
    return [f"window '{kind}'" for kind in unknown]


def run(layout: Layout, tables: Tables, *, growth: Sequence[Growth] = ()) -> Attempts:
    """Run the tables, with children that come and go on the way; raises UsageError for
    what only the engine knows.
    """
    refused = refusals(layout, tables)
    if refused:
        raise UsageError(
            f"the kernel does not know {', '.join(refused)}: use the engine"
        )
    columns = _columns(layout, tables, growth)
    pushes_due = sum(tables.onset_riders) + sum(tables.group_size)
    capacity = 2 * len(tables.tick_at) + pushes_due // 10 + 1_000
    while True:
        count, published, left = _loop(columns, capacity)
        if count >= 0:
            break
        capacity *= 2
    return Attempts(
        tasks=tuple(layout.tasks),
        **{
            name: column[:count]
            for name, column in zip(
                (
                    "task", "number", "attempt", "child", "enqueued_at", "started_at",
                    "finished_at", "outcome", "first", "last",
                ),
                left,
                strict=True,
            )
        },
        onset_ends=np.cumsum(np.asarray(tables.onset_riders, dtype=np.int64)),
        published=published,
    )  # fmt: skip


def pushes(attempts: Attempts, tables: Tables) -> tuple[Floats, Floats]:
    """(published_at, arrived_at) of each push, as the engine spreads them."""
    sent = attempts.of(PUSH) & (attempts.outcome == SUCCEEDED)
    sent &= attempts.last > attempts.first
    first, last = attempts.first[sent], attempts.last[sent]
    start, end = attempts.started_at[sent], attempts.finished_at[sent]
    sizes = last - first
    begin = start + tables.arrivals[0] * (end - start)
    step = (tables.arrivals[1] - tables.arrivals[0]) * (end - start) / sizes
    place = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    arrived = np.repeat(begin, sizes) + np.repeat(step, sizes) * (place + 1)
    onset = np.searchsorted(
        attempts.onset_ends, np.repeat(first, sizes) + place, side="right"
    )
    return np.asarray(tables.onset_at)[onset], arrived


def _columns(
    layout: Layout, tables: Tables, growth: Sequence[Growth]
) -> tuple[Any, ...]:
    """Layout and tables as arrays, in the order in which ``_loop`` unpacks them."""
    tasks = list(layout.tasks.values())
    names = [task.name for task in tasks]
    queues = sorted({queue for pool in layout.pools.values() for queue in pool.queues})
    pools = list(layout.pools.values())
    cycles = np.full((len(pools), len(queues)), -1, dtype=np.int64)
    for number, pool in enumerate(pools):
        cycles[number, : len(pool.queues)] = [queues.index(q) for q in pool.queues]
    shared = tables.machine.v_eff
    cores = [shared] if shared is not None else [layout.vcpu[p.name] for p in pools]
    extra = {pool.name: 0 for pool in pools}
    for added in growth:
        extra[added.pool] += added.children
    rivals = [
        layout.children + sum(extra.values())
        if shared is not None
        else pool.children + extra[pool.name]
        for pool in pools
    ]
    streams = [tables.streams.get(name) for name in names]
    size = max(len(stream) for stream in tables.streams.values())

    def drawn(name: str) -> Floats:
        rows = [np.zeros(1) if s is None else getattr(s, name) for s in streams]
        return np.array([np.resize(row, size) for row in rows])

    def each(name: str, default: float = 0.0) -> Floats:
        return np.array([getattr(s, name, default) for s in streams], dtype=np.float64)

    return (
        tables.start_at,
        tables.end_at,
        np.asarray(tables.tick_at, dtype=np.float64),
        np.array([names.index(task) for task in tables.tick_task], dtype=np.int64),
        np.asarray(tables.onset_at, dtype=np.float64),
        np.concatenate([[0], np.cumsum(tables.onset_riders)]).astype(np.int64),
        np.asarray(tables.group_at, dtype=np.float64),
        np.asarray(tables.group_size, dtype=np.int64),
        np.array(
            [
                (w.start_at, w.end_at, WINDOW_KINDS[w.kind], w.value)
                for w in tables.windows
            ],
            dtype=np.float64,
        ).reshape(-1, 4),
        np.array([queues.index(task.queue) for task in tasks], dtype=np.int64),
        np.array(
            [
                (
                    task.expires_s, task.soft_time_limit_s, task.time_limit_s,
                    task.max_retries, task.retry_backoff_s, task.retry_backoff_max_s,
                    task.ack == "late", ROLES.get(task.name, 0),
                )
                for task in tasks
            ],
            dtype=np.float64,
        ),
        drawn("io_s"),
        drawn("cpu_s"),
        drawn("rss_mib"),
        drawn("luck"),
        drawn("lag_s"),
        np.where(drawn("chance") < each("failure")[:, None], 1.0, 0.0),
        np.array([1 if s is None else len(s) for s in streams], dtype=np.int64),
        np.column_stack(
            (
                each("io_per_unit_s"), each("cpu_per_unit_s"), each("deaf"),
                each("cold_s"),
            )
        ),
        cycles,
        np.array(
            [
                (p.children, p.max_tasks_per_child, p.max_memory_per_child_mib, rival)
                for p, rival in zip(pools, rivals, strict=True)
            ],
            dtype=np.float64,
        ),
        np.array(
            [
                (list(extra).index(added.pool), added.at, added.until)
                for added in growth
                for _ in range(added.children)
            ],
            dtype=np.float64,
        ).reshape(-1, 3),
        np.array(cores, dtype=np.float64),
        np.array(
            [tables.machine.parent_s, tables.machine.between_s,
             tables.machine.respawn_s],
            dtype=np.float64,
        ),
        layout.batch_size,
        layout.streams,
        tables.blind,
        tables.warm,
    )  # fmt: skip


@njit(cache=True)
def _loop(columns: Any, capacity: int) -> Any:
    (
        start_at, end_at, tick_at, tick_task, onset_at, outbox, group_at, group_size,
        windows, task_queue, rows, io, cpu, rss, luck, lag, fails, lengths, per_unit,
        cycles, pools, hired, cores, machine, batch_size, streams, blind,
        warm,
    ) = columns  # fmt: skip
    parent_s, between_s, respawn_s = machine
    pool_count, queue_count = cycles.shape
    deployed = int(pools[:, 0].sum())
    child_count = deployed + len(hired)
    child_pool = np.empty(child_count, np.int64)
    dismissed = np.zeros(child_count, np.bool_)
    child = 0
    for pool in range(pool_count):
        for _ in range(int(pools[pool, 0])):
            child_pool[child] = pool
            child += 1
    for row in range(len(hired)):
        child_pool[deployed + row] = int(hired[row, 0])
    # Messages; a retry is a new one.
    m_task = np.empty(capacity, np.int64)
    m_number = np.empty(capacity, np.int64)
    m_attempt = np.empty(capacity, np.int64)
    m_enqueued = np.empty(capacity, np.float64)
    m_first = np.empty(capacity, np.int64)
    m_last = np.empty(capacity, np.int64)
    m_units = np.empty(capacity, np.int64)
    m_next = np.empty(capacity, np.int64)  # the one behind it in its queue
    messages = 0
    published = 0
    numbers = np.zeros(len(task_queue), np.int64)
    head = np.full(queue_count, -1, np.int64)
    tail = np.full(queue_count, -1, np.int64)
    # Pools and children.
    idle = np.empty((pool_count, child_count), np.int64)
    idle_first = np.zeros(pool_count, np.int64)
    idle_count = np.zeros(pool_count, np.int64)
    waiting_since = np.full(pool_count, start_at)
    parent_free = np.full(pool_count, -np.inf)
    holds = np.full(child_count, -1, np.int64)
    started = np.empty(child_count, np.float64)
    deadline = np.empty(child_count, np.float64)
    wants_cpu = np.empty(child_count, np.float64)
    snapshot = np.zeros(child_count, np.int64)
    units = np.zeros(child_count, np.int64)
    broken = np.zeros(child_count, np.bool_)
    done = np.zeros(child_count, np.int64)
    peak = np.zeros(child_count, np.float64)
    tried = np.full((child_count, len(rows)), warm)
    stage = np.zeros(child_count, np.int64)  # counts attempts: old events are stale
    tag = np.full(child_count, np.inf)
    entered = np.zeros(child_count, np.int64)  # when its work came, in order
    # Processors.
    served = np.zeros(len(cores), np.float64)
    seen_at = np.full(len(cores), start_at)
    busy = np.zeros(len(cores), np.int64)
    version = np.zeros(len(cores), np.int64)
    # Events: a heap on (time, order).
    events = [(start_at, 0, 0, 0, 0)]
    events.pop()
    order = 0
    # What is left.
    l_task = np.empty(capacity, np.int64)
    l_number = np.empty(capacity, np.int64)
    l_attempt = np.empty(capacity, np.int64)
    l_child = np.empty(capacity, np.int64)
    l_enqueued = np.empty(capacity, np.float64)
    l_started = np.empty(capacity, np.float64)
    l_finished = np.empty(capacity, np.float64)
    l_outcome = np.empty(capacity, np.int64)
    l_first = np.empty(capacity, np.int64)
    l_last = np.empty(capacity, np.int64)
    left = (
        l_task, l_number, l_attempt, l_child, l_enqueued, l_started, l_finished,
        l_outcome, l_first, l_last,
    )  # fmt: skip
    lines = 0
    # The outside.
    seen = 0
    matched = 0
    nudged = False
    match_task = -1
    push_task = -1
    for task in range(len(rows)):
        if rows[task, 7] == 2:
            match_task = task
        elif rows[task, 7] == 3:
            push_task = task

    # Work to do at this instant, in order: kind 0 a child asks, 1 a message to place.
    todo_kind = np.empty(capacity, np.int64)
    todo_what = np.empty(capacity, np.int64)
    todo = 0
    for child in range(deployed):
        todo_kind[todo], todo_what[todo] = 0, child
        todo += 1
    for row in range(len(hired)):
        order += 2
        heappush(events, (hired[row, 1], order - 1, READY, deployed + row, 0))
        heappush(events, (hired[row, 2], order, DISMISSED, deployed + row, 0))
    tick = 0
    group = 0
    now = start_at
    while True:
        taken = 0
        while taken < todo:
            kind, what = todo_kind[taken], todo_what[taken]
            taken += 1
            gets, message = -1, -1
            if kind == 1:  # place a message
                message = what
                queue = task_queue[m_task[message]]
                best = -1
                for pool in range(pool_count):
                    if idle_count[pool] == 0:
                        continue
                    for place in range(queue_count):
                        if cycles[pool, place] == queue and (
                            best < 0 or waiting_since[pool] < waiting_since[best]
                        ):
                            best = pool
                if best >= 0:
                    gets = idle[best, idle_first[best] % child_count]
                    idle_first[best] += 1
                    idle_count[best] -= 1
                    _turn(cycles, best, queue, queue_count)
                else:
                    m_next[message] = -1
                    if tail[queue] >= 0:
                        m_next[tail[queue]] = message
                    else:
                        head[queue] = message
                    tail[queue] = message
            else:  # a child asks for its next message
                if dismissed[what]:
                    continue
                pool = child_pool[what]
                for place in range(queue_count):
                    queue = cycles[pool, place]
                    if queue >= 0 and head[queue] >= 0:
                        message = head[queue]
                        head[queue] = m_next[message]
                        if head[queue] < 0:
                            tail[queue] = -1
                        gets = what
                        _turn(cycles, pool, queue, queue_count)
                        break
                if gets < 0:
                    if idle_count[pool] == 0:
                        waiting_since[pool] = now
                    last = (idle_first[pool] + idle_count[pool]) % child_count
                    idle[pool, last] = what
                    idle_count[pool] += 1
            if gets >= 0:
                pool = child_pool[gets]
                parent_free[pool] = max(now, parent_free[pool]) + parent_s
                holds[gets] = message
                handed_at = parent_free[pool]
                if m_enqueued[message] == now:  # it found the child idle
                    task = m_task[message]
                    place = m_number[message] + m_attempt[message] * RETRY_STRIDE
                    handed_at += lag[task, place % lengths[task]]
                order += 1
                heappush(events, (handed_at, order, HANDED, gets, stage[gets]))
        todo = 0
        # The next instant: a tick or an event.
        next_tick = tick_at[tick] if tick < len(tick_at) else np.inf
        next_group = group_at[group] if group < len(group_at) else np.inf
        next_event = events[0][0] if len(events) else np.inf
        if min(next_tick, next_group, next_event) >= end_at:
            return lines, published, left
        if messages + 2 >= capacity or lines + 2 >= capacity:
            return -1, published, left
        if next_group < next_tick and next_group <= next_event:
            now = max(now, next_group)
            size = group_size[group]
            group += 1
            if messages + size // batch_size + 3 >= capacity:
                return -1, published, left
            while size > 0 and push_task >= 0:
                m_task[messages], m_attempt[messages] = push_task, 0
                m_number[messages], m_enqueued[messages] = numbers[push_task], now
                m_first[messages], m_last[messages] = 0, 0
                m_units[messages] = min(size, batch_size)
                size -= batch_size
                numbers[push_task] += 1
                todo_kind[todo], todo_what[todo] = 1, messages
                todo += 1
                messages += 1
                published += 1
            continue
        if next_tick <= next_event:
            now = max(now, next_tick)
            task = tick_task[tick]
            tick += 1
            m_task[messages], m_attempt[messages] = task, 0
            m_number[messages], m_enqueued[messages] = numbers[task], now
            m_first[messages], m_last[messages] = 0, 0
            m_units[messages] = 0
            numbers[task] += 1
            todo_kind[todo], todo_what[todo] = 1, messages
            todo += 1
            messages += 1
            published += 1
            continue
        now, _, kind, who, mark = heappop(events)
        ended: Any = np.empty(0, np.int64)
        outcome = SUCCEEDED
        if kind == RETRY:
            m_enqueued[who] = now
            todo_kind[todo], todo_what[todo] = 1, who
            todo += 1
            continue
        if kind == READY:
            todo_kind[todo], todo_what[todo] = 0, who
            todo += 1
            continue
        if kind == DISMISSED:  # at once when idle, else after its task
            dismissed[who] = True
            pool = child_pool[who]
            _withdraw(idle, pool, idle_first[pool], idle_count, who, child_count)
            continue
        if kind == CPU_DUE:
            if mark != version[who]:
                continue
            rate = min(1.0, cores[who] / busy[who])
            served[who] += (now - seen_at[who]) * rate
            seen_at[who] = now
            least = np.inf
            for child in range(child_count):
                mine = len(cores) == 1 or child_pool[child] == who
                if mine and tag[child] < least:
                    least = tag[child]
            served[who] = max(served[who], least)
            ended = np.empty(child_count, np.int64)
            finished = 0
            for child in range(child_count):
                mine = len(cores) == 1 or child_pool[child] == who
                if mine and tag[child] <= served[who]:
                    place = finished  # of equal work, what came first ends first
                    while place > 0 and (tag[child], entered[child]) < (
                        tag[ended[place - 1]],
                        entered[ended[place - 1]],
                    ):
                        ended[place] = ended[place - 1]
                        place -= 1
                    ended[place] = child
                    finished += 1
            ended = ended[:finished]
            tag[ended] = np.inf
            busy[who] -= finished
        elif stage[who] != mark:
            continue
        elif kind == HANDED:
            message = holds[who]
            task = m_task[message]
            if now > m_enqueued[message] + rows[task, 0]:
                l_task[lines], l_number[lines] = task, m_number[message]
                l_attempt[lines], l_child[lines] = m_attempt[message], who
                l_enqueued[lines], l_started[lines] = m_enqueued[message], np.nan
                l_finished[lines], l_outcome[lines] = now, EXPIRED
                l_first[lines], l_last[lines] = m_first[message], m_last[message]
                lines += 1
                holds[who] = -1
                todo_kind[todo], todo_what[todo] = 0, who
                todo += 1
                continue
            started[who] = now
            units[who] = m_units[message]
            if rows[task, 7] == 1:
                snapshot[who] = np.searchsorted(onset_at, now, side="right")
                place = (
                    m_number[message] + m_attempt[message] * RETRY_STRIDE
                ) % lengths[task]
                if luck[task, place] < blind:
                    snapshot[who] = 0
            elif rows[task, 7] == 2:
                snapshot[who] = seen
                units[who] = max(0, outbox[seen] - outbox[matched])
            place = (m_number[message] + m_attempt[message] * RETRY_STRIDE) % lengths[
                task
            ]
            io_s = io[task, place] + units[who] * per_unit[task, 0]
            if not tried[who, task]:
                io_s += per_unit[task, 3]
                tried[who, task] = True
            wants_cpu[who] = cpu[task, place] + units[who] * per_unit[task, 1]
            broken[who] = fails[task, place] > 0
            for window in range(len(windows)):
                if windows[window, 0] <= now < windows[window, 1]:
                    effect = windows[window, 2]
                    if rows[task, 7] == 1 and effect == 1:
                        broken[who] = True
                    elif rows[task, 7] == 1 and effect == 2:
                        io_s += windows[window, 3]
                    elif rows[task, 7] == 3 and effect == 3:
                        rounds = -(-units[who] // streams)
                        io_s = max(0.0, io_s + rounds * windows[window, 3])
            peak[who] = max(peak[who], rss[task, place])
            limit_s = rows[task, 2] if per_unit[task, 2] > 0 else rows[task, 1]
            deadline[who] = now + limit_s
            order += 1
            heappush(
                events,
                (
                    now + min(io_s, limit_s),
                    order,
                    STOPPED if io_s >= limit_s else IO_DONE,
                    who,
                    mark,
                ),
            )
            continue
        # A child goes to its processor, or leaves it at its limit.
        processor = who
        if kind != CPU_DUE:
            processor = 0 if len(cores) == 1 else child_pool[who]
            if busy[processor]:
                rate = min(1.0, cores[processor] / busy[processor])
                served[processor] += (now - seen_at[processor]) * rate
            seen_at[processor] = now
            if kind == IO_DONE:
                tag[who] = served[processor] + wants_cpu[who]
                entered[who] = order
                busy[processor] += 1
                rivals = pools[child_pool[who], 3]
                slowest = wants_cpu[who] * max(1.0, rivals / cores[processor])
                if now + slowest > deadline[who]:
                    order += 1
                    heappush(events, (deadline[who], order, STOPPED, who, mark))
            else:
                if tag[who] < np.inf:
                    tag[who] = np.inf
                    busy[processor] -= 1
                deaf = per_unit[m_task[holds[who]], 2] > 0
                outcome = KILLED if deaf else TIMED_OUT
                ended = np.full(1, who, np.int64)
        version[processor] += 1
        if busy[processor]:
            least = np.inf
            for child in range(child_count):
                mine = len(cores) == 1 or child_pool[child] == processor
                if mine and tag[child] < least:
                    least = tag[child]
            rate = min(1.0, cores[processor] / busy[processor])
            order += 1
            due = now + max(0.0, least - served[processor]) / rate
            heappush(events, (due, order, CPU_DUE, processor, version[processor]))
        # Attempts that ended: their line, what follows, and the child's next step.
        for child in ended:
            message = holds[child]
            task = m_task[message]
            role = rows[task, 7]
            result = outcome
            if kind == CPU_DUE and broken[child]:
                result = FAILED
            again = (
                result != SUCCEEDED
                and m_attempt[message] < rows[task, 3]
                and (result == FAILED or (result == TIMED_OUT and rows[task, 6] > 0))
            )
            l_task[lines], l_number[lines] = task, m_number[message]
            l_attempt[lines], l_child[lines] = m_attempt[message], child
            l_enqueued[lines], l_started[lines] = m_enqueued[message], started[child]
            l_finished[lines] = now
            l_outcome[lines] = RETRIED if again and result == FAILED else result
            l_first[lines], l_last[lines] = m_first[message], m_last[message]
            lines += 1
            if again:
                place = (
                    m_number[message] + m_attempt[message] * RETRY_STRIDE
                ) % lengths[task]
                longest = min(rows[task, 5], rows[task, 4] * 2.0 ** m_attempt[message])
                m_task[messages], m_number[messages] = task, m_number[message]
                m_attempt[messages] = m_attempt[message] + 1
                m_first[messages], m_last[messages] = m_first[message], m_last[message]
                m_units[messages] = m_units[message]
                order += 1
                heappush(
                    events,
                    (now + longest * luck[task, place], order, RETRY, messages, 0),
                )
                messages += 1
                published += 1
            nudge = False
            batches_from, batches_to = 0, 0
            if result == SUCCEEDED and role == 1:
                seen = max(seen, snapshot[child])
                nudge = seen > matched and not nudged and match_task >= 0
            elif result == SUCCEEDED and role == 2:
                if snapshot[child] > matched:
                    batches_from, batches_to = outbox[matched], outbox[snapshot[child]]
                    matched = snapshot[child]
                nudged = False
            elif role == 2:
                nudged = False
            if nudge:
                nudged = True
                m_task[messages], m_attempt[messages] = match_task, 0
                m_number[messages] = numbers[match_task]
                m_enqueued[messages] = now
                m_first[messages], m_last[messages] = 0, 0
                m_units[messages] = 0
                numbers[match_task] += 1
                todo_kind[todo], todo_what[todo] = 1, messages
                todo += 1
                messages += 1
                published += 1
            while batches_from < batches_to:
                if messages + 2 >= capacity or todo + 2 >= capacity:
                    return -1, published, left
                m_task[messages], m_attempt[messages] = push_task, 0
                m_number[messages] = numbers[push_task]
                m_enqueued[messages] = now
                m_first[messages] = batches_from
                batches_from = min(batches_to, batches_from + batch_size)
                m_last[messages] = batches_from
                m_units[messages] = m_last[messages] - m_first[messages]
                numbers[push_task] += 1
                todo_kind[todo], todo_what[todo] = 1, messages
                todo += 1
                messages += 1
                published += 1
            done[child] += 1
            stage[child] += 1
            holds[child] = -1
            pool = child_pool[child]
            pause = between_s
            if (
                done[child] >= pools[pool, 1]
                or peak[child] > pools[pool, 2]
                or result == KILLED
            ):
                pause = respawn_s
                done[child], peak[child] = 0, 0.0
                tried[child] = False
            if pause > 0:
                order += 1
                heappush(events, (now + pause, order, READY, child, stage[child]))
            else:
                todo_kind[todo], todo_what[todo] = 0, child
                todo += 1


@njit(cache=True)
def _turn(cycles: Any, pool: int, queue: int, queue_count: int) -> None:
    """The queue served goes to the end of the pool's cycle."""
    place = 0
    while cycles[pool, place] != queue:
        place += 1
    while place + 1 < queue_count and cycles[pool, place + 1] >= 0:
        cycles[pool, place] = cycles[pool, place + 1]
        place += 1
    cycles[pool, place] = queue


@njit(cache=True)
def _withdraw(
    idle: Any, pool: int, first: int, counts: Any, child: int, size: int
) -> None:
    """The child leaves the ring of its pool; the others keep their order."""
    kept = 0
    for place in range(counts[pool]):
        other = idle[pool, (first + place) % size]
        if other != child:
            idle[pool, (first + kept) % size] = other
            kept += 1
    counts[pool] = kept
