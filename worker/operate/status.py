"""Status: what a person wants to see first, from Redis alone."""

import math

from redis import Redis

from worker.measures import MEASURES, quantile
from worker.operate.recent import Recent, read
from worker.operate.show import Table
from worker.policy import Policy
from worker.realtime import store
from worker.realtime.read import freshness
from worker.records import Delivery
from worker.reliability import breaker, dead_letters, quota

_LETTERS_SHOWN = 5


def every(
    redis: Redis, policy: Policy, policy_set: str, *, service_now: float
) -> list[Table]:
    """Feeds, quota, tasks, notifications, queues, processes, alarms and dead letters.

    ``service_now``: epoch seconds of the clock that the feeds follow (a replay's).
    Raises TransientError when Redis does not answer.
    """
    recent = read(redis, policy)
    tables = [
        _feeds(redis, policy, service_now, now=recent.now),
        _quota(redis, policy, now=recent.now),
        _tasks(recent, policy),
        _pushes(recent, policy),
        _queues(recent, policy),
        _processes(recent),
        _alarms(recent, policy),
        _letters(redis, recent),
    ]
    if policy_set:
        loud = Table(
            title="NOT THE DEPLOYED POLICY",
            columns=("POLICY_SET",),
            rows=[(setting,) for setting in policy_set.split()],
        )
        tables.insert(0, loud)
    return tables


def _feeds(redis: Redis, policy: Policy, service_now: float, *, now: float) -> Table:
    """What is held of each feed, how it answered last, and whether it rests."""
    held, states = freshness(redis), store.states(redis)
    breakers = breaker.read(redis, policy.feeds, now_s=now)
    rows = []
    for name in policy.feeds:
        fresh, state = held.get(name), states.get(name)
        rows.append(
            (
                name,
                fresh.age_s(service_now) if fresh else None,
                fresh.entities if fresh else None,
                state.outcome if state else None,
                breakers[name].state,
            )
        )
    columns = ("feed", "age_s", "entities", "last answer", "breaker")
    return Table(title="Realtime feeds", columns=columns, rows=rows)


def _quota(redis: Redis, policy: Policy, *, now: float) -> Table:
    """What was asked of Transport for NSW, and whether something holds us back."""
    closed, slowed = quota.condition(redis)
    spent, stop_at = quota.spent(redis, now_s=now), policy.quota.stop_at
    if not closed and spent >= stop_at:
        closed = f"we stop by ourselves at {stop_at:,}"
    return Table(
        title="Quota of Transport for NSW",
        columns=("requests in 24 h", "granted", "pace", "stopped"),
        rows=[
            (
                spent,
                policy.quota.granted_per_day,
                "halved" if slowed else "full",
                closed or "no",
            )
        ],
    )


def _tasks(recent: Recent, policy: Policy) -> Table:
    """The measures of each task's attempts, in the words of worker.measures."""
    ages = recent.last("success_age_s")
    rows = []
    for name in policy.tasks:
        mine = recent.recorded.of_task(name)
        service_s = [r.service_s for r in mine.tasks if r.started_at is not None]
        succeeded = ages.get(name)
        rows.append(
            (
                name,
                None if succeeded is None else succeeded.value,
                len(mine.tasks),
                _known(MEASURES["success_rate"].function(mine)),
                _known(quantile(service_s, 0.50)),
                _known(quantile(service_s, 0.95)),
                _known(MEASURES["queue_wait_p95_s"].function(mine)),
                max((r.peak_rss_mib for r in mine.tasks), default=None),
            )
        )
    minutes = policy.recording.reader_grace_s // 60
    return Table(
        title=f"Tasks, last {minutes} minutes",
        columns=(
            *("task", "success_age_s", "attempts", "success_rate"),
            *("p50_service_s", "p95_service_s", "queue_wait_p95_s", "peak_rss_mib"),
        ),
        rows=rows,
    )


def _pushes(recent: Recent, policy: Policy) -> Table:
    """What became of notifications; of those sent, how long after the feed said it."""
    by_outcome: dict[str, list[Delivery]] = {}
    for delivery in recent.recorded.deliveries:
        by_outcome.setdefault(delivery.outcome, []).append(delivery)
    rows = []
    for outcome, ended in sorted(by_outcome.items()):
        took_s = [d.sent_at - d.published_at for d in ended if d.sent_at is not None]
        shares = (_known(quantile(took_s, share)) for share in (0.50, 0.95))
        rows.append((outcome, len(ended), *shares))
    minutes = policy.recording.reader_grace_s // 60
    return Table(
        title=f"Notifications that ended, last {minutes} minutes",
        columns=("outcome", "notifications", "p50_sent_s", "p95_sent_s"),
        rows=rows,
    )


def _queues(recent: Recent, policy: Policy) -> Table:
    depth, age = recent.last("depth"), recent.last("oldest_age_s")
    return Table(
        title="Queues",
        columns=("queue", "depth", "oldest_age_s"),
        rows=[
            (queue, int(depth[queue].value), age[queue].value)
            for queue in policy.queues
        ],
    )


def _processes(recent: Recent) -> Table:
    memory, cpu_s = recent.last("memory_mib"), recent.last("cpu_s")
    rows = [
        (label, memory[label].value, cpu_s[label].value if label in cpu_s else None)
        for label in sorted(memory)
    ]
    total = sum(sample.value for sample in memory.values())
    return Table(
        title="Processes",
        columns=("process", "memory_mib", "cpu_s since the last sample"),
        rows=[*rows, ("all", total, None)] if rows else [],
    )


def _alarms(recent: Recent, policy: Policy) -> Table:
    rows = []
    for alarm in policy.alarms.values():
        state = alarm.state(recent.recorded.samples, now=recent.now)
        rows.append((alarm.name, state, alarm.action if state == "firing" else None))
    return Table(title="Alarms", columns=("alarm", "state", "do"), rows=rows)


def _letters(redis: Redis, recent: Recent) -> Table:
    letters = dead_letters.listed(redis)
    return Table(
        title=f"Dead letters: {len(letters)} kept",
        columns=("id", "task", "age_s", "why"),
        rows=[
            (each.id, each.task, recent.now - each.parked_at, each.reason)
            for each in letters[:_LETTERS_SHOWN]
        ],
    )


def _known(value: float) -> float | None:
    """None for not a number: nothing was measured."""
    return None if math.isnan(value) else value
