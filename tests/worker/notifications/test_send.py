"""Sending to Apple's double, through every kind of answer and every kind of death."""

import signal
import time
from collections import Counter
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from celery.exceptions import SoftTimeLimitExceeded

from worker import keys
from worker.clients import postgres, token
from worker.clients.apns import Apns
from worker.clients.token import SigningKey
from worker.errors import PermanentError, TransientError
from worker.notifications import deliveries, outcomes
from worker.notifications.outcomes import Verdict
from worker.notifications.send import Sender
from worker.notifications.sweep import sweep_outbox
from worker.policy import POLICY
from worker.telemetry import gauges

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def sender(world, database, redis):
    """A sender to the double, over a connection of its own."""
    there = world.environment
    apns = Apns(
        there["APNS_BASE_URL"],
        there["APNS_TOPIC"],
        Path(there["APNS_CA_FILE"]),
        POLICY.push,
    )
    yield Sender(
        policy=POLICY,
        redis=redis,
        postgres=lambda role: postgres.connect(database.url, role, POLICY),
        apns=apns,
        key=SigningKey(
            pem=there["APNS_KEY"],
            key_id=there["APNS_KEY_ID"],
            team_id=there["APNS_TEAM_ID"],
        ),
    )
    apns.close()


def break_apple(apple, kind, value=None, duration_s=60):
    fault = {"target": "apns", "kind": kind, "duration_s": duration_s}
    apple.post(
        "/faults", json=fault if value is None else {**fault, "value": value}
    ).raise_for_status()


def refuse(apple, status, reason, **more):
    value = {"status": status, "reason": reason, "share": 1.0, **more}
    break_apple(apple, "status", value)


def open_connections(world):
    """How many this process has to the double."""
    port = urlsplit(world.environment["APNS_BASE_URL"]).port
    every = psutil.Process().net_connections("tcp")
    return sum(bool(each.raddr) and each.raddr.port == port for each in every)


def disabled(owner):
    """Why each disabled device is."""
    rows = owner.execute(
        "select disabled_reason from app.devices where disabled_at is not null"
    ).fetchall()
    return [reason for (reason,) in rows]


def states(riders):
    return Counter((row["state"], row["outcome"]) for row in riders.told())


def free_all(owner):
    """What waits for its time or for a lease to end is due now."""
    owner.execute("update app.notifications set due_at = now() - interval '1 second'")


def test_a_batch_arrives_once_under_its_own_ids(
    sender, waiting, riders, redis, arrived
):
    ids = waiting(30)

    said = sender.send(ids)
    again = sender.send(ids)

    rows = {str(row["apns_id"]): row for row in riders.told()}
    pushes = arrived()
    assert said == {"claimed": 30, "sent": 30}
    assert again == {"claimed": 0}
    assert {each["apns_id"] for each in pushes} == set(rows)
    assert len(pushes) == 30
    assert all(p["collapse_id"] == rows[p["apns_id"]]["collapse_id"] for p in pushes)
    assert all(row["title"] == "Your line: 10 min late" for row in rows.values())
    assert states(riders) == {("sent", "sent"): 30}
    ((_, fields),) = redis.xrange(keys.DELIVERIES)
    told = deliveries.parsed(fields)
    assert {each.notification_id for each in told} == set(rows)
    assert all(each.published_at <= each.matched_at <= each.sent_at for each in told)


@pytest.mark.parametrize(
    ("status", "reason"), [(410, "Unregistered"), (400, "BadDeviceToken")]
)
def test_a_dead_token_is_disabled_and_never_tried_again(
    sender, waiting, riders, owner, apple, status, reason, arrived
):
    ids = waiting(3)
    refuse(apple, status, reason)

    sender.send(ids)
    free_all(owner)
    sender.send(ids)

    assert states(riders) == {("failed", reason): 3}
    assert disabled(owner) == [reason] * 3
    assert len(arrived()) == 3


