"""Every Redis key: what it holds, how long it lives, who writes it, who reads it.

The contract with the API and with whoever looks into Redis. A key is built by a
function of this module and nowhere else, and every key has a time to live. Celery's
own keys are the broker's and carry the prefix ``policy.broker.key_prefix``.
Longer than 250 lines because every row is written out.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Key:
    """One row of the contract; ``pattern`` names the parts in braces."""

    pattern: str
    type: str
    ttl: str
    writer: str
    reader: str
    holds: str


TASK_RECORDS = "records:tasks"
SAMPLES = "records:samples"
DELIVERIES = "records:deliveries"
DEAD_LETTERS = "dead"
DEAD_LETTERS_UNSAVED = "dead:unsaved"


def slot(task: str, slot: int) -> str:
    """The guard of one tick: who runs it."""
    return f"slot:{task}:{slot}"


def lease(name: str) -> str:
    """The lease of a long job: its owner's token."""
    return f"lease:{name}"


def attempts(task_id: str) -> str:
    """How many attempts a message has had, redeliveries included."""
    return f"attempts:{task_id}"


def open_attempt(task_id: str) -> str:
    """The attempt that is running now, as the parent needs it to close it."""
    return f"attempt:{task_id}"


def flushed(stream: str) -> str:
    """The id of the last entry of a stream that PostgreSQL has."""
    return f"flushed:{stream}"


def dead_letter(letter_id: str) -> str:
    """One parked attempt."""
    return f"dead:letter:{letter_id}"


def upkeep_step(step: str) -> str:
    """Set while a step of upkeep is not due again."""
    return f"upkeep:{step}"


def last_success(task: str) -> str:
    """When a task last succeeded, epoch seconds."""
    return f"success:{task}"


def live(feed: str, part: str) -> str:
    """One part of what the last good message of a feed said; see ``LIVE_PARTS``."""
    return f"live:{feed}:{part}"


FEED_STATES = "feeds:states"
GENERATION_WANTED = "generation:wanted"
GENERATION_MATCHED = "generation:matched"
NUDGED = "generation:nudged"
QUOTA_TOKENS = "quota:tokens"
QUOTA_SPENT = "quota:spent"
QUOTA_CLOSED = "quota:closed"
QUOTA_SLOWED = "quota:slowed"


def breaker(name: str) -> str:
    """The shared breaker of one dependency."""
    return f"breaker:{name}"


def breaker_probe(name: str) -> str:
    """Set while one process probes a half open breaker."""
    return f"breaker:{name}:probe"


APNS_PAUSED = "apns:paused"
APNS_MISTAKES = "apns:mistakes"


def apns_vouched(name: str) -> str:
    """Set while Apple is known to accept pushes to this address and topic."""
    return f"apns:vouched:{name}"


def apns_token(key_id: str) -> str:
    """The provider token that all senders share."""
    return f"apns:token:{key_id}"


def apns_signing(key_id: str) -> str:
    """Set while one process signs the next provider token."""
    return f"apns:signing:{key_id}"


_LIVE_TTL = "realtime.live_ttl_s, renewed while the feed says the same"

LIVE_PARTS: dict[str, tuple[str, str]] = {
    "meta": ("hash", "header timestamp, size, digest and some routes"),
    "routes": ("hash", "route_id -> a FeedMessage with the route's entities"),
    "trips": ("hash", "trip_id -> route_id"),
    "stops": ("hash", "trip updates: bucket -> times; alerts: stop_id -> FeedMessage"),
    "cells": ("hash", "square of the map -> a FeedMessage with its vehicles"),
    "all": ("hash", "alerts: one field, the whole FeedMessage"),
    "delays": ("string", "worst delays as JSON, one list a column"),
    "significant": ("string", "which delays are significant, since when"),
}

