"""The guard of a tick: each slot of a task is run by one message.

Two beats, a restart, a redelivery and a deploy overlap all name a slot alike, so the
first message that claims it runs and every other one is told that it need not.
"""

from redis import Redis

from worker import keys


def claim(redis: Redis, task: str, slot: int, message_id: str, *, ttl_s: int) -> bool:
    """Whether this message may run the slot.

    The message that claimed it first may come back (its child was killed and Celery
    tries again under the same id); any other is refused for ``ttl_s`` seconds.
    """
    key = keys.slot(task, slot)
    if redis.set(key, message_id, nx=True, ex=ttl_s):
        return True
    holder = redis.get(key)
    return holder == message_id.encode()


def ttl_s(period_s: int, expires_s: int) -> int:
    """Long enough to outlive every message of a slot: twice the longer of both."""
    return 2 * max(period_s, expires_s)
