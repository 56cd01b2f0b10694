"""Whether a message may replace the one that is held: bad data never does."""

from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

from worker.policy.feeds import Feed, RealtimeLimits
from worker.realtime.envelope import Envelope

SKETCH_SIZE = 64
_PROTOBUF_BEGINS = 0x0A
_SPACE = b" \t\r\n\xef\xbb\xbf"


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """The last good message of a feed, as far as the next is judged by it.

    ``timestamp`` is 0 when nothing is held; ``sketch`` are a few of its routes.
    """

    timestamp: int = 0
    entities: int = 0
    digest: str = ""
    sketch: frozenset[str] = frozenset()


def refuse_bytes(body: bytes) -> str | None:
    """Why these bytes cannot be a feed, without walking them."""
    if not body.strip(_SPACE):
        return "empty"
    if body[0] != _PROTOBUF_BEGINS:
        text = body.lstrip(_SPACE)[:1]
        return {b"<": "html", b"{": "json", b"[": "json"}.get(text, "not_protobuf")
    return None


def refuse_message(
    message: Envelope,
    usable: int,
    sketch: frozenset[str],
    *,
    feed: Feed,
    held: Held,
    now_s: float,
    limits: RealtimeLimits,
) -> str | None:
    """Why this message must not replace the held one; None when it may.

    ``usable``: entities of the feed's own kind. ``now_s`` is service time. A message
    that is much smaller than the held one, or that shares no route with it, is
    believed once the held one is stale: then it is the new truth.
    """
    if not message.timestamp:
        return "no_timestamp"
    if message.timestamp > now_s + limits.future_limit_s:
        return "future"
    if message.entities and not usable:
        return "wrong_kind"
    if held.timestamp > now_s + limits.future_limit_s:
        return None
    if message.timestamp < held.timestamp:
        return "older"
    if now_s - held.timestamp > feed.stale_s:
        return None
    if usable < limits.fewest_entities(held.entities):
        return "collapsed"
    if held.sketch and sketch and not held.sketch & sketch:
        return "other_routes"
    return None


def sketch(route_ids: Sequence[bytes]) -> frozenset[str]:
    """A few of the routes: of two messages of one feed mostly the same few."""
    names = sorted(set(route_ids) - {b""}, key=crc32)[:SKETCH_SIZE]
    return frozenset(name.decode(errors="replace") for name in names)
