"""What a real worker does with a task that fails, dies, or takes too long."""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import redis

from loadtests.rig.servers import Servers
from worker import keys
from worker.celeryconfig import worker_arguments
from worker.env import Settings, for_celery
from worker.policy import POLICY
from worker.records import Outcome, TaskRecord
from worker.reliability import dead_letters
from worker.telemetry import recording

HERE = Path(__file__).parent
DEADLINE_S = 60.0
_SLOTS = count(1_800_000_000, 15)


def awaited(what: Callable[[], Any]) -> Any:
    """What ``what`` gives as soon as it is true; fails the test when it never is."""
    until = time.monotonic() + DEADLINE_S
    while time.monotonic() < until:
        if found := what():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")


@pytest.fixture(scope="module")
def probe() -> Any:
    spec = importlib.util.spec_from_file_location("probe", HERE / "probe.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Bench:
    """A worker at work, its app to publish with, its records to read."""

    def __init__(self, app: Any, client: redis.Redis) -> None:
        self.app = app
        self.redis = client

    def send(self, task: str, *args: object) -> str:
        self.redis.delete("probe:runs")
        return str(self.app.tasks[task].apply_async(args=args).id)

    def records(self, task_id: str) -> list[TaskRecord]:
        entries = [recording.parsed(f) for _, f in self.redis.xrange(keys.TASK_RECORDS)]
        return [
            entry
            for entry in entries
            if isinstance(entry, TaskRecord) and entry.task_id == task_id
        ]

    def outcomes(self, task_id: str, *, attempts: int) -> list[Outcome]:
        awaited(lambda: len({r.attempt for r in self.records(task_id)}) >= attempts)
        return [record.outcome for record in self.records(task_id)]

    def runs(self) -> list[str]:
        return [run.decode() for run in self.redis.lrange("probe:runs", 0, -1)]


@pytest.fixture(scope="module")
def bench(servers: Servers, probe: Any) -> Iterator[Bench]:
    """One worker for the whole module: what a task does to it must not end it."""
    command = [sys.executable, "-m", "celery", "-A", "probe", "worker",
               *worker_arguments(POLICY.pools["bg"])]  # fmt: skip
    url = servers.redis_url
    with redis.Redis.from_url(url) as client:
        client.flushall()
        worker = subprocess.Popen(
            command,
            env={
                **for_celery(),
                "REDIS_URL": url,
                "PYTHONPATH": str(HERE),
                "PROBE_WORKER": "1",
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            yield Bench(probe.probe_app(Settings(redis_url=url)), client)
            assert worker.poll() is None, "the worker itself must live on"
        finally:
            os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()


@pytest.fixture
def slot() -> int:
    """A slot that no other test uses."""
    return next(_SLOTS)


def test_a_task_that_works_is_recorded_from_start_to_end(bench: Bench) -> None:
    task_id = bench.send("probe_late", "work")

    assert bench.outcomes(task_id, attempts=1) == [Outcome.SUCCEEDED]
    (record,) = bench.records(task_id)
    assert record.detail == {"what": "work"}
    assert record.queue == "normal"
    assert record.wait_s > 0
    assert record.peak_rss_mib > 10


def test_a_slot_is_run_once_however_often_it_is_sent(bench: Bench, slot: int) -> None:
    sent = [bench.send("probe_early", slot, "work") for _ in range(5)]

    outcomes = [bench.outcomes(task_id, attempts=1)[0] for task_id in sent]

    assert sorted(outcomes) == [Outcome.SKIPPED] * 4 + [Outcome.SUCCEEDED]


@pytest.mark.parametrize("what", ["fail for now", "be told to wait"])
def test_a_tick_that_fails_waits_for_the_next(
    bench: Bench, slot: int, what: str
) -> None:
    task_id = bench.send("probe_early", slot, what)

    assert bench.outcomes(task_id, attempts=1) == [Outcome.FAILED]
    assert task_id not in {letter.id for letter in dead_letters.listed(bench.redis)}


@pytest.mark.parametrize("what", ["fail for now", "be told to wait"])
def test_a_late_task_is_retried_within_bounds(bench: Bench, what: str) -> None:
    task_id = bench.send("probe_late", what)

    assert bench.outcomes(task_id, attempts=3) == [
        Outcome.RETRIED,
        Outcome.RETRIED,
        Outcome.FAILED,
    ]
    assert bench.runs() == [what] * 3


@pytest.mark.parametrize("what", ["fail for good", "hold a bug", "run out of memory"])
def test_what_cannot_work_is_parked_with_its_reason(bench: Bench, what: str) -> None:
    task_id = bench.send("probe_late", what)

    assert bench.outcomes(task_id, attempts=1) == [Outcome.FAILED]
    (letter,) = awaited(lambda: dead_letters.read(bench.redis, [task_id]))
    assert (letter.task, letter.args) == ("probe_late", [what])
    after = bench.send("probe_late", "work")
    assert bench.outcomes(after, attempts=1) == [Outcome.SUCCEEDED]


def test_a_tick_that_fails_each_time_leaves_one_letter(bench: Bench) -> None:
    for _ in range(2):
        task_id = bench.send("probe_early", next(_SLOTS), "hold a bug")
        assert bench.outcomes(task_id, attempts=1) == [Outcome.FAILED]

    letters = [each.id for each in dead_letters.listed(bench.redis, task="probe_early")]
    assert letters == ["probe_early"]


def test_a_killed_childs_message_is_tried_again_within_bounds(bench: Bench) -> None:
    task_id = bench.send("probe_late", "die")

    outcomes = bench.outcomes(task_id, attempts=3)

    assert outcomes == [Outcome.KILLED] * 3
    assert bench.runs() == ["die"] * 3
    assert bench.redis.llen(POLICY.broker.key_prefix + "normal") == 0


def test_out_of_time_is_not_success(bench: Bench, probe: Any) -> None:
    task_id = bench.send("probe_late", "take too long")

    assert bench.outcomes(task_id, attempts=1) == [Outcome.TIMED_OUT]
    (record,) = bench.records(task_id)
    assert record.service_s < probe.ROWS["probe_late"].time_limit_s


def test_a_task_deaf_to_the_soft_limit_is_ended_by_the_hard_one(bench: Bench) -> None:
    task_id = bench.send("probe_late", "never stop")

    assert bench.outcomes(task_id, attempts=1) == [Outcome.TIMED_OUT]
    after = bench.send("probe_late", "work")
    assert bench.outcomes(after, attempts=1) == [Outcome.SUCCEEDED]
