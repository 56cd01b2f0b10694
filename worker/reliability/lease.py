"""A lease for the long job: one holder at a time, and proof at the commit.

Redis says who may start: a key with the owner's token, renewed by a thread and gone
``ttl_s`` after its owner died. PostgreSQL says who may finish: each holder takes the
next number of ``ops.leases``, and proves inside its commit transaction that no later
holder has taken another. A holder that was paused for longer than its lease can thus
still run, but it cannot commit.
"""

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from redis import Redis

from worker import keys
from worker.clients.postgres import Connection
from worker.errors import TransientError

# A key that nobody has is taken again: the fence decides whether that was too late,
# and a restarted Redis costs the holder nothing.
_EXTEND = """
local owner = redis.call('get', KEYS[1])
if owner == ARGV[1] or not owner then
    redis.call('set', KEYS[1], ARGV[1], 'px', ARGV[2])
    return 1
end
return 0
"""
_RELEASE = """
if redis.call('get', KEYS[1]) == ARGV[1] then
    return redis.call('del', KEYS[1])
end
return 0
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Lease:
    """What the holder has: its Redis token and its number in PostgreSQL."""

    name: str
    owner: str
    fence: int
    _gone: threading.Event = field(default_factory=threading.Event, repr=False)

    @property
    def lost(self) -> bool:
        """Whether a renewal found the key gone or another's."""
        return self._gone.is_set()

    def check(self) -> None:
        """Raise TransientError when the lease is known to be lost; costs nothing."""
        if self.lost:
            raise _taken_over(self.name)

    def prove(self, connection: Connection) -> None:
        """Hold the fence until the end of this transaction, or raise TransientError.

        To be called inside the transaction that makes the work visible: the row stays
        locked until the commit, so a later holder takes its number after it.
        """
        current = connection.execute(
            "SELECT 1 FROM ops.leases WHERE name = %s AND fence = %s FOR UPDATE",
            (self.name, self.fence),
        ).fetchone()
        if current is None:
            raise _taken_over(self.name)


@contextmanager
def held(
    redis: Redis,
    connection: Connection,
    name: str,
    *,
    ttl_s: float,
    renew_every_s: float,
) -> Iterator[Lease]:
    """Hold ``name`` for the block; raises TransientError when another holds it.

    The fence is raised and committed on ``connection`` at once. Leaving the block
    releases the lease only if it is still this owner's.
    """
    owner = secrets.token_hex(16)
    key = keys.lease(name)
    if not redis.set(key, owner, nx=True, px=int(ttl_s * 1000)):
        left_s = max(0, redis.pttl(key)) / 1000
        raise TransientError(
            f"another holder has the lease {name}, for {left_s:.0f} s if it is dead; "
            "this attempt left it alone"
        )
    stop = threading.Event()
    try:
        fence = _next_fence(connection, name, owner)
        lease = Lease(name=name, owner=owner, fence=fence)
        renewal = threading.Thread(
            target=_renew,
            args=(redis, lease, stop, ttl_s, renew_every_s),
            name=f"lease-{name}",
            daemon=True,
        )
        renewal.start()
        try:
            yield lease
        finally:
            stop.set()
            renewal.join()
    finally:
        with suppress(TransientError):  # it ends by itself after ttl_s
            redis.eval(_RELEASE, 1, key, owner)


def _next_fence(connection: Connection, name: str, owner: str) -> int:
    (fence,) = connection.execute(
        "INSERT INTO ops.leases AS mine (name, fence, owner, taken_at) "
        "VALUES (%s, 1, %s, now()) "
        "ON CONFLICT (name) DO UPDATE SET fence = mine.fence + 1, "
        "owner = excluded.owner, taken_at = excluded.taken_at "
        "RETURNING fence",
        (name, owner),
    ).fetchall()[0]
    connection.commit()
    return int(str(fence))


def _renew(
    redis: Redis,
    lease: Lease,
    stop: threading.Event,
    ttl_s: float,
    renew_every_s: float,
) -> None:
    """Extend until stopped; a failed call is tried again at the next turn."""
    key = keys.lease(lease.name)
    while not stop.wait(renew_every_s):
        try:
            kept = redis.eval(_EXTEND, 1, key, lease.owner, str(int(ttl_s * 1000)))
        except TransientError:
            continue
        if not kept:
            lease._gone.set()
            return


def _taken_over(name: str) -> TransientError:
    return TransientError(
        f"the lease {name} was taken over while this attempt held it; "
        "nothing of it was made visible"
    )
