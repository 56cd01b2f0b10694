"""An open workload feels every stall; a closed one hides it (coordinated omission)."""

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from redis import Redis

from loadtests.assignment import assign
from loadtests.publisher import AWAY, TOGETHER, Publishing, groups_of
from simulation.scenario import Event, Scenario
from worker.measures import quantile

ROOT = Path(__file__).resolve().parents[2]
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

    def hand(together: Sequence[Sequence[int]]) -> int:
        if [30] in together:  # a real server that takes no writes for a while
            redis.client_pause(int(STALL_S * 1000), all=False)
        began = time.perf_counter()
        redis.lpush("broker", *(ids[0] for ids in together))
        closed_s.append(time.perf_counter() - began)
        return 0

    publishing = Publishing()
    publishing.publish(
        iter(due),
        hand,
        sleep=time.sleep,
        tell=lambda took_s, _: open_s.append(took_s),
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
    assert publishing.late_s == open_s
    assert redis.llen("broker") == len(due)


def test_the_schedule_is_kept_whatever_an_answer_takes() -> None:
    now = [0.0]
    seen: list[tuple[float, int]] = []

    def sleep(seconds: float) -> None:
        now[0] += seconds

    publishing = Publishing()

    def hand(together: Sequence[Sequence[int]]) -> int:
        seen.append((now[0], len(together)))
        publishing.message_ids.extend(str(ids[0]) for ids in together)
        now[0] += 0.4  # as long as an answer takes
        return sum(map(len, together))

    due = [(1.0, [1]), (2.0, [2, 3]), (2.1, [4]), (2.3, [5]), (5.0, [6])]
    publishing.publish(iter(due), hand, sleep=sleep, clock=lambda: now[0])

    # What is overdue goes together, and is late by what it was kept waiting.
    assert seen == [pytest.approx(each) for each in [(1, 1), (2, 1), (2.4, 2), (5, 1)]]
    assert publishing.late_s == pytest.approx([0.4, 0.4, 0.7, 0.5, 0.4])
    assert publishing.left_to_sweep == 6
    assert publishing.left_at == pytest.approx([1.0, 2.0, 2.4, 5.0])
    # A message was handed over when its group was.
    assert publishing.message_ids == ["1", "2", "4", "5", "6"]
    assert publishing.handed_at == pytest.approx([1, 2, 2.4, 2.4, 5])


def test_the_first_of_a_long_stall_does_not_wait_for_the_last() -> None:
    sizes: list[int] = []
    due = [(0.0, [k]) for k in range(2 * TOGETHER + 1)]

    Publishing().publish(
        iter(due),
        lambda together: sizes.append(len(together)) or 0,
        sleep=lambda _: None,
        clock=lambda: 1.0,
    )

    assert sizes == [TOGETHER, TOGETHER, 1]


HANDING = """
import json, sys
from redis import Redis
from loadtests.publisher import hand_over_as_the_matcher_does

ids = []
hand = hand_over_as_the_matcher_does(ids)
server = Redis.from_url(sys.argv[1])
reads = lambda: server.info("stats")["total_reads_processed"]
reads()
told, seen = [], reads()
for together in json.loads(sys.argv[2]):
    left = hand(together)
    now = reads()
    told.append([left, now - seen])
    seen = now
print(json.dumps([told, len(set(ids))]))
"""


def handed(
    broker: str, server: str, *together: Sequence[Sequence[int]], limit: int = 1_000
) -> tuple[list[list[int]], int]:
    """(left to the sweep, reads of the server) of each handing over, messages sent."""
    said = subprocess.run(
        [sys.executable, "-c", HANDING, server, json.dumps(together)],
        env={
            **os.environ,
            "REDIS_URL": broker,
            "POLICY_SET": f"push.queue_limit={limit} push.batch_size=2",
        },
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    told, messages = json.loads(said.stdout)
    return told, messages


def test_groups_that_are_due_together_share_a_round_trip(redis_url: str) -> None:
    redis = Redis.from_url(redis_url)
    many = [[10 * k, 10 * k + 1, 10 * k + 2] for k in range(1, 9)]

    (one, all_), messages = handed(redis_url, redis_url, many[:1], many)

    # Each group in batches of its own, two at most in each here.
    sent = [
        json.loads(base64.b64decode(json.loads(text)["body"]))[0][0]
        for text in reversed(redis.lrange("q:normal", 0, -1))
    ]
    batches = [part for ids in many for part in (ids[:2], ids[2:])]
    assert sent == [*batches[:2], *batches]
    assert messages == len(sent)
    assert (one[0], all_[0]) == (0, 0)
    # Connected before: a look at the queue, the messages, and this count itself.
    assert one[1] == 3
    # Fourteen messages more, which the server reads in as many bites as they fill.
    assert all_[1] - one[1] <= 2


def test_what_a_full_queue_has_no_room_for_is_left_to_the_sweep(redis_url: str) -> None:
    together = [[1, 2], [3, 4, 5], [6]]

    (told,), messages = handed(redis_url, redis_url, together, limit=3)

    assert (told[0], messages) == (1, 3)
    assert Redis.from_url(redis_url).llen("q:normal") == 3


PUBLISHING = """
from loadtests.publisher import Publishing, hand_over_as_the_matcher_does

publishing = Publishing()
publishing.publish(
    iter([(0.0, [1, 2]), (0.0, [3])]),
    hand_over_as_the_matcher_does(publishing.message_ids),
    sleep=lambda _: None,
    tell=lambda took_s, error: print(took_s > 0, error),
)
print(publishing.left_to_sweep, publishing.message_ids)
"""


def test_a_broker_that_is_away_is_a_failure_and_leaves_all_to_the_sweep() -> None:
    said = subprocess.run(
        [sys.executable, "-c", PUBLISHING],
        env={**os.environ, "REDIS_URL": "redis://127.0.0.1:1/0"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert said.stdout.splitlines() == [f"True {AWAY}", f"True {AWAY}", "3 []"]


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
