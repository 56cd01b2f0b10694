"""Health and status from a real Redis: silence is not health."""

import time

import pytest

from worker import keys
from worker.notifications import deliveries
from worker.operate import health, status
from worker.policy import POLICY
from worker.realtime import store
from worker.realtime.cadence import FeedState
from worker.records import Delivery, Outcome, Sample
from worker.reliability import breaker, dead_letters, quota
from worker.reliability.breaker import Rule
from worker.reliability.dead_letters import DeadLetter
from worker.telemetry import gauges, recording


def succeed(redis, task):
    attempt = recording.opened(
        redis,
        POLICY.recording,
        task_id=f"m-{task}",
        task=task,
        queue=POLICY.tasks[task].queue,
        worker="bg@here/7",
        enqueued_at=time.time() - 2,
        time_limit_s=70,
    )
    recording.closed(redis, POLICY.recording, attempt, Outcome.SUCCEEDED)


def sample(redis, name, label, value, *, age_s=0.0):
    at = time.time() - age_s
    gauges.append(redis, POLICY, [Sample(at=at, name=name, label=label, value=value)])


@pytest.fixture
def at_work(redis):
    """Both pools alive, every task succeeded a moment ago."""
    for pool in POLICY.pools.values():
        sample(redis, "children", pool.name, pool.children)
        sample(redis, "memory_mib", f"{pool.name}/parent", 40.0)
    for task in POLICY.tasks:
        succeed(redis, task)
    return redis


def found(redis):
    return {check.name: check for check in health.every(redis, POLICY)}


def status_of(redis, policy_set=""):
    return status.every(redis, POLICY, policy_set, service_now=time.time())


def park(redis, *, age_s):
    letter = DeadLetter(
        id="a",
        task="apns_worker",
        args=[],
        attempt=0,
        error="PermanentError",
        reason="Apple refused the key",
        parked_at=time.time() - age_s,
    )
    dead_letters.park(redis, letter, POLICY.recording)


def test_a_worker_at_work_is_healthy(at_work):
    assert [check for check in found(at_work).values() if not check.ok] == []


def test_a_silent_world_is_not_healthy(redis):
    bad = {name for name, check in found(redis).items() if not check.ok}

    assert bad == {
        *("pool_rt", "pool_bg", "task_gtfs_static_sync", "task_gtfs_rt_poller"),
        *("task_alert_matcher", "task_upkeep"),
    }
    assert all(found(redis)[name].fix for name in bad)


def test_a_pool_that_went_silent_is_named(at_work):
    at_work.flushall()
    sample(at_work, "children", "rt", 1.0, age_s=300)

    assert found(at_work)["pool_rt"].fix == "start it: python -m worker rt"


def test_a_firing_alarm_says_the_first_thing_to_do(at_work):
    for age_s in range(70, 0, -5):
        sample(at_work, "oldest_age_s", "critical", 40.0, age_s=age_s)
    name = f"{POLICY.broker.key_prefix}critical"
    at_work.lpush(name, '{"headers": {"enqueued_at": %f}}' % (time.time() - 40))

    check = found(at_work)["alarm_critical_waits"]

    assert not check.ok
    assert check.fix == POLICY.alarms["critical_waits"].action


@pytest.mark.parametrize(("ago_s", "ok"), [(250, True), (310, False)])
def test_a_matcher_that_fails_at_every_tick_raises_an_alarm(at_work, ago_s, ok):
    at_work.set(keys.last_success("alert_matcher"), time.time() - ago_s)

    assert found(at_work)["alarm_matching_has_stopped"].ok is ok


@pytest.mark.parametrize(("age_s", "ok"), [(60, False), (2 * 86_400, True)])
def test_only_young_dead_letters_are_a_reason_to_look(at_work, age_s, ok):
    park(at_work, age_s=age_s)

    assert found(at_work)["dead_letters"].ok is ok


def test_status_tells_tasks_queues_processes_and_letters(at_work):
    park(at_work, age_s=60)

    tables = {table.title: table for table in status_of(at_work)}

    (tasks,) = (t for title, t in tables.items() if title.startswith("Tasks"))
    matcher = next(r for r in tasks.as_dicts() if r["task"] == "alert_matcher")
    assert (matcher["attempts"], matcher["success_rate"]) == (1, 1.0)
    assert matcher["queue_wait_p95_s"] == pytest.approx(2, abs=1)
    assert [r["queue"] for r in tables["Queues"].as_dicts()] == list(POLICY.queues)
    assert tables["Processes"].rows[-1] == ("all", 80.0, None)
    assert "Apple refused the key" in tables["Dead letters: 1 kept"].markdown()


def test_status_tells_how_notifications_ended_and_how_soon_they_left(redis):
    now = time.time()
    ended = [
        Delivery(
            notification_id=f"{outcome}-{took_s}",
            published_at=now - 60,
            matched_at=now - 50,
            sent_at=None if took_s is None else now - 60 + took_s,
            arrived_at=None,
            outcome=outcome,
        )
        for outcome, took_s in (("sent", 10.0), ("sent", 12.0), ("expired", None))
    ]
    deliveries.append(redis, POLICY, ended[:1])
    deliveries.append(redis, POLICY, ended[1:])

    tables = {table.title: table for table in status_of(redis)}

    (pushes,) = (t for title, t in tables.items() if title.startswith("Notifications"))
    assert pushes.rows == [
        ("expired", 1, None, None),
        ("sent", 2, pytest.approx(11.0), pytest.approx(11.9)),
    ]


def test_status_says_how_each_feed_answered_and_what_holds_us_back(redis):
    now, rule = (
        time.time(),
        Rule(failures=1, open_s=30, open_max_s=30, probe_s=8, state_ttl_s=60),
    )
    answered = FeedState(asked_at=now, entities=7, outcome="html")
    store.remember(redis, {"buses_trips": answered}, POLICY.realtime)
    breaker.failed(redis, "buses_trips", rule, now_s=now)
    quota.take(redis, POLICY.quota, now_s=now, token="a", planned=lambda _: 10)
    quota.close(redis, POLICY.quota, "Account Over Quota Limit")
    quota.slow_down(redis, POLICY.quota)

    tables = {table.title: table for table in status_of(redis)}

    feeds = {row["feed"]: row for row in tables["Realtime feeds"].as_dicts()}
    assert set(feeds) == set(POLICY.feeds)
    assert feeds["buses_trips"] == {
        "feed": "buses_trips",
        "age_s": None,
        "entities": None,
        "last answer": "html",
        "breaker": "open",
    }
    (told,) = tables["Quota of Transport for NSW"].as_dicts()
    assert told == {
        "requests in 24 h": 10 * 96 + 1,
        "granted": 60_000,
        "pace": "halved",
        "stopped": "Account Over Quota Limit",
    }


def test_status_shows_a_varied_policy_first(redis):
    first = status_of(redis, "pools.bg.children=4")[0]

    assert first.title == "NOT THE DEPLOYED POLICY"
    assert first.rows == [("pools.bg.children=4",)]
