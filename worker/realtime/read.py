"""The door of the API and of the matcher to realtime data; needs Redis alone.

Every function is one round trip. ``as_of`` tells how old an answer is: the newest
header timestamps under which the feeds said so, in epoch seconds of the service clock.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from google.transit.gtfs_realtime_pb2 import (
    FeedEntity,
    FeedMessage,
    TripUpdate,
    VehiclePosition,
)
from redis import Redis

from worker import keys
from worker.policy import POLICY
from worker.policy.feeds import Kind
from worker.realtime import delays, places
from worker.realtime.alerts import Alert, alert_of
from worker.realtime.calls import StopTime, calls_at
from worker.realtime.delays import Delay

_SOME_TIME = 1 << 62

# One round trip, in which no feed is replaced: each feed's timestamp and the slice of
# the route or, if KEYS name the hash of trips too, of the trip's route.
_OF_ROUTE = """
local found = {}
for i = 1, #KEYS, 2 do
  found[i] = redis.call('HGET', KEYS[i + 1], ARGV[1]) or ''
  found[i + 1] = redis.call('HGET', KEYS[i], 'timestamp') or '0'
end
return found
"""
_OF_TRIP = """
local found = {}
for i = 1, #KEYS, 3 do
  local route = redis.call('HGET', KEYS[i + 1], ARGV[1])
  found[#found + 1] = route and redis.call('HGET', KEYS[i + 2], route) or ''
  found[#found + 1] = redis.call('HGET', KEYS[i], 'timestamp') or '0'
end
return found
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Live:
    """What the realtime feeds say of one route or trip."""

    trip_updates: list[TripUpdate]
    vehicles: list[VehiclePosition]
    as_of: dict[str, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Freshness:
    """How good the held data of one feed is."""

    feed: str
    timestamp: int
    entities: int

    def age_s(self, now_s: float) -> float:
        """Seconds since Transport for NSW made it; ``now_s`` is service time."""
        return now_s - self.timestamp

    def stale(self, now_s: float) -> bool:
        """Whether the policy calls it too old to be shown as live."""
        return self.age_s(now_s) > POLICY.feeds[self.feed].stale_s


def freshness(redis: Redis) -> dict[str, Freshness]:
    """Of every feed that is held, by name."""
    pipeline = redis.pipeline(transaction=False)
    for feed in POLICY.feeds:
        pipeline.hmget(keys.live(feed, "meta"), "timestamp", "entities")
    held = zip(POLICY.feeds, pipeline.execute(), strict=True)
    return {
        feed: Freshness(feed=feed, timestamp=int(at), entities=int(entities))
        for feed, (at, entities) in held
        if at is not None
    }


def core_is_fresh(redis: Redis, *, now_s: float) -> bool:
    """Whether any of the feeds that most riders need is live; service time."""
    held = freshness(redis)
    core = (feed.name for feed in POLICY.feeds.values() if feed.rank == 0)
    return any(name in held and not held[name].stale(now_s) for name in core)


def route(redis: Redis, route_id: str) -> Live:
    """Every trip update and vehicle of a route; empty when nothing is live."""
    feeds = _feeds("trip_updates", "vehicle_positions")
    names = [keys.live(feed, part) for feed in feeds for part in ("meta", "routes")]
    found = redis.register_script(_OF_ROUTE)(keys=names, args=[route_id])
    return _live(feeds, found, lambda _: True)


def trip(redis: Redis, trip_id: str) -> Live:
    """The trip update and the vehicle of a trip; empty when nothing is live."""
    feeds = _feeds("trip_updates", "vehicle_positions")
    parts = ("meta", "trips", "routes")
    names = [keys.live(feed, part) for feed in feeds for part in parts]
    found = redis.register_script(_OF_TRIP)(keys=names, args=[trip_id])
    return _live(feeds, found, lambda of: of == trip_id)


def stop(redis: Redis, stop_id: str) -> list[StopTime]:
    """Every call at a stop that is predicted, soonest first; unknown times last."""
    limits = POLICY.realtime
    field = places.stop_bucket(stop_id.encode(), limits.stop_buckets)
    pipeline = redis.pipeline(transaction=False)
    for feed in _feeds("trip_updates"):
        pipeline.hget(keys.live(feed, "stops"), str(field))
    buckets = filter(None, pipeline.execute())
    found = (call for bucket in buckets for call in calls_at(stop_id, bucket))
    return sorted(found, key=lambda call: call.expected_at or _SOME_TIME)


def vehicles_near(
    redis: Redis, latitude: float, longitude: float, radius_m: float
) -> list[VehiclePosition]:
    """Vehicles within ``radius_m`` of a place, nearest first.

    Raises ValueError for a radius beyond the policy's ``realtime.near_limit_m``: it is
    what a client of the API may ask for.
    """
    if not 0 <= radius_m <= POLICY.realtime.near_limit_m:
        raise ValueError(
            f"radius_m is {radius_m:g}: between 0 and {POLICY.realtime.near_limit_m} "
            "metres are read at once"
        )
    edge = POLICY.realtime.cell_degrees
    squares = list(places.cells_near(latitude, longitude, radius_m, edge))
    pipeline = redis.pipeline(transaction=False)
    for feed in _feeds("vehicle_positions"):
        pipeline.hmget(keys.live(feed, "cells"), squares)
    near: list[tuple[float, int, VehiclePosition]] = []
    for slice_ in (each for found in pipeline.execute() for each in found if each):
        for entity in FeedMessage.FromString(slice_).entity:
            at = entity.vehicle.position
            metres = places.metres(latitude, longitude, (at.latitude, at.longitude))
            if metres <= radius_m:
                near.append((metres, len(near), entity.vehicle))
    return [vehicle for *_, vehicle in sorted(near)]


def alerts(redis: Redis) -> list[Alert]:
    """Every service alert."""
    return _alerts(redis, [("all", "")])


def alerts_for(
    redis: Redis, *, route_id: str | None = None, stop_id: str | None = None
) -> list[Alert]:
    """Alerts that name the route or the stop, and those that name neither."""
    wanted = [("routes", "")]
    wanted += [("routes", route_id)] if route_id else []
    wanted += [("stops", stop_id)] if stop_id else []
    return _alerts(redis, wanted)


def worst_delays(redis: Redis) -> list[Delay]:
    """Of every feed: the worst delay for each route at each stop, and each trip's."""
    return [row for packed in _delays(redis) for row in delays.unpack(packed)]


def worst_delays_in_columns(redis: Redis) -> list[dict[str, list[Any]]]:
    """The same, a feed an element, one list a field of ``Delay``: for thousands."""
    return [delays.columns(packed) for packed in _delays(redis)]


def generation(redis: Redis) -> tuple[int, int]:
    """How often a new significant delay was seen, and up to which riders were told."""
    wanted, matched = redis.mget(keys.GENERATION_WANTED, keys.GENERATION_MATCHED)
    return int(wanted or 0), int(matched or 0)


def mark_matched(redis: Redis, generation: int) -> None:
    """Say, after the commit, that riders were told up to ``generation``."""
    pipeline = redis.pipeline()
    pipeline.set(keys.GENERATION_MATCHED, generation, ex=POLICY.realtime.state_ttl_s)
    pipeline.delete(keys.NUDGED)
    pipeline.execute()


def _delays(redis: Redis) -> list[bytes]:
    names = [keys.live(feed, "delays") for feed in _feeds("trip_updates")]
    stored = cast(list[bytes | None], redis.mget(names))
    return [packed for packed in stored if packed]


def _feeds(*kinds: Kind) -> list[str]:
    return [feed.name for feed in POLICY.feeds.values() if feed.kind in kinds]


def _live(
    feeds: Iterable[str], found: Sequence[bytes], wanted: Callable[[str], bool]
) -> Live:
    """``found``: a slice and a timestamp for each feed; both empty or 0 without any."""
    live = Live(trip_updates=[], vehicles=[], as_of={})
    for feed, slice_, timestamp in zip(feeds, found[::2], found[1::2], strict=True):
        if not slice_:
            continue
        message = FeedMessage.FromString(slice_)
        live.as_of[feed] = int(timestamp)
        of_trips = POLICY.feeds[feed].kind == "trip_updates"
        for entity in message.entity:
            if of_trips and wanted(entity.trip_update.trip.trip_id):
                live.trip_updates.append(entity.trip_update)
            elif not of_trips and wanted(entity.vehicle.trip.trip_id):
                live.vehicles.append(entity.vehicle)
    return live


def _alerts(redis: Redis, wanted: list[tuple[str, str]]) -> list[Alert]:
    pipeline = redis.pipeline(transaction=False)
    for feed in _feeds("alerts"):
        for part, field in wanted:
            pipeline.hget(keys.live(feed, part), field)
    # The same one from several parts is one; two that share an id are two.
    entities: dict[bytes, FeedEntity] = {}
    for slice_ in filter(None, pipeline.execute()):
        for entity in FeedMessage.FromString(slice_).entity:
            entities.setdefault(entity.SerializePartialToString(), entity)
    return [alert_of(entity) for entity in entities.values()]
