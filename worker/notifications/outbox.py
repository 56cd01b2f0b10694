"""The outbox: rows that are promises, and messages that are only hints to them.

A claim is a lease: it ends by itself when the sender dies, and the sweep finds the row.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, LiteralString

from psycopg.rows import class_row
from redis import Redis

from worker.clients.broker import queue_depth
from worker.clients.postgres import Connection
from worker.policy import Policy
from worker.policy.notifications import Push
from worker.records import Delivery

TASK = "apns_worker"


@dataclass(frozen=True, kw_only=True, slots=True)
class Claimed:
    """A notification that this process may send until its claim ends.

    ``attempt`` counts from 1. ``expected_at`` is service time, the rest real time.
    """

    id: int
    apns_id: str
    device_token: str = field(repr=False)
    kind: str
    route_id: str
    stop_id: str
    trip_id: str
    service_date: date
    delay_s: int
    expected_at: datetime | None
    alert: dict[str, str] | None
    collapse_id: str
    published_at: float
    matched_at: float
    expires_at: float
    attempt: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """What became of a claimed notification.

    ``state``: sent, failed, or new to be tried again after ``again_in_s``; one that
    was ``unsent`` has cost no attempt. ``dead_since``: the device's token is void
    unless it was registered later, epoch seconds.
    """

    id: int
    attempt: int
    state: str
    outcome: str
    sent_at: float | None = None
    again_in_s: float = 0.0
    unsent: bool = False
    dead_since: float | None = None
    title: str = ""
    body: str = ""


def enqueue(
    redis: Redis, publish: Callable[..., None], ids: Sequence[int], policy: Policy
) -> int:
    """Publish one message a batch; how many ids were left to the sweep."""
    if not ids:
        return 0
    waiting = queue_depth(redis, policy.broker, policy.tasks[TASK].queue)
    batches = batches_of(ids, policy.push, waiting=waiting)
    for batch in batches:
        publish(TASK, batch)
    return len(ids) - sum(map(len, batches))


def batches_of(ids: Sequence[int], push: Push, *, waiting: int) -> list[list[int]]:
    """The ids of each message, where so many are ``waiting`` in the queue.

    Where ``push.queue_limit`` messages wait already none is added: more of them would
    not be read sooner.
    """
    room = max(0, push.queue_limit - waiting) * push.batch_size
    now = ids[:room]
    return [
        list(now[first : first + push.batch_size])
        for first in range(0, len(now), push.batch_size)
    ]


def give_up(
    db: Connection, ids: Sequence[int], *, push: Push, now: float
) -> list[Delivery]:
    """End what was tried too often, and what a device waits for that was disabled or
    has another rider now: it must get nothing of the last one's.
    """
    values = {"ids": list(ids), "now": now, "attempts": push.max_attempts}
    with db.cursor(row_factory=class_row(Delivery)) as cursor:
        return cursor.execute(_GIVE_UP, values).fetchall()


def claim(
    db: Connection, ids: Sequence[int], *, policy: Policy, now: float
) -> list[Claimed]:
    """Take what is due of these, until the task's hard limit and a margin have passed.

    What another process holds, has sent, or is not due, is left alone. ``give_up``
    comes first: it ends what is not worth a claim.
    """
    lease_s = policy.tasks[TASK].time_limit_s + policy.push.claim_margin_s
    values = {
        "ids": list(ids),
        "now": now,
        "lease_s": lease_s,
    }
    with db.cursor(row_factory=class_row(Claimed)) as cursor:
        return cursor.execute(_CLAIM, values).fetchall()


def mark(db: Connection, marks: Sequence[Mark], *, now: float) -> int:
    """Write what became of each, and disable void tokens; how many were disabled.

    A claim that has run out meanwhile is marked only by what is final.
    """
    columns = {name: [getattr(each, name) for each in marks] for name in Mark.__slots__}
    row = db.execute(_MARK, {**columns, "now": now}).fetchone()
    return 0 if row is None else int(row[0])  # type: ignore[call-overload]


def due(db: Connection, *, now: float, limit: int) -> list[int]:
    """Ids that may be claimed now, oldest first."""
    rows: list[tuple[Any, ...]] = db.execute(
        _DUE, {"now": now, "limit": limit}
    ).fetchall()
    return [row[0] for row in rows]


ENDED: LiteralString = """
    n.apns_id::text as notification_id,
    extract(epoch from n.published_at)::double precision as published_at,
    extract(epoch from n.matched_at)::double precision as matched_at,
    null as sent_at, null as arrived_at, '' as token"""
"""A row that ends unsent, as the columns of a Delivery; its outcome is the caller's."""