ANSWERS = [row for row in outcomes.TABLE if row.status and row.reason]
AFTERWARDS = {
    Verdict.DEAD: ("failed", 1),
    Verdict.BUG: ("failed", 0),
    Verdict.LATER: ("new", 0),
    Verdict.STOP: ("new", 0),
    Verdict.RENEW: ("new", 0),
}


@pytest.mark.parametrize("row", ANSWERS, ids=lambda row: f"{row.status} {row.reason}")
def test_each_answer_of_apple_does_to_row_and_device_what_the_table_says(
    sender, waiting, riders, owner, apple, redis, row, arrived
):
    ids = waiting(2)
    redis.set(keys.apns_vouched(sender.apns.name), 1)
    refuse(apple, row.status, row.reason)
    alarms = (Verdict.BUG, Verdict.STOP, Verdict.RENEW)

    with pytest.raises(PermanentError) if row.verdict in alarms else nullcontext():
        sender.send(ids)

    state, dead = AFTERWARDS[row.verdict]
    stops = row.verdict in (Verdict.STOP, Verdict.RENEW)
    asked = 1 if stops else 2
    assert [each["state"] for each in riders.told()] == [state] * 2
    assert [each["outcome"] for each in riders.told()][:asked] == [row.reason] * asked
    assert disabled(owner) == [row.reason] * 2 * dead
    assert len(arrived()) == asked
    assert bool(redis.exists(keys.APNS_PAUSED)) is stops


@pytest.mark.parametrize("reason", ["Shutdown", "IdleTimeout"])
def test_a_connection_that_apple_is_leaving_is_not_used_again(
    sender, waiting, owner, apple, world, reason
):
    ids = waiting(1)
    refuse(apple, 503 if reason == "Shutdown" else 400, reason)

    sender.send(ids)

    assert open_connections(world) == 0
    apple.delete("/faults")
    free_all(owner)
    assert sender.send(ids) == {"claimed": 1, "sent": 1}
    assert open_connections(world) == 1


@pytest.mark.parametrize(("registered_later_s", "dead"), [(-60, 1), (60, 0)])
def test_a_token_lives_when_its_phone_registered_after_apples_timestamp(
    sender, waiting, riders, owner, apple, registered_later_s, dead
):
    ids = waiting(1)
    since = time.time() - 3_600
    owner.execute(
        "update app.devices set registered_at = to_timestamp(%s)",
        (since + registered_later_s,),
    )
    refuse(apple, 410, "Unregistered", timestamp=int(since * 1000))

    sender.send(ids)

    assert states(riders) == {("failed", "Unregistered"): 1}
    assert disabled(owner) == ["Unregistered"] * dead


MANY = POLICY.push.disbelieved_from


@pytest.mark.parametrize(
    ("reason", "many"),
    [
        ("BadDeviceToken", MANY),
        ("DeviceTokenNotForTopic", MANY),
        ("DeviceTokenNotForTopic", 1),
    ],
)
def test_an_apple_that_knows_nobody_is_doubted_before_the_phones_are(
    sender, waiting, riders, owner, apple, redis, reason, many
):
    ids = waiting(many)
    refuse(apple, 400, reason)

    with pytest.raises(PermanentError, match=f"none of {many} devices.*APNS_TOPIC"):
        sender.send(ids)
    paused = sender.send(ids)

    assert reason in paused["paused"]
    assert states(riders) == {("new", reason): many}
    assert {row["attempts"] for row in riders.told()} == {0}
    assert disabled(owner) == []
    apple.delete("/faults")
    redis.delete(keys.APNS_PAUSED)
    free_all(owner)
    assert sender.send(ids) == {"claimed": many, "sent": many}


