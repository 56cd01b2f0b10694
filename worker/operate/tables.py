"""The tables that documents show: each generated from the policy, never written.

``python -m worker table NAME`` prints one; README.md holds them between comments that
name the command, and a test compares.
"""

from collections.abc import Callable

from worker.errors import UsageError
from worker.keys import KEYS
from worker.operate.show import Table
from worker.policy import Daily, Every, Policy, Task


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
    for table in (tasks, pools, services, keys, alarms, objectives, upkeep, roles)
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


def _seconds(seconds: float) -> str:
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"
