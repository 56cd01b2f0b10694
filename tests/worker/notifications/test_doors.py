"""``match --once``, ``push --once``, ``push --test DEVICE``: as they are typed."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from loadtests.rig.population import populate
from worker import keys
from worker.notifications.service_days import today
from worker.realtime import delays

ROOT = Path(__file__).resolve().parents[3]
DEVICE = "ab" * 32


@pytest.fixture
def typed(world, database, redis_url):
    """Types a command of the worker; gives what it did."""
    environment = {
        **os.environ,
        **world.environment,
        "REDIS_URL": redis_url,
        "DATABASE_URL": database.url,
        "CLOCK_OFFSET_S": "0",
    }

    def run(*words):
        return subprocess.run(
            [sys.executable, "-m", "worker", *words],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


@pytest.fixture
def late_line(owner, redis, happens):
    """Three riders of a line that is late, as the poller leaves it."""
    populate(owner, users=3, lines=["T1"])
    now = datetime.now(UTC)
    row = happens.late(now, service_date=today(now))
    packed = delays.pack({name: [value] for name, value in row.items()})
    redis.set(keys.live("sydneytrains_trips", "delays"), packed)


@pytest.mark.usefixtures("late_line", "apple")
def test_one_match_and_one_push_tell_the_riders_once(typed, riders):
    matched = [typed("match", "--once", "--json") for _ in range(2)]
    pushed = [typed("push", "--once", "--json") for _ in range(2)]

    assert [json.loads(each.stdout)["notifications"] for each in matched] == [3, 0]
    assert [json.loads(each.stdout) for each in pushed] == [
        {"claimed": 3, "sent": 3},
        {},
    ]
    assert {each.returncode for each in (*matched, *pushed)} == {0}
    assert [row["state"] for row in riders.told()] == ["sent"] * 3


def test_a_test_push_says_what_apple_answers(typed, apple):
    good = typed("push", "--test", DEVICE)
    refuse = {"status": 400, "reason": "BadDeviceToken", "share": 1.0}
    fault = {"target": "apns", "kind": "status", "value": refuse}
    apple.post("/faults", json=fault).raise_for_status()
    bad = typed("push", "--test", DEVICE, "--json")

    assert good.returncode == 0
    assert "sent" in good.stdout
    assert bad.returncode == 1
    said = json.loads(bad.stdout)
    assert (said["status"], said["reason"], said["verdict"]) == (
        400,
        "BadDeviceToken",
        "dead",
    )


@pytest.mark.parametrize(
    "device", ["", "<abcd 1234>", "../../etc", "ab\ncd", "👩" * 16]
)
def test_what_is_no_token_is_bad_use(typed, device):
    said = typed("push", "--test", device)

    assert said.returncode == 2
    assert "64 hexadecimal digits" in said.stderr