@pytest.mark.parametrize("reason", ["BadDeviceToken", "DeviceTokenNotForTopic"])
def test_no_number_of_foreign_phones_stops_a_sender_whom_apple_knows(
    sender, waiting, riders, owner, apple, redis, reason
):
    ids = waiting(MANY + 1)
    sender.send(ids[:1])
    refuse(apple, 400, reason)

    said = sender.send(ids[1:])

    assert said == {"claimed": MANY, reason: MANY, "devices_disabled": MANY}
    assert disabled(owner) == [reason] * MANY
    assert not redis.exists(keys.APNS_PAUSED)
    assert 0 < redis.ttl(keys.apns_vouched(sender.apns.name)) <= POLICY.push.vouched_s


def test_a_topic_that_apple_has_accepted_does_not_vouch_for_another(
    sender, waiting, owner, apple, world
):
    ids = waiting(2)
    sender.send(ids[:1])
    where = sender.apns.name.partition("/")[0]
    moved = replace(sender, apns=Apns(
        f"https://{where}", "au.example.other",
        Path(world.environment["APNS_CA_FILE"]), POLICY.push,
    ))  # fmt: skip
    refuse(apple, 400, "DeviceTokenNotForTopic")

    with pytest.raises(PermanentError, match="none of 1 devices"):
        moved.send(ids[1:])
    moved.apns.close()

    assert disabled(owner) == []


@pytest.mark.parametrize(
    ("status", "reason"), [(429, "TooManyRequests"), (503, "ServiceUnavailable")]
)
def test_what_apple_puts_off_is_sent_later(
    sender, waiting, riders, owner, apple, status, reason
):
    ids = waiting(3)
    refuse(apple, status, reason)
    sender.send(ids)
    apple.delete("/faults")

    assert states(riders) == {("new", reason): 3}
    assert sender.send(ids) == {"claimed": 0}
    free_all(owner)
    assert sender.send(ids) == {"claimed": 3, "sent": 3}


def test_a_refused_provider_stops_all_senders_and_loses_nothing(
    sender, waiting, riders, owner, apple, redis, arrived
):
    ids = waiting(20)
    refuse(apple, 403, "InvalidProviderToken")

    with pytest.raises(PermanentError, match="InvalidProviderToken"):
        sender.send(ids)
    paused = sender.send(ids)

    assert "InvalidProviderToken" in paused["paused"]
    assert redis.ttl(keys.APNS_PAUSED) <= POLICY.push.paused_s
    assert len(arrived()) == 1
    assert owner.execute(
        "select count(*) from app.devices where disabled_at is not null"
    ).fetchone() == (0,)
    apple.delete("/faults")
    redis.delete(keys.APNS_PAUSED)
    free_all(owner)
    assert sender.send(ids) == {"claimed": 20, "sent": 20}


def test_senders_that_rest_raise_an_alarm(redis):
    alarm, now = POLICY.alarms["pushes_are_refused"], time.time()
    seen = {"quiet": gauges.of_pushes(redis, now=now)}
    redis.set(keys.APNS_PAUSED, "APNs refuses this provider", ex=60)
    seen["firing"] = [
        gauges.of_pushes(redis, now=now - ago_s)[0] for ago_s in (45, 30, 15, 0)
    ]

    assert {name: alarm.state(samples, now=now) for name, samples in seen.items()} == {
        name: name for name in seen
    }


def test_an_expired_provider_token_is_renewed_once(
    sender, waiting, riders, redis, world, arrived
):
    ids = waiting(5)
    old = token.current(redis, sender.key, POLICY.push, now=lambda: time.time() - 3_660)
    name = keys.apns_token(sender.key.key_id)
    redis.set(name, redis.get(name).replace(
        f'"issued_at": {old.issued_at}'.encode(),
        f'"issued_at": {time.time() - 1_300}'.encode(),
    ))  # fmt: skip

    assert sender.send(ids) == {"claimed": 5, "sent": 5}
    reasons = [each["reason"] for each in arrived()]
    assert reasons == ["ExpiredProviderToken"] + [""] * 5


