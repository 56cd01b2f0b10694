"""A sender that dies at any step loses nothing, and repeats little."""

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from worker.policy import POLICY

ROOT = Path(__file__).resolve().parents[3]
DYING = Path(__file__).with_name("sender_that_dies.py")
SHORT_LEASE = (
    "tasks.apns_worker.soft_time_limit_s=1",
    "tasks.apns_worker.time_limit_s=2",
    "push.claim_margin_s=0",
)
BATCH = POLICY.push.batch_size
DEATHS = (
    ("before the claim", 2),
    ("claimed, not committed", 2),
    ("claimed, not sent", 2),
    ("half sent", 150),
    ("sent, not marked", 2),
    ("marked, not committed", 2),
    ("committed, not said", 2),
    ("said", 2),
)


def sent_until_death(environment, *death):
    """Run a sender to its end; its exit code."""
    command = [sys.executable, str(DYING), *map(str, death)]
    return subprocess.run(
        command, cwd=ROOT, env=environment, timeout=150, check=False
    ).returncode


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("riders_in_all", [10_000])
def test_a_sender_killed_at_each_step_loses_nothing(
    waiting,
    riders,
    owner,
    arrived,
    world,
    database,
    redis_url,
    riders_in_all,
):
    waiting(riders_in_all)
    environment = {
        **os.environ,
        **world.environment,
        "PYTHONPATH": str(ROOT),
        "REDIS_URL": redis_url,
        "DATABASE_URL": database.url,
        "POLICY_SET": " ".join(SHORT_LEASE),
    }

    for death in DEATHS:
        assert sent_until_death(environment, *death) == -signal.SIGKILL
        free_all_dead_claims(owner)
    assert sent_until_death(environment) == 0

    rows = {str(row["apns_id"]): row for row in riders.told()}
    pushes = arrived()
    times = Counter(each["apns_id"] for each in pushes)
    duplicates = len(pushes) - len(times)
    print(f"{duplicates} of {riders_in_all} sent twice, nothing lost")  # noqa: T201
    assert {row["state"] for row in rows.values()} == {"sent"}
    assert set(times) == set(rows)
    assert 0 < duplicates <= 4 * BATCH
    assert max(times.values()) <= 2
    assert all(p["collapse_id"] == rows[p["apns_id"]]["collapse_id"] for p in pushes)


def free_all_dead_claims(owner):
    """As if the leases of the dead sender had run out, without waiting for them."""
    owner.execute(
        "update app.notifications set due_at = now() - interval '1 second' "
        "where state = 'sending'"
    )
