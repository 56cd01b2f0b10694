"""A matcher with a bug that loops: limits end it, and nothing wedges."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from loadtests.rig.population import populate
from worker import keys
from worker.app import make_app
from worker.celeryconfig import worker_arguments
from worker.env import Settings, for_celery
from worker.notifications.service_days import today
from worker.policy import POLICY, apply_settings
from worker.realtime import delays
from worker.records import Outcome, TaskRecord
from worker.telemetry import recording

HERE = Path(__file__).parent
RIDERS = 7
FLUSHED = """
select outcome, extract(epoch from finished_at - started_at)::float8
from ops.task_records where task_id = %s and outcome is not null
"""
LIMITS = (
    "tasks.alert_matcher.soft_time_limit_s=2",
    "tasks.alert_matcher.time_limit_s=4",
    "database.roles.matcher.lock_timeout_s=1",
    "database.roles.matcher.statement_timeout_s=1",
)


@pytest.fixture
def worker(database, redis_url):
    """A worker of the pool that matches; it must outlive what its children do."""
    pool = replace(POLICY.pools["bg"], queues=("normal",))  # a sync would go outside
    command = [sys.executable, "-m", "celery", "-A", "looping_matcher", "worker",
               *worker_arguments(pool)]  # fmt: skip
    process = subprocess.Popen(
        command,
        env={
            **for_celery(),
            "REDIS_URL": redis_url,
            "DATABASE_URL": database.url,
            "PYTHONPATH": str(HERE),
            "POLICY_SET": " ".join(LIMITS),
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
        assert process.poll() is None, "the worker itself must live on"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture
def owner(database):
    with psycopg.connect(database.admin_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def late_line(owner, redis):
    """Riders of one line, which is late."""
    populate(owner, users=RIDERS, lines=["T1"])
    row = {
        "kind": "delay",
        "feed": "buses_trips",
        "route_id": "T1",
        "trip_id": "trip-1",
        "service_date": today(datetime.now(UTC)),
        "stop_id": "P1",
        "delay_s": 900,
        "expected_at": int(time.time()) + 1_800,
        "published_at": time.time(),
    }
    packed = delays.pack({name: [value] for name, value in row.items()})
    redis.set(keys.live("buses_trips", "delays"), packed)


@pytest.mark.slow
@pytest.mark.usefixtures("worker", "late_line")
def test_a_matcher_that_loops_is_ended_and_the_next_one_matches(
    redis, redis_url, owner
):
    # A message carries the limits of who publishes it, as a poller of this policy.
    app = make_app(Settings(redis_url=redis_url), apply_settings(POLICY, list(LIMITS)))

    def matched(loops):
        """How a match ends that finds the bug so, and how long it lasted."""
        if loops:
            redis.set("loops", loops)
        else:
            redis.delete("loops")
        return ended(redis, owner, app.tasks["alert_matcher"].apply_async().id)

    in_python, lasted_s = matched("in Python")
    in_sql, _ = matched("in SQL")
    whole, _ = matched(None)

    assert (in_python, in_sql, whole) == (
        Outcome.TIMED_OUT,
        Outcome.FAILED,
        Outcome.SUCCEEDED,
    )
    assert lasted_s > 3, "deaf to the soft limit"
    awaited(lambda: redis.llen(POLICY.broker.key_prefix + "normal") == 0)
    told = owner.execute("select count(*) from app.notifications").fetchone()
    assert told == (RIDERS,)


def ended(redis, owner, task_id):
    """(outcome, seconds) of an attempt once it is closed, in Redis or flushed."""

    def found():
        for _, fields in redis.xrange(keys.TASK_RECORDS):
            record = recording.parsed(fields)
            if isinstance(record, TaskRecord) and record.task_id == task_id:
                return record.outcome, record.service_s
        return owner.execute(FLUSHED, (task_id,)).fetchone()

    return awaited(found)


def awaited(what):
    """What ``what`` gives as soon as it is true; fails the test when it never is."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if seen := what():
            return seen
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")