UNTOLD: LiteralString = "'untold ' || n.id"
"""The collapse id of a row that ended before its rider could hear of it, so that the
key told_once is free to tell it again; such a row is never claimed any more. What we
cannot send, and what gave up, keeps its own: the same again would end alike.
"""

_GIVE_UP: LiteralString = (
    """
update app.notifications n
set state = 'failed',
    outcome = case
        when n.attempts >= %(attempts)s then 'gave up' else 'device gone'
    end,
    collapse_id = case
        when n.attempts >= %(attempts)s then n.collapse_id else """
    + UNTOLD
    + """
    end
from app.devices d
where n.id = any(%(ids)s) and d.id = n.device_id
    and n.state in ('new', 'sending') and n.due_at <= to_timestamp(%(now)s)
    and (
        n.attempts >= %(attempts)s or d.disabled_at is not null
        or d.user_id <> n.user_id
    )
returning """
    + ENDED
    + """, n.outcome
"""
)

_CLAIM: LiteralString = """
update app.notifications n
set state = 'sending', attempts = n.attempts + 1,
    due_at = to_timestamp(%(now)s) + %(lease_s)s * interval '1 second'
from app.devices d
where n.id = any(%(ids)s) and d.id = n.device_id
    and n.state in ('new', 'sending') and n.due_at <= to_timestamp(%(now)s)
    and n.expires_at > to_timestamp(%(now)s)
    and d.disabled_at is null and d.user_id = n.user_id
returning
    n.id, n.apns_id::text as apns_id, d.token as device_token, n.kind, n.route_id,
    n.stop_id, n.trip_id, n.service_date, n.delay_s, n.expected_at, n.alert,
    n.collapse_id, n.attempts as attempt,
    extract(epoch from n.published_at)::double precision as published_at,
    extract(epoch from n.matched_at)::double precision as matched_at,
    extract(epoch from n.expires_at)::double precision as expires_at
"""

_MARK: LiteralString = (
    """
with said as (
    select * from unnest(
        %(id)s::bigint[], %(attempt)s::int[], %(state)s::text[], %(outcome)s::text[],
        %(sent_at)s::double precision[], %(again_in_s)s::double precision[],
        %(unsent)s::bool[], %(dead_since)s::double precision[], %(title)s::text[],
        %(body)s::text[]
    ) as s (
        id, attempt, state, outcome, sent_at, again_in_s, unsent, dead_since, title,
        body
    )
),
marked as (
    update app.notifications n
    set state = s.state, outcome = s.outcome, sent_at = to_timestamp(s.sent_at),
        title = s.title, body = s.body,
        due_at = to_timestamp(%(now)s + s.again_in_s),
        attempts = n.attempts - s.unsent::int,
        collapse_id = case
            when s.state = 'failed' and d.registered_at <= to_timestamp(s.dead_since)
            then """
    + UNTOLD
    + """
            else n.collapse_id
        end
    from said s, app.devices d
    where n.id = s.id and d.id = n.device_id and n.state <> 'sent'
        and (s.state = 'sent' or n.state = 'sending' and n.attempts = s.attempt)
),
gone as (
    update app.devices d
    set disabled_at = to_timestamp(%(now)s), disabled_reason = s.outcome
    from said s
    join app.notifications n on n.id = s.id
    where d.id = n.device_id and d.disabled_at is null
        and d.registered_at <= to_timestamp(s.dead_since)
    returning 1
)
select count(*) from gone
"""
)

_DUE: LiteralString = """
select id from app.notifications
where state in ('new', 'sending') and due_at <= to_timestamp(%(now)s)
    and expires_at > to_timestamp(%(now)s)
order by due_at, id
limit %(limit)s
"""
