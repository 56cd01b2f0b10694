"""The sweep: a lost message is sent again, a late notification ends, old ones go."""

import time
from collections.abc import Callable
from typing import Any, LiteralString

from psycopg.rows import class_row
from redis import Redis

from worker.clients.postgres import Connection
from worker.notifications import deliveries, outbox
from worker.notifications.outbox import ENDED, UNTOLD
from worker.policy import Policy
from worker.policy.notifications import Push
from worker.records import Delivery, Detail


def sweep_outbox(
    db: Connection, redis: Redis, publish: Callable[..., None], policy: Policy
) -> Detail:
    """Expire what is late and enqueue what waits without a message; commits.

    How often it runs does not matter: a notification is enqueued again only when
    ``push.hint_again_s`` has passed since the last time.
    """
    now = time.time()
    expired = expire(db, policy.push, now=now)
    ids = forgotten_by_messages(db, policy.push, now=now)
    db.commit()
    deliveries.append(redis, policy, expired)
    left = outbox.enqueue(redis, publish, ids, policy)
    return Detail(expired=len(expired), swept=len(ids) - left)


def expire(db: Connection, push: Push, *, now: float) -> list[Delivery]:
    """End what is too late to be sent, ``push.sweep_limit`` rows at most."""
    with db.cursor(row_factory=class_row(Delivery)) as cursor:
        values = {"now": now, "limit": push.sweep_limit}
        return cursor.execute(_EXPIRE, values).fetchall()


def forgotten_by_messages(db: Connection, push: Push, *, now: float) -> list[int]:
    """Ids that are due and whose message counts as lost, oldest first; they count as
    hinted at now. Commit, then enqueue them. ``push.sweep_limit`` at most.
    """
    values = {
        "now": now,
        "hint_again_s": push.hint_again_s,
        "limit": push.sweep_limit,
    }
    rows: list[tuple[Any, ...]] = db.execute(_HINT, values).fetchall()
    return sorted(row[0] for row in rows)


def forget(db: Connection, *, kept_days: int, limit: int) -> int:
    """Delete notifications older than that, and devices disabled as long; how many."""
    values = {"days": kept_days, "limit": limit}
    return (
        db.execute(_FORGET, values).rowcount
        + db.execute(_FORGET_DEVICES, values).rowcount
    )


_EXPIRE: LiteralString = (
    """
update app.notifications n
set state = 'expired', outcome = 'expired', collapse_id = """
    + UNTOLD
    + """
where n.id in (
    select id from app.notifications
    where state in ('new', 'sending') and due_at <= to_timestamp(%(now)s)
        and expires_at <= to_timestamp(%(now)s)
    order by due_at
    limit %(limit)s
    for update skip locked
)
returning """
    + ENDED
    + """, n.outcome
"""
)

_HINT: LiteralString = """
update app.notifications n
set hinted_at = to_timestamp(%(now)s)
where n.id in (
    select id from app.notifications
    where state in ('new', 'sending') and due_at <= to_timestamp(%(now)s)
        and hinted_at <= to_timestamp(%(now)s) - %(hint_again_s)s * interval '1 second'
    order by due_at
    limit %(limit)s
    for update skip locked
)
returning n.id
"""

_FORGET: LiteralString = """
delete from app.notifications where id in (
    select id from app.notifications
    where matched_at < now() - %(days)s * interval '1 day'
    limit %(limit)s
)
"""

_FORGET_DEVICES: LiteralString = """
delete from app.devices where id in (
    select id from app.devices
    where disabled_at < now() - %(days)s * interval '1 day'
    limit %(limit)s
)
"""
