"""The sweep: a lost message is sent again, a late notification ends."""

import time
from collections.abc import Callable

from redis import Redis

from worker.clients.postgres import Connection
from worker.notifications import deliveries, outbox
from worker.policy import Policy
from worker.records import Detail


def sweep_outbox(
    db: Connection, redis: Redis, publish: Callable[..., None], policy: Policy
) -> Detail:
    """Expire what is late and enqueue what waits without a message; commits.

    How often it runs does not matter: a notification is enqueued again only when
    ``push.hint_again_s`` has passed since the last time.
    """
    now = time.time()
    expired = outbox.expire(db, policy.push, now=now)
    ids = outbox.forgotten_by_messages(db, policy.push, now=now)
    db.commit()
    deliveries.append(redis, policy, expired)
    left = outbox.enqueue(redis, publish, ids, policy)
    return Detail(expired=len(expired), swept=len(ids) - left)
