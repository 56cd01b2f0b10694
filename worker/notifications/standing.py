"""How we stand with Apple: what all senders share in Redis about it."""

from collections.abc import Sequence
from typing import cast

from redis import Redis

from worker import keys
from worker.notifications.outcomes import Verdict
from worker.policy import Policy


def paused(redis: Redis) -> str | None:
    """Why all senders rest; None when they do not."""
    reason = cast(bytes | None, redis.get(keys.APNS_PAUSED))
    return None if reason is None else reason.decode()


def pause(redis: Redis, policy: Policy, reason: str) -> None:
    """Let all senders rest for ``push.paused_s``: the rows wait."""
    redis.set(keys.APNS_PAUSED, reason[:200], ex=policy.push.paused_s)


def is_vouched(redis: Redis, name: str) -> bool:
    """Whether Apple has accepted a push of late to ``name``, an address and topic."""
    return bool(redis.exists(keys.apns_vouched(name)))


def note(
    redis: Redis, policy: Policy, name: str, judged: Sequence[Verdict | None]
) -> None:
    """Keep what a batch's answers say of ``name``, and how many were our mistake."""
    if Verdict.SENT in judged:
        redis.set(keys.apns_vouched(name), 1, ex=policy.push.vouched_s)
    mistakes = judged.count(Verdict.BUG)
    if mistakes:
        with redis.pipeline() as pipe:
            pipe.incrby(keys.APNS_MISTAKES, mistakes)
            pipe.expire(keys.APNS_MISTAKES, policy.recording.reader_grace_s)
            pipe.execute()
