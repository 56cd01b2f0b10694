"""The matcher's task: rows first, then the mark, then messages."""

import time
from datetime import UTC, datetime

import psycopg
import pytest

from loadtests.rig.population import populate
from worker import keys
from worker.env import Settings
from worker.notifications.service_days import today
from worker.policy import POLICY
from worker.realtime import delays, read
from worker.tasks.alert_matcher import alert_matcher
from worker.tasks.world import world


@pytest.fixture
def published():
    return []


@pytest.fixture
def here(redis_url, database, published):
    """A world whose messages are kept instead of sent."""
    settings = Settings(redis_url=redis_url, database_url=database.url)
    return world(POLICY, settings, lambda *message: published.append(message))


@pytest.fixture
def disrupted(here, database):
    """250 riders of one line, which is late; the poller has asked for a match."""
    with psycopg.connect(database.admin_url, autocommit=True) as owner:
        populate(owner, users=250, lines=["T1"])
    now = datetime.now(UTC)
    row = {
        "kind": "delay",
        "feed": "buses_trips",
        "route_id": "T1",
        "trip_id": "trip-1",
        "service_date": today(now),
        "stop_id": "P1",
        "delay_s": 900,
        "expected_at": int(time.time()) + 1_800,
        "published_at": time.time(),
    }
    packed = delays.pack({name: [value] for name, value in row.items()})
    here.redis.set(keys.live("buses_trips", "delays"), packed)
    here.redis.set(keys.GENERATION_WANTED, 7)


@pytest.mark.usefixtures("disrupted")
def test_riders_of_a_late_line_get_one_message_a_batch(here, published):
    said = alert_matcher(here)
    again = alert_matcher(here)

    assert (said["notifications"], again["notifications"]) == (250, 0)
    assert [(task, len(ids)) for task, ids in published] == [
        ("apns_worker", 100),
        ("apns_worker", 100),
        ("apns_worker", 50),
    ]
    assert read.generation(here.redis) == (7, 7)


@pytest.mark.usefixtures("disrupted")
def test_a_match_that_fails_is_asked_for_again(here, database):
    with psycopg.connect(database.admin_url, autocommit=True) as owner:
        owner.execute("drop table app.notifications")

    with pytest.raises(Exception, match="notifications"):
        alert_matcher(here)

    assert read.generation(here.redis) == (7, 0)
