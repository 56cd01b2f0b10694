"""A body on its way into Redis: judged, cut, and stored whole or not at all."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain

from redis import Redis
from xxhash import xxh3_64_hexdigest

from worker.policy.feeds import Feed, RealtimeLimits
from worker.realtime import accept, decode, plausible, significant, slices, store
from worker.realtime.accept import Held
from worker.realtime.envelope import Envelope, check_others, open_message, peek
from worker.realtime.significant import Significant
from worker.realtime.slices import Part
from worker.realtime.wire import Malformed


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """What became of a body.

    ``outcome``: "stored", "unchanged", or why it was refused. ``held``: what is held
    now. ``late_trips``: trips with a significant delay, of a stored message.
    ``implausible``: predictions of it that were left out.
    """

    outcome: str
    held: Held
    new_delays: int = 0
    late_trips: int = 0
    implausible: int = 0


def take(
    redis: Redis,
    feed: Feed,
    body: bytes,
    *,
    held: Held,
    now_s: float,
    limits: RealtimeLimits,
) -> Taken:
    """Store a body unless it is bad or says what the held one says.

    ``now_s`` is service time. Refusing is an outcome, not an error; a failing Redis
    raises TransientError and leaves the held message whole.
    """
    problem = accept.refuse_bytes(body)
    if problem:
        return Taken(outcome=problem, held=held)
    try:
        timestamp, body_from = peek(body)
        digest = xxh3_64_hexdigest(memoryview(body)[body_from:])
        if digest == held.digest and held.timestamp <= timestamp <= (
            now_s + limits.future_limit_s
        ):
            same = replace(held, timestamp=timestamp)
            if store.keep(redis, feed.name, same, limits):
                return Taken(outcome="unchanged", held=same)
        return _take(redis, feed, body, digest, held=held, now_s=now_s, limits=limits)
    except Malformed:
        return Taken(outcome="malformed", held=held)


def _take(
    redis: Redis,
    feed: Feed,
    body: bytes,
    digest: str,
    *,
    held: Held,
    now_s: float,
    limits: RealtimeLimits,
) -> Taken:
    message = open_message(body)
    content = _CONTENTS[feed.kind](message, limits)
    sketch = accept.sketch(content.route_ids)
    problem = accept.refuse_message(
        message,
        content.usable,
        sketch,
        feed=feed,
        held=held,
        now_s=now_s,
        limits=limits,
    )
    if problem:
        return Taken(outcome=problem, held=held)
    cut = content.cut()
    staged = store.Staged(redis, feed.name, limits)
    staged.add(cut.parts)
    found = None
    # A delay that is told late is not told: stale data moves nobody's phone.
    if cut.late is not None and now_s - message.timestamp <= feed.stale_s:
        found = cut.late(feed.name, store.seen(redis, feed.name))
        staged.put("delays", found.packed)
        staged.put("significant", found.seen)
    next_held = Held(
        timestamp=message.timestamp,
        entities=content.usable,
        digest=digest,
        sketch=sketch,
    )
    new = found.new if found else 0
    rewind = held.timestamp > now_s + limits.future_limit_s
    if not staged.commit(next_held, new=new, rewind=rewind):
        return Taken(outcome="older", held=held)
    return Taken(
        outcome="stored",
        held=next_held,
        new_delays=new,
        late_trips=found.late_trips if found else 0,
        implausible=cut.implausible,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Cut:
    """A message in parts; ``late``: what riders may be told, where delays are.

    ``implausible``: predictions that no part holds but the entity as it was sent.
    """

    parts: Iterator[Part]
    late: Callable[[str, bytes], Significant] | None = None
    implausible: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class _Content:
    """What a message of one kind holds, as far as it is judged, and how it is cut.

    ``usable``: entities of that kind. ``cut`` raises Malformed before it gives a part.
    """

    usable: int
    route_ids: list[bytes]
    cut: Callable[[], _Cut]


def _of_trip_updates(message: Envelope, limits: RealtimeLimits) -> _Content:
    trips, updates = decode.trip_updates(message)
    check_others(message, message.trip_updates)

    def cut() -> _Cut:
        times = decode.stop_times(message, updates)
        implausible = plausible.leave_out(times, message.timestamp, limits)
        stops = slices.stop_ids(message, times)

        def late(feed: str, seen: bytes) -> Significant:
            return significant.find(
                feed, message.timestamp, trips, times, stops, seen=seen, limits=limits
            )

        parts = chain(
            slices.by_route(message, trips),
            slices.by_trip(trips),
            slices.by_stop(trips, times, stops, limits),
        )
        return _Cut(parts=parts, late=late, implausible=implausible)

    return _Content(usable=len(trips), route_ids=trips.route_id, cut=cut)


def _of_vehicles(message: Envelope, limits: RealtimeLimits) -> _Content:
    trips, places = decode.vehicles(message)
    check_others(message, message.vehicles)

    def cut() -> _Cut:
        parts = chain(
            slices.by_route(message, trips),
            slices.by_trip(trips),
            slices.by_cell(message, trips, places, limits),
        )
        return _Cut(parts=parts)

    return _Content(usable=len(trips), route_ids=trips.route_id, cut=cut)


def _of_alerts(message: Envelope, _limits: RealtimeLimits) -> _Content:
    alerts = decode.alerts(message)
    check_others(message, message.alerts)

    def cut() -> _Cut:
        return _Cut(parts=slices.by_informed(message, alerts))

    return _Content(usable=len(alerts), route_ids=[], cut=cut)


_CONTENTS: dict[str, Callable[[Envelope, RealtimeLimits], _Content]] = {
    "trip_updates": _of_trip_updates,
    "vehicle_positions": _of_vehicles,
    "alerts": _of_alerts,
}