KEYS: tuple[Key, ...] = (
    *(
        Key(
            pattern=f"live:{{feed}}:{part}",
            type=type_,
            ttl=_LIVE_TTL,
            writer="gtfs_rt_poller, replaced in one transaction",
            reader="worker.realtime.read: the API, alert_matcher",
            holds=holds,
        )
        for part, (type_, holds) in LIVE_PARTS.items()
    ),
    Key(
        pattern=FEED_STATES,
        type="hash",
        ttl="realtime.state_ttl_s",
        writer="gtfs_rt_poller",
        reader="gtfs_rt_poller, status",
        holds="feed -> when it was asked, when it changed, why it was refused",
    ),
    Key(
        pattern=GENERATION_WANTED,
        type="string",
        ttl="realtime.state_ttl_s",
        writer="gtfs_rt_poller",
        reader="gtfs_rt_poller, alert_matcher",
        holds="how many times a new significant delay was seen",
    ),
    Key(
        pattern=GENERATION_MATCHED,
        type="string",
        ttl="realtime.state_ttl_s",
        writer="alert_matcher, after its commit",
        reader="gtfs_rt_poller",
        holds="the generation that riders were told of",
    ),
    Key(
        pattern=NUDGED,
        type="string",
        ttl="realtime.nudge_s",
        writer="gtfs_rt_poller",
        reader="gtfs_rt_poller",
        holds="set while a nudge is under way",
    ),
    Key(
        pattern=QUOTA_TOKENS,
        type="sorted set",
        ttl="2 s",
        writer="quota",
        reader="quota",
        holds="requests of the last second by the time they were granted",
    ),
    Key(
        pattern=QUOTA_SPENT,
        type="hash",
        ttl="25 h",
        writer="quota",
        reader="quota, status",
        holds="quarter hour of the epoch -> requests sent in it",
    ),
    Key(
        pattern=QUOTA_CLOSED,
        type="string",
        ttl="until requests may be sent again",
        writer="quota",
        reader="quota, status",
        holds="why no feed is asked",
    ),
    Key(
        pattern=QUOTA_SLOWED,
        type="string",
        ttl="quota.slow_down_s",
        writer="quota",
        reader="quota, gtfs_rt_poller",
        holds="set while requests are sent at half the pace",
    ),
    Key(
        pattern="breaker:{name}",
        type="hash",
        ttl="realtime.state_ttl_s",
        writer="breaker",
        reader="breaker, status",
        holds="failures in a row, and until when it is open",
    ),
    Key(
        pattern="breaker:{name}:probe",
        type="string",
        ttl="the total deadline of a tick",
        writer="breaker",
        reader="breaker",
        holds="who probes",
    ),
    Key(
        pattern="slot:{task}:{slot}",
        type="string",
        ttl="the later of the tick's period and its expiry, twice",
        writer="the shell",
        reader="the shell",
        holds="the id of the message that runs this tick",
    ),
    Key(
        pattern="lease:{name}",
        type="string",
        ttl="recording.lease_ttl_s, renewed",
        writer="the holder",
        reader="the holder, status",
        holds="the owner's token",
    ),
    Key(
        pattern="attempts:{task_id}",
        type="string",
        ttl="recording.attempt_ttl_s",
        writer="recording",
        reader="recording",
        holds="attempts so far, redeliveries included",
    ),
    Key(
        pattern="attempt:{task_id}",
        type="string",
        ttl="recording.attempt_ttl_s",
        writer="recording, in the child",
        reader="recording, in the parent",
        holds="the running attempt as JSON",
    ),
    Key(
        pattern=TASK_RECORDS,
        type="stream",
        ttl="recording.stream_ttl_s, recording.stream_cap entries",
        writer="recording",
        reader="flush, load tests",
        holds="attempts, opened and closed",
    ),
    Key(
        pattern=SAMPLES,
        type="stream",
        ttl="recording.stream_ttl_s, recording.stream_cap entries",
        writer="gauges",
        reader="flush, load tests",
        holds="readings of gauges",
    ),
    Key(
        pattern=DELIVERIES,
        type="stream",
        ttl="recording.reader_grace_s an entry, push.deliveries_cap entries",
        writer="apns_worker, upkeep",
        reader="status",
        holds="what became of notifications of late, one entry a batch",
    ),
    Key(
        pattern=APNS_PAUSED,
        type="string",
        ttl="push.paused_s",
        writer="apns_worker",
        reader="apns_worker, status",
        holds="why no sender speaks to Apple",
    ),
    Key(
        pattern=APNS_MISTAKES,
        type="string",
        ttl="recording.reader_grace_s after the last",
        writer="apns_worker",
        reader="gauges, status",
        holds="how many pushes Apple did not take as we made them",
    ),
    Key(
        pattern="apns:vouched:{address}/{topic}",
        type="string",
        ttl="push.vouched_s",
        writer="apns_worker",
        reader="apns_worker",
        holds="set since Apple accepted a push there: a foreign token is the phone's",
    ),
    Key(
        pattern="apns:token:{key_id}",
        type="string",
        ttl="push.token_life_s",
        writer="apns_worker",
        reader="apns_worker",
        holds="the provider token and when it was signed, as JSON",
    ),
    Key(
        pattern="apns:signing:{key_id}",
        type="string",
        ttl="5 s",
        writer="apns_worker",
        reader="apns_worker",
        holds="set while one process signs",
    ),
    Key(
        pattern="flushed:{stream}",
        type="string",
        ttl="recording.stream_ttl_s",
        writer="flush",
        reader="flush",
        holds="id of the last entry that PostgreSQL has",
    ),
    Key(
        pattern="success:{task}",
        type="string",
        ttl="recording.stream_ttl_s",
        writer="recording",
        reader="gauges, status",
        holds="epoch seconds of the last success",
    ),
    Key(
        pattern="dead:letter:{id}",
        type="string",
        ttl="recording.dead_letter_ttl_s",
        writer="the shell",
        reader="`python -m worker dead`, flush",
        holds="what failed for good, why, and its arguments, as JSON",
    ),
    Key(
        pattern=DEAD_LETTERS,
        type="sorted set",
        ttl="recording.dead_letter_ttl_s, recording.dead_letter_cap letters",
        writer="the shell",
        reader="`python -m worker dead`, status",
        holds="ids of dead letters by the time they were parked",
    ),
    Key(
        pattern=DEAD_LETTERS_UNSAVED,
        type="set",
        ttl="recording.dead_letter_ttl_s",
        writer="the shell",
        reader="flush",
        holds="ids of dead letters that PostgreSQL does not have yet",
    ),
    Key(
        pattern="upkeep:{step}",
        type="string",
        ttl="the step's period",
        writer="upkeep",
        reader="upkeep",
        holds="1 while the step is not due",
    ),
)
