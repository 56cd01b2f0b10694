"""Rows are promises: claimed once, marked once, found again, ended in time."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from worker import keys
from worker.clients import postgres
from worker.notifications import deliveries, outbox, sweep
from worker.notifications.outbox import Mark
from worker.policy import POLICY, vary
from worker.records import Delivery

LINE = {"route_id": "T1"}
LEASE_S = POLICY.tasks["apns_worker"].time_limit_s + POLICY.push.claim_margin_s


@pytest.fixture
def role(database):
    """A connection in a role; commits at its end."""

    @contextmanager
    def connected(name="sender"):
        with postgres.connect(database.url, name, POLICY) as db:
            yield db

    return connected


@pytest.fixture
def waiting(riders, match, happens):
    """Makes notifications that wait; their ids and when they were made."""

    def make(count=1):
        everyone = [riders.one(LINE) for _ in range(count)]
        now = datetime.now(UTC)
        today = now.strftime("%Y%m%d")
        ids = match(happens.late(now, service_date=today), now=now).ids
        assert len(ids) == len(everyone)
        return ids, now.timestamp()

    return make


def states(riders):
    return [(row["state"], row["outcome"]) for row in riders.told()]


def claim(db, ids, now):
    outbox.give_up(db, ids, push=POLICY.push, now=now)
    return outbox.claim(db, ids, policy=POLICY, now=now)


def sent(claimed, now):
    return Mark(
        id=claimed.id,
        attempt=claimed.attempt,
        state="sent",
        outcome="sent",
        sent_at=now,
    )


def test_of_many_senders_one_gets_a_notification(waiting, role):
    ids, now = waiting(40)

    def take():
        with role() as db:
            return [row.id for row in claim(db, ids, now)]

    with ThreadPoolExecutor(4) as pool:
        taken = [run.result() for run in [pool.submit(take) for _ in range(8)]]

    assert sorted(id_ for ids_ in taken for id_ in ids_) == sorted(ids)


def test_a_claim_ends_by_itself_and_not_before(waiting, role):
    ids, now = waiting()
    with role() as db:
        first = claim(db, ids, now)
        early = claim(db, ids, now + LEASE_S - 1)
        later = claim(db, ids, now + LEASE_S + 1)

    assert [len(first), len(early), len(later)] == [1, 0, 1]
    assert later[0].apns_id == first[0].apns_id
    assert later[0].collapse_id == first[0].collapse_id
    assert later[0].attempt == 2


def test_what_was_sent_is_never_claimed_again(waiting, role, riders):
    ids, now = waiting()
    with role() as db:
        (row,) = claim(db, ids, now)
        outbox.mark(db, [sent(row, now)], now=now)

        assert claim(db, ids, now + 10 * LEASE_S) == []
    assert states(riders) == [("sent", "sent")]


def test_a_late_sender_may_say_sent_but_not_try_again(waiting, role, riders):
    ids, now = waiting()
    with role() as db:
        (slow,) = claim(db, ids, now)
        (other,) = claim(db, ids, now + LEASE_S + 1)
        again = Mark(id=slow.id, attempt=slow.attempt, state="new", outcome="Lost")
        outbox.mark(db, [again], now=now)
        held = claim(db, ids, now + LEASE_S + 2)
        outbox.mark(db, [sent(slow, now)], now=now)
        outbox.mark(db, [again], now=now)

    assert held == []
    assert other.attempt == 2
    assert states(riders) == [("sent", "sent")]


def test_what_may_be_tried_again_waits_its_time(waiting, role):
    ids, now = waiting()
    with role() as db:
        (row,) = claim(db, ids, now)
        retry = Mark(
            id=row.id, attempt=1, state="new", outcome="TooManyRequests", again_in_s=30
        )
        outbox.mark(db, [retry], now=now)

        assert claim(db, ids, now + 29) == []
        assert len(claim(db, ids, now + 31)) == 1


def test_a_poisonous_notification_is_given_up(waiting, role, riders):
    ids, now = waiting()
    with role() as db:
        for n in range(POLICY.push.max_attempts + 2):
            claim(db, ids, now + n * (LEASE_S + 1))

    assert states(riders) == [("failed", "gave up")]


def test_what_is_given_up_is_told_as_every_other_end(waiting, role, owner):
    ids, now = waiting(2)
    owner.execute(
        "update app.devices set disabled_at = now(), disabled_reason = 'Unregistered' "
        "where id = (select device_id from app.notifications where id = %s)",
        (ids[0],),
    )

    with role() as db:
        (ended,) = outbox.give_up(db, ids, push=POLICY.push, now=now)

    assert (ended.outcome, ended.sent_at, ended.arrived_at) == (
        "device gone",
        None,
        None,
    )


def test_an_unsent_one_has_cost_no_attempt(waiting, role):
    ids, now = waiting()
    with role() as db:
        for n in range(POLICY.push.max_attempts + 2):
            (row,) = claim(db, ids, now + n)
            unsent = Mark(
                id=row.id, attempt=row.attempt, state="new", outcome="x", unsent=True
            )
            outbox.mark(db, [unsent], now=now + n)

    assert row.attempt == 1


def test_a_phone_that_changed_hands_gets_nothing_of_its_last_rider(
    waiting, role, riders, owner
):
    ids, now = waiting(2)
    owner.execute(
        "update app.devices set user_id = gen_random_uuid() "
        "where id = (select device_id from app.notifications where id = %s)",
        (ids[0],),
    )

    with role() as db:
        taken = claim(db, ids, now)

    assert [row.id for row in taken] == ids[1:]
    assert states(riders)[0] == ("failed", "device gone")


@pytest.mark.parametrize(("registered_later_s", "disabled"), [(-1, 1), (1, 0)])
def test_a_token_dies_unless_it_was_registered_since(
    waiting, role, owner, registered_later_s, disabled
):
    ids, now = waiting()
    dead_since = now - 3600
    owner.execute(
        "update app.devices set registered_at = %s",
        (
            datetime.fromtimestamp(dead_since, UTC)
            + timedelta(seconds=registered_later_s),
        ),
    )
    with role() as db:
        (row,) = claim(db, ids, now)
        gone = Mark(
            id=row.id,
            attempt=1,
            state="failed",
            outcome="Unregistered",
            dead_since=dead_since,
        )
        count = outbox.mark(db, [gone], now=now)

    reasons = owner.execute("select disabled_reason from app.devices").fetchall()
    assert count == disabled
    assert reasons == [("Unregistered",)] if disabled else [(None,)]


def test_what_is_late_ends_and_is_never_sent(waiting, role, riders):
    ids, now = waiting(3)
    late = now + POLICY.push.expiry_s + 1
    with role() as db:
        assert claim(db, ids, late) == []
    with role("upkeep") as db:
        ended = sweep.expire(db, POLICY.push, now=late)
        nothing = sweep.expire(db, POLICY.push, now=late)

    assert [each.outcome for each in ended] == ["expired"] * 3
    assert nothing == []
    assert states(riders) == [("expired", "expired")] * 3


def test_a_claim_that_still_runs_does_not_expire(waiting, role, riders):
    ids, now = waiting()
    late = now + POLICY.push.expiry_s
    with role() as db:
        claim(db, ids, late - 1)
    with role("upkeep") as db:
        assert sweep.expire(db, POLICY.push, now=late + 1) == []
        assert len(sweep.expire(db, POLICY.push, now=late + LEASE_S)) == 1


def test_a_lost_message_is_noticed_once_in_a_while(waiting, role):
    ids, now = waiting(5)
    after = POLICY.push.hint_again_s
    with role("upkeep") as db:
        found = [
            sweep.forgotten_by_messages(db, POLICY.push, now=now + at)
            for at in (after - 1, after + 1, after + 2, 2 * after + 2)
        ]

    assert found == [[], ids, [], ids]


def test_a_deep_queue_is_not_made_deeper(redis):
    policy = vary(POLICY, "push.queue_limit", 3)
    published = []

    def publish(task, ids):
        published.append((task, ids))
        redis.rpush(f"{policy.broker.key_prefix}normal", "a message")

    first = outbox.enqueue(redis, publish, range(1000), policy)
    second = outbox.enqueue(redis, publish, range(1000), policy)

    assert [len(ids) for _, ids in published] == [100, 100, 100]
    assert {task for task, _ in published} == {"apns_worker"}
    assert (first, second) == (700, 1000)


def test_redis_keeps_what_became_of_notifications_for_minutes_alone(redis):
    ended = Delivery(
        notification_id="a",
        published_at=1.0,
        matched_at=2.0,
        sent_at=None,
        arrived_at=None,
        outcome="expired",
    )
    grace_s = POLICY.recording.reader_grace_s
    now_ms = int(time.time() * 1000)
    for age_s in (2 * grace_s, grace_s - 60):
        redis.xadd(keys.DELIVERIES, {"batch": "[]"}, id=now_ms - age_s * 1000)

    deliveries.append(redis, POLICY, [ended])

    kept = [deliveries.parsed(fields) for _, fields in redis.xrange(keys.DELIVERIES)]
    assert kept == [[], [ended]]


def test_old_notifications_and_dead_devices_are_forgotten(waiting, role, owner):
    waiting(2)
    days = POLICY.matching.kept_days
    owner.execute(
        f"update app.notifications set matched_at = now() - interval '{days + 1} days' "
        "where id = (select min(id) from app.notifications)".encode()
    )
    with role("upkeep") as db:
        forgotten = sweep.forget(db, kept_days=days, limit=100)

    assert forgotten == 1
    assert owner.execute("select count(*) from app.notifications").fetchone() == (1,)
