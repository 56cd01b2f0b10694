"""The compiled event loop: broker, pools, children, cores and the outside as arrays.

Longer than 250 lines, and one function: what the engine spreads over entities is one
state here. Handed from function to function, as records, it took twice as long to run,
and numba notices no change in another file than the one that it keeps compiled. Every
child has at most one thing that happens to it next, so the next event is the least of a
handful of times: there is no heap but for countdowns.
"""

from heapq import heappop, heappush
from typing import Any

import numpy as np
from numba import njit

# numba keeps what it compiled as long as this file does not change: every number that
# it takes for a constant is declared here, all others come with the columns.

POLLS, MATCHES, PUSHES, SWEEPS = 1, 2, 3, 4
DOWN, SLOW, THROTTLED = 1, 2, 3

# Columns of ``rows``: one row a task.
(EXPIRES, SOFT, HARD, RETRIES, BACKOFF, BACKOFF_MAX, ROLE, IO_UNIT, CPU_UNIT,
 DEAF, QUEUE, SIZE, COLD, FROM) = range(14)  # fmt: skip
# Rows of ``draws``: one column a draw, those of a task from its ``FROM`` on.
IO, CPU, RSS, LUCK, FAILS, LAG = range(6)
# Columns of ``pools``: one row a worker process.
CHILDREN, MOST_TASKS, MOST_MIB = range(3)
# Columns of ``hired``: one row a child that comes on the way.
WHERE, COMES_AT, LEAVES_AT = range(3)
SUCCEEDED, FAILED, RETRIED, EXPIRED, TIMED_OUT = range(5)
# What happens next to a child, and what there is to do at an instant.
HANDED, IO_DONE, STOPPED, READY = range(4)
PLACE, ASK, FALL_DUE, HAND, START = range(5)
# Columns of ``message``, of its ``times``, of ``child``, of its ``clock``.
TASK, NUMBER, ATTEMPT, NEXT, FIRST, LAST, HELD_BY, UNITS, DRAW = range(9)
ENQUEUED, EXPIRY, DUE, BORN, CLAIM = range(5)
POOL, CORE, HOLDS, KIND, SNAPSHOT, BROKEN, DONE, DISMISSED = range(8)
STARTED, DEADLINE, WANTS, PEAK, TAG, ORDER = range(6)
# Columns of ``pool``, of its ``since``, and of ``core``.
IDLE, IDLE_FIRST, DUE_HEAD, DUE_TAIL = range(4)
WAITS_SINCE, PARENT_FREE = range(2)
SERVED, SEEN_AT, CORE_DUE, BUSY, ARMED = range(5)


