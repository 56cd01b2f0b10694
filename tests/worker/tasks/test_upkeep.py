"""Upkeep's steps on real servers: each when it is due, none in another's way."""

from dataclasses import replace

import psycopg
import pytest

from worker import keys
from worker.clients import postgres
from worker.env import Settings
from worker.errors import TransientError
from worker.policy import POLICY, vary
from worker.records import Outcome
from worker.tasks import upkeep as room
from worker.tasks.upkeep import STEPS, upkeep
from worker.tasks.world import world
from worker.telemetry import recording
from worker.timetable.names import LAYOUT


def publish(*_message):
    raise AssertionError("nothing is to be published here")


@pytest.fixture
def here(redis_url, database_url):
    settings = Settings(redis_url=redis_url, database_url=database_url)
    yield replace(world(POLICY, settings, publish), publish=lambda *_: None)
    postgres.close_all()


def leave_a_record(world_here):
    attempt = recording.opened(
        world_here.redis,
        POLICY.recording,
        task_id="m",
        task="alert_matcher",
        queue="normal",
        worker="bg@here/7",
        enqueued_at=None,
        time_limit_s=70,
    )
    recording.closed(world_here.redis, POLICY.recording, attempt, Outcome.SUCCEEDED)


def kept(world_here, table):
    with world_here.postgres("upkeep") as db:
        return db.execute(f"select count(*) from ops.{table}".encode()).fetchone()[0]


def test_every_step_of_the_policy_is_known_and_the_other_way_round():
    assert set(STEPS) == set(POLICY.upkeep)


def test_upkeep_moves_records_and_reads_gauges(here):
    leave_a_record(here)

    detail = upkeep(here)

    assert detail["flushed"] == 3  # opened, closed, the gauges of this very tick
    assert kept(here, "task_records") == 1
    assert kept(here, "samples") == detail["samples"] > 2 * len(POLICY.queues)


def test_a_step_is_taken_once_a_period(here, monkeypatch):
    taken = []
    monkeypatch.setitem(STEPS, "retention", lambda *_: taken.append(1) or {})

    upkeep(here)
    upkeep(here)

    assert taken == [1]


def test_upkeep_can_run_twice(here):
    leave_a_record(here)

    upkeep(here)
    here.redis.delete(*(keys.upkeep_step(name) for name in STEPS))
    upkeep(here)

    assert kept(here, "task_records") == 1


def test_one_failing_step_does_not_stop_the_others(here, monkeypatch):
    def fails(*_):
        raise TransientError("the moon is in the way")

    leave_a_record(here)
    monkeypatch.setitem(STEPS, "gauges", fails)

    with pytest.raises(TransientError, match="gauges: the moon is in the way"):
        upkeep(here)

    assert kept(here, "task_records") == 1


def test_a_failed_step_is_due_again_at_the_next_tick(here, monkeypatch):
    answers = [TransientError("not now"), None]

    def second_time_lucky(*_):
        if error := answers.pop(0):
            raise error
        return {"lucky": 1}

    monkeypatch.setitem(STEPS, "retention", second_time_lucky)
    with pytest.raises(TransientError):
        upkeep(here)

    assert upkeep(here)["lucky"] == 1


def test_gauges_do_not_wait_for_postgresql(redis_url):
    settings = Settings(
        redis_url=redis_url, database_url="postgresql://u@127.0.0.1:1/d"
    )
    here = world(POLICY, settings, publish)

    with pytest.raises(TransientError, match="flush_records"):
        upkeep(here)

    assert here.redis.xlen(keys.SAMPLES) == 1


def test_old_rows_leave_and_young_ones_stay(here):
    with here.postgres("upkeep") as db:
        db.execute(
            "insert into ops.samples select now() - make_interval(days => age), "
            "'depth', 'normal', 1 from unnest(array[0, 1, 30, 31, 32]) as age"
        )
    few = vary(POLICY, "recording.forget_batch", 2)

    with here.postgres("upkeep") as db:
        first = room.retention.forget(db, few.recording)
        second = room.retention.forget(db, few.recording)

    assert (first, second) == (2, 1)
    assert kept(here, "samples") == 2


