"""A breaker per dependency, shared by all processes through Redis.

Closed while requests succeed; open for a while after failures in a row, longer each
time; then half open: one process may try, and its outcome decides.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from redis import Redis

from worker import keys

State = Literal["closed", "open", "half_open"]

_FAIL = """
local failures = redis.call('HINCRBY', KEYS[1], 'failures', 1)
redis.call('EXPIRE', KEYS[1], ARGV[6])
redis.call('DEL', KEYS[2])
local opened = tonumber(redis.call('HGET', KEYS[1], 'opened') or 0)
if opened == 0 and failures < tonumber(ARGV[2]) then return 0 end
local pause = math.min(tonumber(ARGV[3]) * 2 ^ opened, tonumber(ARGV[4]))
pause = math.max(pause, tonumber(ARGV[5]))
redis.call('HSET', KEYS[1], 'opened', opened + 1, 'until', ARGV[1] + pause)
return pause
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """When a breaker opens and for how long, in seconds; doubled up to ``open_max_s``.

    ``probe_s``: how long one process may take for the try that decides.
    """

    failures: int
    open_s: int
    open_max_s: int
    probe_s: int
    state_ttl_s: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Breaker:
    """One dependency's breaker as read at one moment."""

    state: State
    failures: int
    until: float


def read(redis: Redis, names: Iterable[str], *, now_s: float) -> dict[str, Breaker]:
    """The breakers of some dependencies by name, in one round trip."""
    names = list(names)
    pipeline = redis.pipeline(transaction=False)
    for name in names:
        pipeline.hmget(keys.breaker(name), "failures", "until")
    return {
        name: _breaker(*stored, now_s=now_s)
        for name, stored in zip(names, pipeline.execute(), strict=True)
    }


def _breaker(failures: bytes | None, until: bytes | None, *, now_s: float) -> Breaker:
    ends = float(until or 0)
    state: State = "closed"
    if ends:
        state = "open" if now_s < ends else "half_open"
    return Breaker(state=state, failures=int(failures or 0), until=ends)


def admit(redis: Redis, name: str, breaker: Breaker, rule: Rule) -> bool:
    """Whether a request may be sent; when half open, to one process at a time."""
    if breaker.state == "half_open":
        return bool(redis.set(keys.breaker_probe(name), 1, nx=True, ex=rule.probe_s))
    return breaker.state == "closed"


def succeeded(redis: Redis, name: str) -> None:
    """Close the breaker."""
    redis.delete(keys.breaker(name), keys.breaker_probe(name))


def failed(
    redis: Redis, name: str, rule: Rule, *, now_s: float, retry_after_s: float = 0.0
) -> float:
    """Count a failure; the seconds for which the breaker is open now, 0 if closed.

    What the other side asked for with Retry-After is the least pause.
    """
    pause = redis.register_script(_FAIL)(
        keys=[keys.breaker(name), keys.breaker_probe(name)],
        args=[
            now_s,
            rule.failures,
            rule.open_s,
            rule.open_max_s,
            retry_after_s,
            rule.state_ttl_s,
        ],
    )
    return float(pause)
