"""What Redis holds of a feed: staged beside the live keys, then renamed as one."""

import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import cast

from redis import Redis

from worker import keys
from worker.errors import TransientError
from worker.policy.feeds import RealtimeLimits
from worker.realtime.accept import Held
from worker.realtime.cadence import FeedState
from worker.realtime.slices import Part

_PARTS = tuple(part for part in keys.LIVE_PARTS if part != "meta")
_STAGED_TTL_S = 60
_COMMIT = """
if tonumber(redis.call('HGET', KEYS[1], 'timestamp') or 0) > tonumber(ARGV[1])
  and ARGV[5] == '0' then return 0 end
local parts = cjson.decode(ARGV[6])
for i = 3, #KEYS, 2 do
  local kind = redis.call('TYPE', KEYS[i + 1]).ok
  local size = 0
  if kind == 'hash' then size = redis.call('HLEN', KEYS[i + 1]) end
  if kind == 'string' then size = redis.call('STRLEN', KEYS[i + 1]) end
  if size ~= parts[(i - 1) / 2] then return -1 end
end
for i = 3, #KEYS, 2 do
  redis.call('UNLINK', KEYS[i])
  if redis.call('EXISTS', KEYS[i + 1]) == 1 then
    redis.call('RENAME', KEYS[i + 1], KEYS[i])
    redis.call('EXPIRE', KEYS[i], ARGV[2])
  end
end
redis.call('UNLINK', KEYS[1])
redis.call('HSET', KEYS[1], unpack(ARGV, 7))
redis.call('EXPIRE', KEYS[1], ARGV[2])
if ARGV[4] ~= '0' then
  redis.call('INCR', KEYS[2])
  redis.call('EXPIRE', KEYS[2], ARGV[3])
end
return 1
"""
# KEYS: meta, the generation wanted, then live and staged in turn.
# ARGV: timestamp, TTL of live keys, TTL of the generation, new delays, whether an
# older message may replace the held one, the size of each staged part, then fields of
# meta and their values. -1: Redis was restarted or emptied since the first was staged.

_KEEP = """
if redis.call('HGET', KEYS[1], 'digest') ~= ARGV[1] then return 0 end
if tonumber(redis.call('HGET', KEYS[1], 'timestamp')) < tonumber(ARGV[2]) then
  redis.call('HSET', KEYS[1], 'timestamp', ARGV[2])
end
for i = 1, #KEYS do redis.call('EXPIRE', KEYS[i], ARGV[3]) end
return 1
"""
# KEYS: meta, then every other part. ARGV: digest, timestamp, TTL.


class Staged:
    """One message on its way into Redis; readers see it whole after ``commit``."""

    def __init__(self, redis: Redis, feed: str, limits: RealtimeLimits) -> None:
        self._redis = redis
        self._feed = feed
        self._limits = limits
        self._token = secrets.token_hex(4)
        self._sizes: dict[str, int] = {}

    def add(self, parts: Iterable[Part]) -> None:
        """Stage hashes; a part may come in pieces, each with fields of its own."""
        for part, fields in parts:
            if not fields:
                continue
            name = self._staged(part)
            # One transaction: a cut between the two would leave a key without TTL.
            pipeline = self._redis.pipeline()
            pipeline.hset(name, mapping=fields)  # type: ignore[arg-type]
            pipeline.expire(name, _STAGED_TTL_S)
            pipeline.execute()
            self._sizes[part] = self._sizes.get(part, 0) + len(fields)

    def put(self, part: str, value: bytes) -> None:
        """Stage a string."""
        self._redis.set(self._staged(part), value, ex=_STAGED_TTL_S)
        self._sizes[part] = len(value)

    def commit(self, held: Held, *, new: int = 0, rewind: bool = False) -> bool:
        """Replace every live part at once; False when a newer message came between.

        Raises TransientError, and leaves the live parts alone, when Redis has lost
        something of what was staged.

        ``new``: significant delays not seen before; with any, riders are to be told.
        ``rewind``: the message that is held comes from the future and may be replaced.
        """
        limits = self._limits
        names = [keys.live(self._feed, "meta"), keys.GENERATION_WANTED]
        for part in _PARTS:
            names += [keys.live(self._feed, part), self._staged(part)]
        fields = [each for pair in _meta(held).items() for each in pair]
        done = self._redis.register_script(_COMMIT)(
            keys=names,
            args=[
                held.timestamp,
                limits.live_ttl_s,
                limits.state_ttl_s,
                new,
                int(rewind),
                json.dumps([self._sizes.get(part, 0) for part in _PARTS]),
                *fields,
            ],
        )
        if done == -1:
            raise TransientError(
                f"Redis lost a part of {self._feed} before it was whole; what was held "
                "before stays, the next tick tries again"
            )
        return bool(done)

    def _staged(self, part: str) -> str:
        return f"{keys.live(self._feed, part)}:{self._token}"


def keep(redis: Redis, feed: str, held: Held, limits: RealtimeLimits) -> bool:
    """Let the held message live on: the feed said the same, at ``held.timestamp``.

    False when Redis does not hold it any more, or holds another one by now.
    """
    names = [keys.live(feed, part) for part in ("meta", *_PARTS)]
    kept = redis.register_script(_KEEP)(
        keys=names, args=[held.digest, held.timestamp, limits.live_ttl_s]
    )
    return bool(kept)


def held(redis: Redis, feeds: Iterable[str]) -> dict[str, Held]:
    """What is held of each feed, by name, in one round trip."""
    names = list(feeds)
    pipeline = redis.pipeline(transaction=False)
    for feed in names:
        pipeline.hgetall(keys.live(feed, "meta"))
    return {
        feed: _held(meta) for feed, meta in zip(names, pipeline.execute(), strict=True)
    }


def seen(redis: Redis, feed: str) -> bytes:
    """Since when each significant delay of a feed is known, for ``delays.find``."""
    return cast(bytes, redis.get(keys.live(feed, "significant")) or b"")


def states(redis: Redis) -> dict[str, FeedState]:
    """What earlier ticks saw of each feed, by name.

    What another release wrote beside it, before or after a deploy, is left out.
    """
    stored = cast(dict[bytes, bytes], redis.hgetall(keys.FEED_STATES))
    known = FeedState.__dataclass_fields__
    return {
        name.decode(): FeedState(
            **{key: value for key, value in json.loads(state).items() if key in known}
        )
        for name, state in stored.items()
    }


def remember(
    redis: Redis, states: Mapping[str, FeedState], limits: RealtimeLimits
) -> None:
    """Keep what this tick saw of some feeds."""
    if not states:
        return
    packed = {feed: json.dumps(asdict(state)) for feed, state in states.items()}
    pipeline = redis.pipeline()
    pipeline.hset(keys.FEED_STATES, mapping=packed)  # type: ignore[arg-type]
    pipeline.expire(keys.FEED_STATES, limits.state_ttl_s)
    pipeline.execute()


def _meta(held: Held) -> dict[str, str | int]:
    return {
        "timestamp": held.timestamp,
        "entities": held.entities,
        "digest": held.digest,
        "sketch": "\n".join(sorted(held.sketch)),
    }


def _held(meta: dict[bytes, bytes]) -> Held:
    if not meta:
        return Held()
    return Held(
        timestamp=int(meta[b"timestamp"]),
        entities=int(meta[b"entities"]),
        digest=meta[b"digest"].decode(),
        sketch=frozenset(meta[b"sketch"].decode().split("\n")) - {""},
    )
