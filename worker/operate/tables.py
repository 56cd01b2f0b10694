"""The tables that documents show: each generated from the policy, never written.

``python -m worker table NAME`` prints one; README.md holds them between comments that
name the command, and a test compares.
"""

from collections.abc import Callable

from worker.errors import UsageError
from worker.keys import KEYS
from worker.operate.show import Table
from worker.policy import Daily, Every, Policy, Task
from worker.policy.feeds import PERIODS, Feed, Intervals, Period
from worker.policy.objectives import promised_push_s
from worker.realtime.cadence import FeedState, interval_s


def tasks(policy: Policy) -> Table:
    """The task table: queue, tick, limits, answer to a failure."""
    return Table(
        columns=(
            *("Task", "Queue", "Tick", "Expires", "Soft limit", "Hard limit"),
            *("Max retries", "Backoff", "Ack", "Why"),
        ),
        rows=[
            (
                *(task.name, task.queue, _tick(task), _seconds(task.expires_s)),
                *(_seconds(task.soft_time_limit_s), _seconds(task.time_limit_s)),
                *(task.max_retries, _backoff(task), task.ack, task.reason),
            )
            for task in policy.tasks.values()
        ],
    )


def pools(policy: Policy) -> Table:
    """The worker pools: which queues, how many children, when one is replaced."""
    return Table(
        columns=("Pool", "Queues", "Children", "Recycled after", "or above", "Why"),
        rows=[
            (
                *(pool.name, ", ".join(pool.queues), pool.children),
                f"{pool.max_tasks_per_child:,} tasks",
                f"{pool.max_memory_per_child_mib} MiB",
                pool.reason,
            )
            for pool in policy.pools.values()
        ],
    )


def services(policy: Policy) -> Table:
    """What the platform runs, and what each service may use."""
    return Table(
        columns=("Service", "Command", "Memory", "vCPU", "Draining", "Why"),
        rows=[
            (
                *(row.name, f"`{row.command}`", f"{row.memory_mib} MiB", row.vcpu),
                *(_seconds(row.draining_s), row.reason),
            )
            for row in policy.services.values()
        ],
    )


def keys(policy: Policy) -> Table:
    """Every Redis key of the application: the contract with the API."""
    return Table(
        columns=("Key", "Type", "Lives", "Written by", "Read by", "Holds"),
        rows=[
            (f"`{k.pattern}`", k.type, k.ttl, k.writer, k.reader, k.holds) for k in KEYS
        ],
    )


def alarms(policy: Policy) -> Table:
    """What alarms watch, when they fire, and the first thing to do."""
    return Table(
        columns=("Alarm", "Kind", "Fires when", "For", "First thing to do", "Why"),
        rows=[
            (
                *(row.name, row.kind),
                f"{row.sample} of {row.label} > {row.threshold:g}",
                *(_seconds(row.sustain_s), row.action, row.reason),
            )
            for row in policy.alarms.values()
        ],
    )


def objectives(policy: Policy) -> Table:
    """What riders and the developer are promised."""
    signs = {"at_most": "<=", "at_least": ">="}
    return Table(
        columns=("Objective", "Measure", "Wanted", "Why"),
        rows=[
            (row.name, row.measure, f"{signs[row.sense]} {row.limit:g}", row.reason)
            for row in policy.objectives.values()
        ],
    )


def promises(policy: Policy) -> Table:
    """How soon riders hear of what a feed publishes, by period of the day: each feed
    promises what it makes them await, and what matching and sending may take.

    A delay wakes the matcher; an alert awaits its tick.
    """
    tick = policy.tasks["alert_matcher"].tick
    matched_each_s = tick.period_s if isinstance(tick, Every) else 0
    tiers: dict[tuple[Intervals, int], list[Feed]] = {}
    for feed in policy.feeds.values():
        if feed.kind != "vehicle_positions":  # these trigger no push
            matcher_s = matched_each_s if feed.kind == "alerts" else 0
            tiers.setdefault((feed.intervals, matcher_s), []).append(feed)
    return Table(
        columns=(
            *("Feeds", "Period", "Asked every", "once it repeats itself"),
            *("Matched within", "Push p95", "Push p99"),
        ),
        rows=[
            (
                *(", ".join(feed.name for feed in feeds), period),
                _seconds(intervals.of(period)),
                _seconds(_repeating_s(feeds[0], period, policy)),
                _seconds(matcher_s) if matcher_s else "at once",
                *map(_at_most, promised_push_s(intervals.of(period) + matcher_s)),
            )
            for (intervals, matcher_s), feeds in tiers.items()
            for period in PERIODS
        ],
    )


def _repeating_s(feed: Feed, period: Period, policy: Policy) -> int:
    """Seconds between requests of a feed that says nothing new for a while."""
    limits = policy.realtime
    state = FeedState(unchanged=limits.slow_after_unchanged)
    return interval_s(
        feed, state, period=period, disrupted=False, slowed=False, limits=limits
    )


def upkeep(policy: Policy) -> Table:
    """The steps of upkeep."""
    return Table(
        columns=("Step", "Every", "Budget", "Why"),
        rows=[
            (row.name, _seconds(row.period_s), f"{row.budget_s:g} s", row.reason)
            for row in policy.upkeep.values()
        ],
    )


def roles(policy: Policy) -> Table:
    """The database roles and how long each waits."""
    return Table(
        columns=("Role", "Statement", "Lock", "Why"),
        rows=[
            (
                *(row.group, _seconds(row.statement_timeout_s)),
                *(_seconds(row.lock_timeout_s), row.reason),
            )
            for row in policy.database.roles.values()
        ],
    )


TABLES: dict[str, Callable[[Policy], Table]] = {
    table.__name__: table
    for table in (
        *(tasks, pools, services, keys, alarms, objectives, promises, upkeep, roles),
    )
}


def table(name: str, policy: Policy, **others: Table) -> Table:
    """The table of that name, of ``TABLES`` or of ``others``; UsageError otherwise."""
    if name in others:
        return others[name]
    if name not in TABLES:
        raise UsageError(
            f"there is no table '{name}'; there are {', '.join([*TABLES, *others])}"
        )
    return TABLES[name](policy)


def _tick(task: Task) -> str:
    if isinstance(task.tick, Every):
        return f"every {_seconds(task.tick.period_s)}"
    if isinstance(task.tick, Daily):
        return f"daily {task.tick.hour:02d}:{task.tick.minute:02d} Sydney"
    return "on demand"


def _backoff(task: Task) -> str:
    if not task.max_retries:
        return "next tick"
    first, last = _seconds(task.retry_backoff_s), _seconds(task.retry_backoff_max_s)
    return f"{first} doubling to {last}, jittered"


def _at_most(seconds: float) -> str:
    return f"<= {seconds:g} s"


def _seconds(seconds: float) -> str:
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"
