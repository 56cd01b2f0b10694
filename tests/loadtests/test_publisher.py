"""An open workload feels every stall; a closed one hides it (coordinated omission)."""

import time
from collections.abc import Sequence

import pytest
from redis import Redis

from loadtests.assignment import assign
from loadtests.publisher import Publishing, groups_of
from simulation.scenario import Event, Scenario
from worker.measures import quantile

RATE = 100.0
STALL_S = 0.6


def groups(seconds: float) -> list[tuple[float, Sequence[int]]]:
    """One id each hundredth of a second, from now on."""
    now = time.time() + 0.05
    return [(now + k / RATE, [k]) for k in range(int(seconds * RATE))]


def test_a_stall_of_the_broker_is_felt_by_every_group_that_was_due_in_it(
    redis_url: str,
) -> None:
    redis = Redis.from_url(redis_url)
    due = groups(1.5)
    open_s: list[float] = []
    closed_s: list[float] = []

    def enqueue(ids: Sequence[int]) -> int:
        if ids == [30]:  # a real server that takes no writes for a while
            redis.client_pause(int(STALL_S * 1000), all=False)
        began = time.perf_counter()
        redis.lpush("broker", ids[0])
        closed_s.append(time.perf_counter() - began)
        return 0

    publishing = Publishing()
    publishing.publish(
        iter(due),
        enqueue,
        sleep=time.sleep,
        tell=open_s.append,
    )

    # A closed loop asks again when it is answered: one slow answer among a hundred.
    assert sum(took_s > STALL_S / 2 for took_s in closed_s) == 1
    assert quantile(closed_s, 0.95) < STALL_S / 4
    # About half of what was due in the stall has waited for half of it, or longer.
    hidden = sum(took_s > STALL_S / 2 for took_s in open_s)
    assert hidden > 0.4 * STALL_S * RATE
    assert quantile(open_s, 0.95) > STALL_S / 2
    # Nothing was left out to catch up, and lateness is told, not forgiven.
    assert publishing.notifications == [1] * len(due)
    assert max(publishing.late_s) > 0.9 * STALL_S
    assert redis.llen("broker") == len(due)


def test_the_schedule_is_kept_whatever_an_answer_takes() -> None:
    now = [0.0]
    seen: list[float] = []

    def sleep(seconds: float) -> None:
        now[0] += seconds

    def enqueue(ids: Sequence[int]) -> int:
        seen.append(now[0])
        now[0] += 0.4  # as long as an answer takes
        return len(ids)

    publishing = Publishing()
    due = [(1.0, [1]), (2.0, [2, 3]), (2.1, [4]), (5.0, [5])]
    publishing.publish(iter(due), enqueue, sleep=sleep, clock=lambda: now[0])

    assert seen == pytest.approx([1.0, 2.0, 2.4, 5.0])
    assert publishing.late_s == pytest.approx([0.0, 0.0, 0.3, 0.0])
    assert publishing.left_to_sweep == 5


def test_each_group_gets_ids_of_its_own_and_none_is_left_over() -> None:
    scenario = Scenario(
        name="steady",
        question="?",
        users=4,
        duration_s=120.0,
        lines=4,
        onset_every_s=20.0,
        groups_per_s=(1.0,),
        group_least=2,
        group_most=9,
        extra_events=(Event(at_s=50.0, kind="publish", value=40.0),),
    )
    sizes = [size for _, size in scenario.groups()]
    run = assign(scenario, list("abcd"), starts_at=1000.0)
    run = type(run)(
        scenario=run.scenario,
        routes=run.routes,
        starts_at=run.starts_at,
        notifications=tuple(range(sum(sizes))),
    )

    found = list(groups_of(run))

    assert [len(ids) for _, ids in found] == sizes
    assert [id_ for _, ids in found for id_ in ids] == list(range(sum(sizes)))
    assert 40 in sizes
    assert [at for at, _ in found] == sorted(at for at, _ in found)