def test_a_mistake_of_ours_fails_and_raises_an_alarm(
    sender, waiting, riders, apple, redis
):
    alarm, ids = POLICY.alarms["pushes_are_wrong"], waiting(2)

    def rings():
        now = time.time()
        return alarm.state(gauges.of_pushes(redis, now=now), now=now)

    before = rings()
    refuse(apple, 413, "PayloadTooLarge")

    with pytest.raises(PermanentError, match="PayloadTooLarge"):
        sender.send(ids)

    assert states(riders) == {("failed", "PayloadTooLarge"): 2}
    assert [before, rings()] == ["quiet", "firing"]
    assert redis.get(keys.APNS_MISTAKES) == b"2"
    assert 0 < redis.ttl(keys.APNS_MISTAKES) <= POLICY.recording.reader_grace_s


@pytest.mark.parametrize("kind", ["goaway", "cut"])
def test_a_connection_that_ended_is_replaced(sender, waiting, apple, kind, arrived):
    ids = waiting(40)

    sender.send(ids[:20])
    break_apple(apple, kind)
    said = sender.send(ids[20:])

    assert said == {"claimed": 20, "sent": 20}
    assert len(arrived()) == 40


def test_streams_that_are_reset_are_tried_again(sender, waiting, riders, owner, apple):
    ids = waiting(20)
    break_apple(apple, "reset", 1.0)
    sender.send(ids)
    apple.delete("/faults")
    assert states(riders) == {("new", "Reset"): 20}

    free_all(owner)
    assert sender.send(ids) == {"claimed": 20, "sent": 20}


def test_when_apple_cannot_be_reached_the_rows_are_free_at_once(
    sender, waiting, riders, world
):
    ids = waiting(3)
    away = Apns("https://127.0.0.1:1", "topic", None, POLICY.push)

    with pytest.raises(TransientError, match="cannot be reached"):
        Sender(
            policy=POLICY,
            redis=sender.redis,
            postgres=sender.postgres,
            apns=away,
            key=sender.key,
        ).send(ids)

    assert sender.send(ids) == {"claimed": 3, "sent": 3}


def test_a_sender_out_of_time_gives_back_what_never_left(sender, waiting, riders, deaf):
    ids, (host, port) = waiting(3), deaf
    away = replace(sender, apns=Apns(f"https://{host}:{port}", "t", None, POLICY.push))

    def out_of_time(signum, frame):
        raise SoftTimeLimitExceeded

    before = signal.signal(signal.SIGALRM, out_of_time)
    try:
        for _ in range(2):
            signal.setitimer(signal.ITIMER_REAL, 0.5)
            with pytest.raises(SoftTimeLimitExceeded):
                away.send(ids)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

    assert states(riders) == {("new", "unsent"): 3}
    assert {row["attempts"] for row in riders.told()} == {0}
    assert sender.send(ids) == {"claimed": 3, "sent": 3}


def test_a_certificate_that_is_not_apples_is_a_permanent_error(world):
    stranger = Apns(world.environment["APNS_BASE_URL"], "topic", None, POLICY.push)

    with pytest.raises(PermanentError, match="not trusted"):
        stranger.send([], "token", [None])


def test_the_sweep_finds_lost_messages_and_ends_what_is_late(
    sender, waiting, owner, redis
):
    waiting(5)
    owner.execute(
        "update app.notifications set hinted_at = now() - interval '1 minute'"
    )
    owner.execute(
        "update app.notifications set expires_at = now() - interval '1 second' "
        "where id = (select min(id) from app.notifications)"
    )
    published = []

    with sender.postgres("upkeep") as db:
        said = sweep_outbox(
            db, redis, lambda task, ids: published.append((task, len(ids))), POLICY
        )

    assert said == {"expired": 1, "swept": 4}
    assert published == [("apns_worker", 4)]
    ((_, fields),) = redis.xrange(keys.DELIVERIES)
    assert [each.outcome for each in deliveries.parsed(fields)] == ["expired"]
