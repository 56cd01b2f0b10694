"""A message cut into what one read asks for: a route, a trip, a stop, a place."""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple, TypeVar

import numpy as np
from google.transit.gtfs_realtime_pb2 import Alert
from numpy.typing import NDArray

from worker.policy.feeds import RealtimeLimits
from worker.realtime.calls import NUMBERS
from worker.realtime.decode import StopTimes, Trips
from worker.realtime.envelope import Envelope
from worker.realtime.places import cell
from worker.realtime.plausible import on_earth

T = TypeVar("T")
Part = tuple[str, Mapping[bytes, bytes]]
"""A part's name (see ``keys.LIVE_PARTS``) and some of its fields."""

# Few: what is packed for Redis at once is memory that the child never gives back.
_FIELDS_AT_ONCE = 256
_MIX = np.uint64(0x9E3779B97F4A7C15)
_TEXT_LIMIT = 64


class Ids(NamedTuple):
    """Ids as an array of texts of one width, and how wide that is."""

    texts: NDArray[np.bytes_]
    width: int


def ids(texts: Iterable[bytes]) -> Ids:
    """Ids of trips or routes; longer ones than 64 bytes are no ids and become empty."""
    array = np.array(
        [text if len(text) <= _TEXT_LIMIT else b"" for text in texts] or [b""], "S"
    )
    return Ids(array, array.dtype.itemsize)


def stop_ids(message: Envelope, times: StopTimes) -> Ids:
    """The stop of each row; empty where it is missing or longer than 64 bytes."""
    start, end = times.stop
    lengths = end - start
    lengths[lengths > _TEXT_LIMIT] = 0
    words = max(int(lengths.max(initial=1) + 7) // 8, 1)
    columns = np.zeros((len(start), words), np.uint64)
    for number in range(words):
        left = np.clip(lengths - 8 * number, 0, 8).astype(np.uint64)
        # A shift by 64 bits is not defined: eight bytes are kept by no shift at all.
        keep = np.where(
            left == 8,
            ~np.uint64(0),
            (np.uint64(1) << (left % 8 * np.uint64(8))) - np.uint64(1),
        )
        inside = np.minimum(start + 8 * number, message.wire.size)
        columns[:, number] = message.wire.words(inside) & keep
    width = 8 * words
    return Ids(columns.view(f"S{width}").ravel(), width)


def buckets(stops: Ids, count: int) -> NDArray[np.uint16]:
    """The bucket of each stop, as ``places.stop_bucket`` says."""
    words = stops.texts.view(np.uint64).reshape(len(stops.texts), stops.width // 8)
    mixed = np.zeros(len(words), np.uint64)
    for number in range(words.shape[1]):
        # A short id has no further words; mixing them in would change its bucket.
        more = words[:, number] != 0 if number else slice(None)
        mixed[more] = (mixed[more] ^ words[more, number]) * _MIX
    return ((mixed >> np.uint64(32)) % np.uint64(count)).astype(np.uint16)


def by_route(message: Envelope, trips: Trips) -> Iterator[Part]:
    """Each route's entities as a message of their own."""
    yield from _messages(
        "routes",
        message,
        zip(trips.route_id, trips.entity.tolist(), strict=True),
    )


def by_trip(trips: Trips) -> Iterator[Part]:
    """Each trip's route, which holds the trip."""
    pairs = dict(zip(trips.trip_id, trips.route_id, strict=True))
    pairs.pop(b"", None)
    yield from (("trips", chunk) for chunk in _chunks(pairs))


def by_stop(
    trips: Trips, times: StopTimes, stops: Ids, limits: RealtimeLimits
) -> Iterator[Part]:
    """Each bucket's rows: who calls at its stops, and when."""
    trip, route = ids(trips.trip_id), ids(trips.route_id)
    widths = bytes((stops.width, trip.width, route.width))
    row = np.dtype(
        [
            ("stop", stops.texts.dtype),
            ("trip", trip.texts.dtype),
            ("route", route.texts.dtype),
            *((name, f"<{code}") for name, code in NUMBERS),
        ]
    )
    rows = np.empty(len(times), row)
    rows["stop"] = stops.texts
    rows["trip"] = trip.texts[times.trip]
    rows["route"] = route.texts[times.trip]
    for name, _ in NUMBERS:
        rows[name] = getattr(times, name)
    bucket = buckets(stops, limits.stop_buckets)
    bucket[stops.texts == b""] = limits.stop_buckets
    order = np.argsort(bucket, kind="stable")
    edges = np.searchsorted(bucket[order], np.arange(limits.stop_buckets + 1))
    whole = rows.view(f"V{row.itemsize}")
    for first in range(0, limits.stop_buckets, _FIELDS_AT_ONCE):
        numbers = range(first, min(first + _FIELDS_AT_ONCE, limits.stop_buckets))
        at = edges[first : numbers.stop + 1]
        # Whole rows are moved at once: cheaper than ten columns from all over memory.
        moved = whole.take(order[at[0] : at[-1]]).view(np.uint8)
        packed = memoryview(moved)  # type: ignore[arg-type]
        ends = ((at - at[0]) * row.itemsize).tolist()
        yield (
            "stops",
            {
                b"%d" % number: widths + packed[start:end]
                for number, start, end in zip(numbers, ends, ends[1:], strict=False)
                if start < end
            },
        )


def by_cell(
    message: Envelope,
    trips: Trips,
    places: NDArray[np.float32],
    limits: RealtimeLimits,
) -> Iterator[Part]:
    """Each square of the map's vehicles as a message of their own."""
    placed = np.flatnonzero(on_earth(places))
    squares = [
        cell(latitude, longitude, limits.cell_degrees)
        for latitude, longitude in places[placed].tolist()
    ]
    entities = trips.entity[placed].tolist()
    yield from _messages("cells", message, zip(squares, entities, strict=True))


def by_informed(message: Envelope, alerts: Iterable[Alert]) -> Iterator[Part]:
    """Each route's and each stop's alerts; those that name neither under no id."""
    routes: list[tuple[bytes, int]] = []
    stops: list[tuple[bytes, int]] = []
    entities = np.flatnonzero(message.alerts.end).tolist()
    for alert, entity in zip(alerts, entities, strict=True):
        informed = alert.informed_entity
        named_routes = {e.route_id or e.trip.route_id for e in informed} - {""}
        named_stops = {e.stop_id for e in informed} - {""}
        routes += ((_encoded(each), entity) for each in named_routes)
        stops += ((_encoded(each), entity) for each in named_stops)
        if not named_routes and not named_stops:
            routes.append((b"", entity))
    yield from _messages("routes", message, routes)
    yield from _messages("stops", message, stops)
    yield from _messages("all", message, ((b"", each) for each in entities))


def _encoded(text: str | bytes) -> bytes:
    """The bytes of an id; the bindings leave those that are no text as they are."""
    return text if isinstance(text, bytes) else text.encode()


def _messages(
    part: str, message: Envelope, entities: Iterable[tuple[bytes, int]]
) -> Iterator[Part]:
    """Messages of the entities that share a key, copied a chunk at a time."""
    groups: dict[bytes, list[int]] = {}
    for key, entity in entities:
        groups.setdefault(key, []).append(entity)
    for chunk in _chunks(groups):
        yield part, {key: message.of(chosen) for key, chosen in chunk.items()}


def _chunks(fields: Mapping[bytes, T]) -> Iterator[dict[bytes, T]]:
    rows = list(fields.items())
    for first in range(0, len(rows), _FIELDS_AT_ONCE):
        yield dict(rows[first : first + _FIELDS_AT_ONCE])
