"""The watchdog: its rule on looks, and its bite on a real worker that is deaf."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from celery import Celery

from worker import celeryconfig, keys
from worker.policy import POLICY
from worker.reliability.watchdog import EXIT_CODE, Look, Watchdog
from worker.telemetry import gauges

IDLE = Look(started=5, idle_children=1, waiting=0, overdue_s=-1.0)
STUCK = replace(IDLE, waiting=3)


def verdicts(*looks, every_s=10, patience_s=120):
    watchdog = Watchdog(patience_s)
    return [watchdog.verdict(look, n * every_s) for n, look in enumerate(looks)]


@pytest.mark.parametrize(
    "looks",
    [
        pytest.param([IDLE] * 50, id="nothing waits"),
        pytest.param([replace(STUCK, idle_children=0)] * 50, id="all children busy"),
        pytest.param([replace(STUCK, started=n) for n in range(50)], id="it works"),
        pytest.param([STUCK, STUCK, STUCK, IDLE] * 13, id="the backlog goes"),
        pytest.param([STUCK] * 13, id="not for long enough"),
    ],
)
def test_a_worker_that_may_be_healthy_is_left_alone(looks):
    assert set(verdicts(*looks)) == {None}


def test_a_worker_that_takes_nothing_although_messages_wait_is_ended():
    *before, last = verdicts(*[STUCK] * 14)

    assert set(before) == {None}
    assert last == (
        "3 messages wait, 1 children are idle, and nothing was started for 120 s"
    )


def test_an_attempt_that_the_pool_does_not_end_ends_the_worker():
    (said,) = verdicts(replace(IDLE, idle_children=0, overdue_s=121.0))

    assert said.startswith("an attempt is 121 s past its hard limit")


def test_an_outage_of_redis_is_no_standstill():
    watchdog = Watchdog(120)
    watchdog.verdict(STUCK, 0)
    watchdog.verdict(STUCK, 10)

    watchdog.forget()

    assert watchdog.verdict(STUCK, 500) is None
    assert watchdog.verdict(STUCK, 510) is None


@contextmanager
def watched_worker(redis_url, **environ):
    worker = subprocess.Popen(
        [
            *(sys.executable, "-m", "celery", "-A", "watched_app", "worker"),
            *("--hostname=bg@here", "--queues=normal,batch", "--concurrency=1"),
            *("--without-gossip", "--without-mingle", "--without-heartbeat"),
        ],
        env={
            **os.environ,
            "REDIS_URL": redis_url,
            "PYTHONPATH": str(Path(__file__).parent),
            **environ,
        },
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        yield worker
    finally:
        with suppress(ProcessLookupError):
            os.killpg(worker.pid, signal.SIGKILL)
        worker.communicate()


def awaited(what, within_s=60.0):
    give_up_at = time.monotonic() + within_s
    while not (found := what()):
        assert time.monotonic() < give_up_at, "it did not come to pass"
        time.sleep(0.05)
    return found


@pytest.fixture
def send(redis_url):
    app = Celery("sender", set_as_current=False)
    app.conf.update(celeryconfig.settings(POLICY, redis_url))
    yield lambda: app.send_task("alert_matcher", expires=600)
    app.close()


def test_a_worker_that_stopped_listening_exits_with_a_failure(redis, redis_url, send):
    with watched_worker(redis_url, DEAF="1") as worker:
        awaited(lambda: redis.exists("ready"))
        send()

        said = worker.communicate(timeout=60)[1]

    assert worker.returncode == EXIT_CODE
    assert "worker is stuck" in said
    assert redis.get("ran") is None


def test_a_worker_whose_children_are_frozen_exits_and_takes_them_along(
    redis, redis_url, send
):
    with watched_worker(redis_url) as worker:
        awaited(lambda: redis.exists("ready"))
        send()
        awaited(lambda: redis.get("ran") == b"1")
        (child,) = children_of(worker.pid)
        os.kill(child, signal.SIGSTOP)
        for _ in range(2):
            send()

        worker.communicate(timeout=60)

    assert worker.returncode == EXIT_CODE
    awaited(lambda: is_gone(child))


def test_a_healthy_worker_lives_on_and_samples_its_processes(redis, redis_url, send):
    with watched_worker(redis_url) as worker:
        awaited(lambda: redis.exists("ready"))
        send()
        awaited(lambda: redis.get("ran") == b"1")
        awaited(lambda: redis.xlen(keys.SAMPLES) >= 6)

        assert worker.poll() is None
        entries = redis.xrange(keys.SAMPLES)

    samples = [sample for _, fields in entries for sample in gauges.parsed(fields)]
    memory = {s.label: s.value for s in samples if s.name == "memory_mib"}
    assert set(memory) == {"bg/parent", "bg/child-0"}
    assert all(5 < value < 500 for value in memory.values())
    assert {s.value for s in samples if s.name == "children"} == {1.0}
    assert {s.at % 1 for s in samples} == {0.0}  # the same instants in every worker


def children_of(pid):
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in listed]


def is_gone(pid):
    try:
        return " Z " in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return True
