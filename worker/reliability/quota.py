"""What may still be asked of Transport for NSW, counted for all processes in Redis.

Two limits: requests in any second, and requests in any 24 hours. The day's count is
kept by quarter hours, the oldest of them counts whole. Without it (Redis was wiped)
counting goes on from what the plan spends in a day, never from zero.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from redis import Redis

from worker import keys
from worker.errors import RateLimitedError
from worker.policy.feeds import DAY_S, QUARTER_S, Quota

_QUARTERS = DAY_S // QUARTER_S
_TTL_S = DAY_S + 3600
_TOKENS_TTL_S = 2

# Times are kept as strings: Lua cuts the decimals of a number it returns.
_TAKE = """
local now = tonumber(ARGV[1])
local closed = redis.call('GET', KEYS[3])
if closed then return {'closed', closed} end
if redis.call('EXISTS', KEYS[2]) == 0 then return {'missing', ''} end
local quarter = math.floor(now / tonumber(ARGV[8]))
local spent = 0
local counts = redis.call('HGETALL', KEYS[2])
for i = 1, #counts, 2 do
  if tonumber(counts[i]) >= quarter - tonumber(ARGV[7]) then
    spent = spent + tonumber(counts[i + 1])
  else
    redis.call('HDEL', KEYS[2], counts[i])
  end
end
if spent >= tonumber(ARGV[3]) then return {'spent', tostring(spent)} end
local second = tonumber(ARGV[6])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - second)
local taken = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
local tokens = tonumber(ARGV[2])
if redis.call('EXISTS', KEYS[4]) == 1 then tokens = math.max(1, tokens / 2) end
if #taken / 2 >= math.floor(tokens) then
  local oldest = tonumber(taken[#taken + 2 - 2 * math.floor(tokens)])
  return {'wait', tostring(math.max(oldest + second - now, 0.005))}
end
redis.call('ZADD', KEYS[1], ARGV[1], ARGV[4])
redis.call('EXPIRE', KEYS[1], 2)
redis.call('HINCRBY', KEYS[2], quarter, 1)
redis.call('EXPIRE', KEYS[2], ARGV[5])
return {'granted', tostring(spent + 1)}
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Grant:
    """The answer to a wish to send one request.

    ``wait_s``: ask again then, when it is not ``granted`` now; None when no request
    may be sent for a longer time, ``reason`` says why.
    """

    granted: bool
    wait_s: float | None = None
    reason: str = ""


Planned = Callable[[datetime], float]
"""Requests that the plan sends in the quarter hour that begins then."""


def take(
    redis: Redis, quota: Quota, *, now_s: float, token: str, planned: Planned
) -> Grant:
    """Take one request from the second and from the day, or learn why not.

    ``token`` names the request. ``planned`` fills a missing count.
    """
    what, value = _take(redis, quota, now_s, token)
    if what == "missing":
        resume(redis, now_s=now_s, planned=planned)
        what, value = _take(redis, quota, now_s, token)
    if what == "granted":
        return Grant(granted=True)
    if what == "wait":
        return Grant(granted=False, wait_s=float(value))
    if what == "spent":
        return Grant(granted=False, reason=f"{value} requests in 24 hours")
    return Grant(granted=False, reason=value)


def take_turn(
    redis: Redis,
    quota: Quota,
    *,
    planned: Planned,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> str:
    """Wait until one request may be sent; the token that stands for it.

    Raises RateLimitedError when none may be sent for a longer time.
    """
    token = secrets.token_hex(8)
    while True:
        grant = take(redis, quota, now_s=clock(), token=token, planned=planned)
        if grant.granted:
            return token
        if grant.wait_s is None:
            raise RateLimitedError(
                f"Transport for NSW is not asked for now: {grant.reason}",
                retry_after_s=float(quota.closed_s),
            )
        sleep(grant.wait_s)


def _take(redis: Redis, quota: Quota, now_s: float, token: str) -> tuple[str, str]:
    answer: list[Any] = redis.register_script(_TAKE)(
        keys=[
            keys.QUOTA_TOKENS,
            keys.QUOTA_SPENT,
            keys.QUOTA_CLOSED,
            keys.QUOTA_SLOWED,
        ],
        args=[
            repr(now_s),
            quota.per_s,
            quota.stop_at,
            token,
            _TTL_S,
            quota.second_s,
            _QUARTERS,
            QUARTER_S,
        ],
    )
    return answer[0].decode(), answer[1].decode()


def sent(redis: Redis, token: str, *, now_s: float) -> None:
    """The request left only now: its second begins now, not when it was granted."""
    pipeline = redis.pipeline()
    pipeline.zadd(keys.QUOTA_TOKENS, {token: now_s})
    pipeline.expire(keys.QUOTA_TOKENS, _TOKENS_TTL_S)
    pipeline.execute()


def resume(redis: Redis, *, now_s: float, planned: Planned) -> None:
    """Begin a missing count with what the plan spent in the last 24 hours."""
    this = int(now_s) // QUARTER_S
    counts = {
        str(quarter): round(planned(datetime.fromtimestamp(quarter * QUARTER_S, UTC)))
        for quarter in range(this - _QUARTERS, this)
    }
    counts[str(this)] = 0
    pipeline = redis.pipeline()
    for quarter, count in counts.items():
        pipeline.hsetnx(keys.QUOTA_SPENT, quarter, count)
    pipeline.expire(keys.QUOTA_SPENT, _TTL_S)
    pipeline.execute()


def spent(redis: Redis, *, now_s: float) -> int:
    """Requests of the last 24 hours; 0 when nothing was counted yet."""
    first = int(now_s) // QUARTER_S - _QUARTERS
    counts = redis.hgetall(keys.QUOTA_SPENT)
    return sum(int(n) for quarter, n in counts.items() if int(quarter) >= first)


def close(redis: Redis, quota: Quota, reason: str) -> None:
    """Stop all requests for ``quota.closed_s``: the day is spent, we were told."""
    redis.set(keys.QUOTA_CLOSED, reason, ex=quota.closed_s)


def slow_down(redis: Redis, quota: Quota) -> None:
    """Halve the pace for ``quota.slow_down_s``: we were told to."""
    redis.set(keys.QUOTA_SLOWED, 1, ex=quota.slow_down_s)


def condition(redis: Redis) -> tuple[str, bool]:
    """Why no request may be sent (empty: it may), and whether the pace is halved."""
    stored = cast(list[bytes], redis.mget(keys.QUOTA_CLOSED, keys.QUOTA_SLOWED))
    closed, slowed = stored
    return (closed or b"").decode(), bool(slowed)
