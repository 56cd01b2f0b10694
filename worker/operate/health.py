"""Health: is the work being done right now? Answered from Redis alone."""

from collections.abc import Iterator

from redis import Redis

from worker.errors import WorkerError
from worker.operate.checks import Check
from worker.operate.recent import Recent, read
from worker.policy import Policy
from worker.reliability import dead_letters

_DAY_S = 86_400


def every(redis: Redis, policy: Policy) -> list[Check]:
    """Pools alive, tasks succeeding, alarms quiet, nothing newly dead.

    One answer alone when Redis is away: nothing else can be said then.
    """
    try:
        recent = read(redis, policy)
    except WorkerError as error:
        fix = "start the server, or correct REDIS_URL"
        return [Check(name="redis", ok=False, detail=str(error), fix=fix)]
    return [
        *_pools(recent, policy),
        *_tasks(recent, policy),
        *_alarms(recent, policy),
        _letters(redis, recent),
    ]


def _pools(recent: Recent, policy: Policy) -> Iterator[Check]:
    silent_s = 4 * policy.recording.gauge_period_s
    children = recent.last("children")
    for pool in policy.pools.values():
        seen = children.get(pool.name)
        alive = seen is not None and recent.now - seen.at < silent_s
        yield Check(
            name=f"pool_{pool.name}",
            ok=alive,
            detail=f"children: {seen.value:.0f}"
            if seen and alive
            else f"no sign of it for {silent_s} s",
            fix="" if alive else f"start it: python -m worker {pool.name}",
        )


def _tasks(recent: Recent, policy: Policy) -> Iterator[Check]:
    ages = recent.last("success_age_s")
    for task in policy.tasks.values():
        longest_s = task.longest_silence_s
        if longest_s is None:
            continue
        age = ages.get(task.name)
        ok = age is not None and age.value <= longest_s
        yield Check(
            name=f"task_{task.name}",
            ok=ok,
            detail=f"last succeeded {age.value:.0f} s ago"
            if age
            else "has not succeeded yet",
            fix="" if ok else "see its failures: python -m worker status",
        )


def _alarms(recent: Recent, policy: Policy) -> Iterator[Check]:
    for alarm in policy.alarms.values():
        state = alarm.state(recent.recorded.samples, now=recent.now)
        yield Check(
            name=f"alarm_{alarm.name}",
            ok=state != "firing",
            detail=state,
            fix=alarm.action if state == "firing" else "",
        )


def _letters(redis: Redis, recent: Recent) -> Check:
    letters = dead_letters.listed(redis)
    young = [each for each in letters if each.parked_at > recent.now - _DAY_S]
    return Check(
        name="dead_letters",
        ok=not young,
        detail=f"{len(young)} in the last day, {len(letters)} kept",
        fix="see why: python -m worker dead" if young else "",
    )