@njit(cache=True, error_model="numpy")
def loop(c: Any, capacity: int) -> Any:
    """(lines, published, whole numbers and times of the lines); lines is -1 when
    ``capacity`` messages were not enough.
    """
    (
        start_at, end_at, tick_at, tick_code, ticking, onset_at, outbox, group_at,
        group_size, windows, rows, draws, cycles, pools, hired, cores, parent_s,
        between_s, respawn_s, in_turn, batch_size, streams, blind, nudge_s,
        breaker_failures, breaker_open_s, breaker_open_max_s, claim_margin_s, expiry_s,
        match_task, push_task, warm, refused_s, retry_stride,
    ) = c  # fmt: skip
    cycles = cycles.copy()
    pool_count, queue_count = cycles.shape
    serves = np.zeros((pool_count, queue_count), np.bool_)
    several = np.zeros(pool_count, np.bool_)  # queues, which take turns
    for number in range(pool_count):
        for turn in range(queue_count):
            if cycles[number, turn] >= 0:
                serves[number, cycles[number, turn]] = True
                several[number] = in_turn and turn > 0
    deployed, core_count = int(pools[:, CHILDREN].sum()), len(cores)
    child_count = deployed + len(hired)
    # One block: freed and asked for again it keeps its pages. Those of many smaller
    # ones go back to the system after each run, and to find them again was half of the
    # 0.22 us that a customer of M/M/4 took.
    space = np.empty(capacity * 16 + child_count * 4)
    times = space[: capacity * 5].reshape(capacity, 5)
    unsent_at = space[capacity * 5 : capacity * 7].reshape(capacity, 2)
    unsent = space[capacity * 7 : capacity * 9].view(np.int64).reshape(capacity, 2)
    message = space[capacity * 9 : capacity * 14].view(np.int32).reshape(capacity, 10)
    todo = space[capacity * 14 :].view(np.int64).reshape(capacity + 2 * child_count, 2)
    messages = published = lines = unsents = order = 0
    numbers = np.zeros(len(rows), np.int64)
    draws_from = rows[:, FROM].astype(np.int64)
    sizes = rows[:, SIZE].astype(np.int64)
    queue_of = rows[:, QUEUE].astype(np.int64)
    roles = rows[:, ROLE].astype(np.int64)
    head = np.full(queue_count, -1, np.int64)
    tail = np.full(queue_count, -1, np.int64)
    pool = np.zeros((pool_count, 4), np.int64)
    pool[:, DUE_HEAD:] = -1
    since = np.empty((pool_count, 2))
    since[:, WAITS_SINCE], since[:, PARENT_FREE] = start_at, -np.inf
    ring = np.empty((pool_count, child_count), np.int64)
    child = np.zeros((child_count, 8), np.int64)
    clock = np.zeros((child_count, 6))
    clock[:, TAG] = np.inf
    child_at = np.full(child_count, np.inf)
    core = np.zeros((core_count, 5))
    core[:, SEEN_AT], core[:, CORE_DUE] = start_at, np.inf
    held = [(start_at, 0)]  # countdowns: (due, message)
    held.pop()
    line = np.empty((capacity, 7), np.int32)
    line_at = np.empty((capacity, 3))
    seen = matched = failures = opened = 0
    nudged_until, open_until = -1.0, 0.0
    ended = np.empty(child_count, np.int64)
    todos = 0
    who = 0
    for number in range(pool_count):
        for _ in range(int(pools[number, CHILDREN])):
            child[who, POOL] = number
            child[who, CORE] = number if core_count > 1 else 0
            todo[who, 0], todo[who, 1] = ASK, who
            who += 1
    todos = deployed
    for row in range(len(hired)):
        here = int(hired[row, WHERE])
        child[who, POOL], child[who, CORE] = here, here if core_count > 1 else 0
        child_at[who], child[who, KIND] = max(start_at, hired[row, COMES_AT]), READY
        clock[who, ORDER] = who - child_count
        who += 1
    leaving = np.argsort(hired[:, LEAVES_AT])
    leaves_at = hired[leaving, LEAVES_AT]
    tried = np.full((child_count, len(rows)), warm)
    ticks, groups = len(tick_at), len(group_at)
    tick = group = left = 0
    now = start_at
    next_tick = tick_at[0] if ticks else np.inf
    next_group = group_at[0] if groups else np.inf
    next_leaves = leaves_at[0] if len(leaves_at) else np.inf

    while True:
        # What there is to do at this instant, in order.
        place = 0
        while place < todos:
            kind, who = todo[place, 0], todo[place, 1]
            place += 1
            if kind != START:
                gets = taken = came = here = -1
                if kind == PLACE:
                    queue = queue_of[message[who, TASK]]
                    for number in range(pool_count):
                        if (
                            pool[number, IDLE]
                            and serves[number, queue]
                            and (
                                here < 0
                                or since[number, WAITS_SINCE] < since[here, WAITS_SINCE]
                            )
                        ):
                            here = number
                    if here < 0:
                        message[who, NEXT] = -1
                        if tail[queue] >= 0:
                            message[tail[queue], NEXT] = who
                        else:
                            head[queue] = who
                        tail[queue] = who
                        continue
                    since[here, WAITS_SINCE] = now
                    if several[here]:
                        _turn(cycles, here, queue)
                    came = who
                elif kind == FALL_DUE:
                    here = message[who, HELD_BY]
                    if pool[here, IDLE]:
                        taken = who
                    else:
                        message[who, NEXT] = -1
                        if pool[here, DUE_TAIL] >= 0:
                            message[pool[here, DUE_TAIL], NEXT] = who
                        else:
                            pool[here, DUE_HEAD] = who
                        pool[here, DUE_TAIL] = who
                        continue
                elif kind == HAND:
                    gets, taken = who, child[who, HOLDS]
                elif child[who, DISMISSED]:
                    continue
                else:
                    gets, here = who, child[who, POOL]
                    taken = pool[here, DUE_HEAD]
                    if taken >= 0:
                        pool[here, DUE_HEAD] = message[taken, NEXT]
                        if pool[here, DUE_HEAD] < 0:
                            pool[here, DUE_TAIL] = -1
                while taken < 0:  # until one can be worked at
                    if kind == ASK:
                        came = -1
                        for turn in range(queue_count):
                            queue = cycles[here, turn]
                            if queue >= 0 and head[queue] >= 0:
                                came = head[queue]
                                head[queue] = message[came, NEXT]
                                if head[queue] < 0:
                                    tail[queue] = -1
                                if several[here]:
                                    _turn(cycles, here, queue)
                                break
                        if came < 0:
                            break
                    if now > times[came, EXPIRY]:
                        lines = _leave(
                            line, line_at, lines, message, times, came, -1, EXPIRED,
                            np.nan, now,
                        )  # fmt: skip
                        unsents = _postpone(
                            unsent, unsent_at, unsents, message, times, came, now
                        )
                    elif times[came, DUE] > now:
                        message[came, HELD_BY] = here
                        heappush(held, (times[came, DUE], came))
                    else:
                        taken = came
                    if kind == PLACE:
                        break
                if taken < 0:
                    if kind == ASK:  # it waits, the last of those that are idle
                        if pool[here, IDLE] == 0:
                            since[here, WAITS_SINCE] = now
                        last = pool[here, IDLE_FIRST] + pool[here, IDLE]
                        ring[here, last - (last >= child_count) * child_count] = who
                        pool[here, IDLE] += 1
                    continue
                if gets < 0:  # the child that has been idle longest
                    gets = ring[here, pool[here, IDLE_FIRST]]
                    pool[here, IDLE_FIRST] += 1
                    if pool[here, IDLE_FIRST] == child_count:
                        pool[here, IDLE_FIRST] = 0
                    pool[here, IDLE] -= 1
                    child[gets, HOLDS] = taken
                    if place < todos:  # others' turn is before its own
                        todo[todos, 0], todo[todos, 1] = HAND, gets
                        todos += 1
                        continue
                who = gets
                here = child[who, POOL]
                child[who, HOLDS] = taken
                order += 1
                clock[who, ORDER] = order
                free = max(now, since[here, PARENT_FREE]) + parent_s
                since[here, PARENT_FREE] = free
                if times[taken, ENQUEUED] == now:  # it found the child idle
                    free += draws[LAG, message[taken, DRAW]]
                if free > now:
                    child_at[who], child[who, KIND] = free, HANDED
                    continue
            it = child[who, HOLDS]
            if now > times[it, EXPIRY]:
                lines = _leave(
                    line, line_at, lines, message, times, it, who, EXPIRED, np.nan,
                    now,
                )  # fmt: skip
                unsents = _postpone(unsent, unsent_at, unsents, message, times, it, now)
                todo[todos, 0], todo[todos, 1] = ASK, who
                todos += 1
                continue
            task = message[it, TASK]
            draw = message[it, DRAW]
            role = roles[task]
            units = message[it, UNITS]
            if role == MATCHES:
                child[who, SNAPSHOT] = seen
                units = max(0, outbox[seen] - outbox[matched])
            io_s = draws[IO, draw] + units * rows[task, IO_UNIT]
            if not tried[who, task]:
                io_s += rows[task, COLD]
                tried[who, task] = True
            cpu_s = draws[CPU, draw] + units * rows[task, CPU_UNIT]
            broken = draws[FAILS, draw] > 0
            if role == POLLS:
                if now < open_until:
                    child[who, SNAPSHOT] = -1
                    io_s, cpu_s, broken = refused_s, 0.0, True
                else:
                    child[who, SNAPSHOT] = (
                        0
                        if draws[LUCK, draw] < blind
                        else np.searchsorted(onset_at, now, side="right")
                    )
                    for window in range(len(windows)):
                        if windows[window, 0] <= now < windows[window, 1]:
                            if windows[window, 2] == DOWN:
                                broken = True
                            elif windows[window, 2] == SLOW:
                                io_s += windows[window, 3]
            elif role == PUSHES:
                times[it, CLAIM] = now + rows[task, HARD] + claim_margin_s
                for window in range(len(windows)):
                    if (
                        windows[window, 0] <= now < windows[window, 1]
                        and windows[window, 2] == THROTTLED
                    ):
                        rounds = -(-units // streams)
                        io_s = max(0.0, io_s + rounds * windows[window, 3])
            limit_s = rows[task, HARD] if rows[task, DEAF] > 0 else rows[task, SOFT]
            clock[who, STARTED], clock[who, DEADLINE] = now, now + limit_s
            clock[who, WANTS] = cpu_s
            clock[who, PEAK] = max(clock[who, PEAK], draws[RSS, draw])
            child[who, BROKEN] = broken
            order += 1
            clock[who, ORDER] = order
            if io_s >= limit_s:
                child_at[who], child[who, KIND] = now + limit_s, STOPPED
            else:
                child_at[who], child[who, KIND] = now + io_s, IO_DONE
        todos = 0

        # The next instant: a tick, a child's, a processor's, or a countdown's end.
        if messages + 2 >= capacity or lines + child_count >= capacity:
            return -1, published, line, line_at
        soonest = np.inf
        for number in range(child_count):
            soonest = min(soonest, child_at[number])
        # Of what happens to children, or to cores, at one instant: first what was
        # settled first, as the engine's timers have it.
        at, kind, who = end_at, -1, -1
        if next_tick < at:
            at, kind = next_tick, 0
        if soonest < at:
            at, kind = soonest, 1
        for number in range(core_count):
            if core[number, CORE_DUE] < at or (
                kind == 2
                and core[number, CORE_DUE] == at
                and core[number, ARMED] < core[who, ARMED]
            ):
                at, kind, who = core[number, CORE_DUE], 2, number
        if len(held) and held[0][0] < at:
            at, kind = held[0][0], 3
        if next_leaves <= at and next_leaves < end_at:
            at, kind = next_leaves, 5
        if next_group < at:
            at, kind = next_group, 4
        if kind < 0:
            return lines, published, line, line_at
        now = max(at, now)
        if kind == 0:
            task = ticking[tick_code[tick]]
            tick += 1
            next_tick = tick_at[tick] if tick < ticks else np.inf
            message[messages, TASK], message[messages, NUMBER] = task, numbers[task]
            message[messages, DRAW] = draws_from[task] + numbers[task] % sizes[task]
            message[messages, ATTEMPT] = 0
            message[messages, FIRST] = message[messages, LAST] = 0
            message[messages, UNITS] = 0
            times[messages, ENQUEUED] = times[messages, BORN] = now
            times[messages, EXPIRY] = now + rows[task, EXPIRES]
            times[messages, DUE] = times[messages, CLAIM] = -np.inf
            numbers[task] += 1
            todo[0, 0], todo[0, 1] = PLACE, messages
            todos = 1
            messages += 1
            published += 1
            continue
        if kind == 4:
            size = group_size[group]
            group += 1
            next_group = group_at[group] if group < groups else np.inf
            if messages + size // batch_size + 3 >= capacity:
                return -1, published, line, line_at
            while size > 0 and push_task >= 0:
                message[messages, TASK] = push_task
                message[messages, NUMBER] = numbers[push_task]
                draw = draws_from[push_task] + numbers[push_task] % sizes[push_task]
                message[messages, DRAW] = draw
                message[messages, ATTEMPT] = 0
                message[messages, FIRST] = message[messages, LAST] = 0
                message[messages, UNITS] = min(size, batch_size)
                times[messages, ENQUEUED] = times[messages, BORN] = now
                times[messages, EXPIRY] = now + rows[push_task, EXPIRES]
                times[messages, DUE] = times[messages, CLAIM] = -np.inf
                size -= batch_size
                numbers[push_task] += 1
                todo[todos, 0], todo[todos, 1] = PLACE, messages
                todos += 1
                messages += 1
                published += 1
            continue
        if kind == 5:  # at once when idle, else after its task
            who = deployed + leaving[left]
            left += 1
            next_leaves = leaves_at[left] if left < len(hired) else np.inf
            child[who, DISMISSED] = 1
            here = child[who, POOL]
            waiting = pool[here, IDLE]
            pool[here, IDLE] = 0
            for place in range(waiting):
                other = ring[here, (pool[here, IDLE_FIRST] + place) % child_count]
                if other != who:
                    last = pool[here, IDLE_FIRST] + pool[here, IDLE]
                    ring[here, last % child_count] = other
                    pool[here, IDLE] += 1
            continue
        if kind == 3:
            _, who = heappop(held)
            todo[0, 0], todo[0, 1] = FALL_DUE, who
            todos = 1
            continue
        finished, outcome, moved = 0, SUCCEEDED, -1
        if kind == 2:
            moved = who
            least = np.inf
            for number in range(child_count):
                if child[number, CORE] == who:
                    least = min(least, clock[number, TAG])
            core[who, SERVED] = max(core[who, SERVED], least)
            core[who, SEEN_AT] = now
            for number in range(child_count):
                if child[number, CORE] == who and clock[number, TAG] <= least:
                    place = finished  # of equal work, what came first ends first
                    while place > 0 and (clock[number, TAG], clock[number, ORDER]) < (
                        clock[ended[place - 1], TAG],
                        clock[ended[place - 1], ORDER],
                    ):
                        ended[place] = ended[place - 1]
                        place -= 1
                    ended[place] = number
                    finished += 1
            for place in range(finished):
                clock[ended[place], TAG] = child_at[ended[place]] = np.inf
            core[who, BUSY] -= finished
        else:
            for number in range(child_count):
                if child_at[number] == soonest and (
                    who < 0 or clock[number, ORDER] < clock[who, ORDER]
                ):
                    who = number
            child_at[who] = np.inf
            kind = child[who, KIND]
            if kind in (READY, HANDED):
                todo[0, 0], todo[0, 1] = ASK if kind == READY else START, who
                todos = 1
                continue
            on_core = clock[who, TAG] < np.inf
            if on_core or (kind == IO_DONE and clock[who, WANTS] > 0):
                moved = child[who, CORE]
                if core[moved, BUSY] > 0:
                    rate = min(1.0, cores[moved] / core[moved, BUSY])
                    core[moved, SERVED] += (now - core[moved, SEEN_AT]) * rate
                core[moved, SEEN_AT] = now
            if on_core:  # stopped there by a limit
                clock[who, TAG] = np.inf
                core[moved, BUSY] -= 1
            elif moved >= 0:
                order += 1
                clock[who, ORDER] = order
                clock[who, TAG] = core[moved, SERVED] + clock[who, WANTS]
                core[moved, BUSY] += 1
                child_at[who], child[who, KIND] = clock[who, DEADLINE], STOPPED
            if on_core or moved < 0:
                outcome = TIMED_OUT if kind == STOPPED else SUCCEEDED
                ended[0] = who
                finished = 1
        if moved >= 0:
            core[moved, CORE_DUE] = np.inf
            if core[moved, BUSY] > 0:
                least = np.inf
                for number in range(child_count):
                    if child[number, CORE] == moved:
                        least = min(least, clock[number, TAG])
                rate = min(1.0, cores[moved] / core[moved, BUSY])
                rest = max(0.0, least - core[moved, SERVED])
                core[moved, CORE_DUE] = now + rest / rate
                order += 1
                core[moved, ARMED] = order

        # Attempts that ended: their line, what follows, and the child's next step.
        for number in range(finished):
            who = ended[number]
            it = child[who, HOLDS]
            task = message[it, TASK]
            role = roles[task]
            result = outcome
            if result == SUCCEEDED and child[who, BROKEN] > 0:
                result = FAILED
            again = result == FAILED and message[it, ATTEMPT] < rows[task, RETRIES]
            if again:
                longest = rows[task, BACKOFF] * 2.0 ** message[it, ATTEMPT]
                longest = min(rows[task, BACKOFF_MAX], longest)
                message[messages] = message[it]
                message[messages, ATTEMPT] += 1
                draw = message[it, NUMBER] + message[messages, ATTEMPT] * retry_stride
                message[messages, DRAW] = draws_from[task] + draw % sizes[task]
                times[messages] = times[it]
                due = now + longest * draws[LUCK, message[it, DRAW]]
                times[messages, ENQUEUED] = times[messages, DUE] = due
                todo[todos, 0], todo[todos, 1] = PLACE, messages
                todos += 1
                messages += 1
                published += 1
                result = RETRIED
            lines = _leave(
                line, line_at, lines, message, times, it, who, result,
                clock[who, STARTED], now,
            )  # fmt: skip
            new_task, first, last, born = -1, 0, 0, now
            if result == SUCCEEDED and role == POLLS:
                failures = opened = 0
                open_until = 0.0
                seen = max(seen, child[who, SNAPSHOT])
                if seen > matched and now >= nudged_until and match_task >= 0:
                    nudged_until = now + nudge_s
                    new_task, last = match_task, 1
            elif result == SUCCEEDED and role == MATCHES:
                if child[who, SNAPSHOT] > matched:
                    new_task = push_task
                    first, last = outbox[matched], outbox[child[who, SNAPSHOT]]
                    matched = child[who, SNAPSHOT]
                nudged_until = -1.0
            elif role == POLLS and child[who, SNAPSHOT] >= 0:
                failures += 1
                if opened > 0 or failures >= breaker_failures:
                    pause = min(breaker_open_s * 2.0**opened, breaker_open_max_s)
                    open_until = now + pause
                    opened += 1
            elif result != SUCCEEDED and result != RETRIED:
                unsents = _postpone(unsent, unsent_at, unsents, message, times, it, now)
            # New messages: a nudge, the batches of a match, or what the sweep found.
            swept = unsents if result == SUCCEEDED and role == SWEEPS else 0
            kept, nth = 0, 0
            while first < last or nth < swept:
                if messages + 2 >= capacity or todos + child_count + 2 >= capacity:
                    return -1, published, line, line_at
                if nth < swept:
                    new_task, born = push_task, unsent_at[nth, 1]
                    first, end = unsent[nth, 0], unsent[nth, 1]
                    nth += 1
                    late = now > born + expiry_s
                    if late or unsent_at[nth - 1, 0] > now:
                        if not late:
                            unsent[kept] = unsent[nth - 1]
                            unsent_at[kept] = unsent_at[nth - 1]
                            kept += 1
                        first = last
                        continue
                else:
                    end = min(last, first + batch_size)
                message[messages, TASK] = new_task
                message[messages, NUMBER] = numbers[new_task]
                draw = draws_from[new_task] + numbers[new_task] % sizes[new_task]
                message[messages, DRAW] = draw
                message[messages, ATTEMPT] = 0
                if new_task == match_task:
                    message[messages, FIRST] = message[messages, LAST] = 0
                else:
                    message[messages, FIRST], message[messages, LAST] = first, end
                message[messages, UNITS] = (
                    message[messages, LAST] - message[messages, FIRST]
                )
                times[messages, ENQUEUED], times[messages, BORN] = now, born
                times[messages, EXPIRY] = now + rows[new_task, EXPIRES]
                times[messages, DUE] = times[messages, CLAIM] = -np.inf
                numbers[new_task] += 1
                todo[todos, 0], todo[todos, 1] = PLACE, messages
                todos += 1
                messages += 1
                published += 1
                first = last if swept else end
            if swept:
                unsents = kept
            child[who, DONE] += 1
            here = child[who, POOL]
            pause_s = between_s
            if (
                child[who, DONE] >= pools[here, MOST_TASKS]
                or clock[who, PEAK] > pools[here, MOST_MIB]
                or (result == TIMED_OUT and rows[task, DEAF] > 0)
            ):
                pause_s = respawn_s
                child[who, DONE], clock[who, PEAK] = 0, 0.0
                tried[who] = False
            if pause_s > 0.0:
                order += 1
                clock[who, ORDER] = order
                child_at[who], child[who, KIND] = now + pause_s, READY
            else:
                todo[todos, 0], todo[todos, 1] = ASK, who
                todos += 1


@njit(cache=True, error_model="numpy")
def _turn(cycles: Any, here: int, queue: int) -> None:
    """The queue served goes to the end of the pool's cycle."""
    place = 0
    while cycles[here, place] != queue:
        place += 1
    while place + 1 < cycles.shape[1] and cycles[here, place + 1] >= 0:
        cycles[here, place] = cycles[here, place + 1]
        place += 1
    cycles[here, place] = queue


@njit(cache=True, error_model="numpy")
def _leave(
    line: Any, line_at: Any, lines: int, message: Any, times: Any, it: int, child: int,
    outcome: int, started: float, now: float,
) -> int:  # fmt: skip
    """Write the line of an attempt; how many there are then."""
    line[lines, 0], line[lines, 1] = message[it, TASK], message[it, NUMBER]
    line[lines, 2], line[lines, 3] = message[it, ATTEMPT], child
    line[lines, 4], line[lines, 5] = outcome, message[it, FIRST]
    line[lines, 6], line_at[lines, 0] = message[it, LAST], times[it, ENQUEUED]
    line_at[lines, 1], line_at[lines, 2] = started, now
    return lines + 1


@njit(cache=True, error_model="numpy")
def _postpone(
    unsent: Any, unsent_at: Any, unsents: int, message: Any, times: Any, it: int,
    now: float,
) -> int:  # fmt: skip
    """Leave the notifications of a message, if any, to the sweep, once no sender claims
    them; how many messages' wait there then.
    """
    if message[it, LAST] == message[it, FIRST]:
        return unsents
    claim = times[it, CLAIM]
    unsent[unsents, 0], unsent[unsents, 1] = message[it, FIRST], message[it, LAST]
    unsent_at[unsents, 0] = claim if claim > -np.inf else now
    unsent_at[unsents, 1] = times[it, BORN]
    return unsents + 1