def test_a_slow_statement_costs_a_step_its_budget_and_no_more(here):
    row = POLICY.upkeep["flush_records"]

    with here.postgres("upkeep") as db:
        room._limit_statements(db, row)
        (limit,) = db.execute("show statement_timeout").fetchone()

    assert limit == f"{row.budget_s:g}s"


class Sent(list):
    def __call__(self, *message):
        self.append(message)


@pytest.fixture
def sending(here):
    sent = Sent()
    return replace(here, publish=sent), sent


def load_a_timetable(world_here, *, checked_days_ago):
    with world_here.postgres("loader") as db:
        db.execute(
            "create table gtfs.version as select 'v1' as version, %s as layout, "
            "now() as loaded_at, now() - make_interval(days => %s) as checked_at, "
            "null::timestamptz as rejected_at, '[]'::jsonb as bundles, "
            "'{}'::jsonb as result",
            (LAYOUT, checked_days_ago),
        )


def reconcile(world_here):
    return STEPS["reconcile_sync"](world_here, POLICY.upkeep["reconcile_sync"])


@pytest.mark.parametrize("days", [None, 2], ids=["none is loaded", "it is overdue"])
def test_an_overdue_timetable_is_asked_for(sending, days):
    world_here, sent = sending
    if days is not None:
        load_a_timetable(world_here, checked_days_ago=days)

    reconcile(world_here)

    assert sent == [("gtfs_static_sync",)]


def test_a_timetable_of_today_is_left_alone(sending):
    world_here, sent = sending
    load_a_timetable(world_here, checked_days_ago=0)

    assert reconcile(world_here) == {"sync_due": False}
    assert sent == []


@pytest.mark.parametrize("sign", [keys.lease("timetable"), "q:batch"])
def test_a_sync_that_waits_or_runs_is_not_asked_for_again(sending, sign):
    world_here, sent = sending
    if sign.startswith("q:"):
        world_here.redis.lpush(sign, '{"headers": {}}')
    else:
        world_here.redis.set(sign, "holder")

    reconcile(world_here)

    assert sent == []


def insert_notifications(database, *, waits, late):
    """Of one rider: ``waits`` whose message was lost, ``late`` that are expired."""
    with psycopg.connect(database.admin_url) as admin:
        (device,) = admin.execute(
            "insert into app.devices (user_id, token, environment) "
            "values (gen_random_uuid(), repeat('ab', 32), 'production') returning id"
        ).fetchone()
        for place in range(waits + late):
            expires_in_s = 600 if place < waits else -1
            admin.execute(
                "insert into app.notifications (user_id, device_id, bucket, kind, "
                "route_id, stop_id, trip_id, service_date, delay_s, collapse_id, "
                "published_at, matched_at, due_at, hinted_at, expires_at) select "
                "user_id, id, %s, 'delay', 'r', 's', 't', current_date, 900, 'c', "
                "now(), now(), now() - interval '1 min', now() - interval '1 min', "
                "now() + make_interval(secs => %s) from app.devices where id = %s",
                (place, expires_in_s, device),
            )


def test_notifications_whose_message_was_lost_are_hinted_at_again(sending, database):
    world_here, sent = sending
    insert_notifications(database, waits=3, late=2)

    detail = STEPS["sweep_outbox"](world_here, POLICY.upkeep["sweep_outbox"])

    assert detail == {"swept": 3, "expired": 2}
    ((task, ids),) = sent
    assert (task, len(ids)) == ("apns_worker", 3)
    again = STEPS["sweep_outbox"](world_here, POLICY.upkeep["sweep_outbox"])
    assert again == {"swept": 0, "expired": 0}
