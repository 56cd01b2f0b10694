"""Which delays of a message riders may be told, and since when each is known."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_64_intdigest

from worker.policy.feeds import QUARTER_S, RealtimeLimits
from worker.policy.tasks import TIMEZONE
from worker.realtime import delays
from worker.realtime.calls import (
    ARRIVAL_DELAY,
    ARRIVAL_TIME,
    DEPARTURE_DELAY,
    DEPARTURE_TIME,
)
from worker.realtime.decode import StopTimes, Trips
from worker.realtime.slices import Ids

_SKIPPED, _NO_DATA = 1, 2
_KINDS = {3: "canceled", 7: "canceled", 5: "replaced"}
_PASSED_S = 60
_MIX = np.uint64(0x9E3779B97F4A7C15)
_MIX_AGAIN = np.uint64(0xC2B2AE3D27D4EB4F)
_SEEN = np.dtype([("key", "<u8"), ("published_at", "<f8")])
Seen = NDArray[np.void]


@dataclass(frozen=True, kw_only=True, slots=True)
class Significant:
    """What one message says that riders may be told.

    ``packed``: the worst for each trip, and for each route at each stop in each quarter
    of an hour (a rider travels in his own) towards each last stop (and to his own), all
    that have no time; for ``delays.unpack``. ``seen``: since when each is known, for
    the next message. ``new``: how many were not known before. ``late_trips``: trips
    that are late.
    """

    packed: bytes
    seen: bytes
    new: int
    late_trips: int


def find(
    feed: str,
    timestamp: int,
    trips: Trips,
    times: StopTimes,
    stops: Ids,
    *,
    seen: bytes,
    limits: RealtimeLimits,
) -> Significant:
    """The significant delays of a message whose header says ``timestamp``.

    ``seen`` is that of the message before, empty when there is none. A stop that is
    passed, skipped or without data delays nobody.
    """
    delay, expected = _predicted(times)
    late = np.flatnonzero(
        (delay >= limits.significant_delay_s)
        & (times.relationship != _SKIPPED)
        & (times.relationship != _NO_DATA)
        & ((expected == 0) | (expected >= timestamp - _PASSED_S))
        & (stops.texts != b"")
    )
    odd = np.flatnonzero(np.isin(trips.relationship, list(_KINDS)))
    size = np.concatenate(
        [
            np.searchsorted(limits.delay_buckets_s, delay[late], side="right"),
            len(limits.delay_buckets_s) + 1 + trips.relationship[odd],
        ]
    )
    row_trip = np.concatenate([times.trip[late], odd])
    row_stop = np.concatenate([stops.texts[late], np.full(len(odd), b"", "S1")])
    row_delay = np.concatenate([delay[late], np.zeros(len(odd), np.int32)])
    row_expected = np.concatenate([expected[late], np.zeros(len(odd), np.int64)])

    dates = _service_dates(trips, row_trip, timestamp, limits)
    trip_key = _keys_of_trips(trips, dates, row_trip)
    stop_key = _hashes(row_stop)
    key = np.bitwise_xor(trip_key, stop_key * _MIX)
    key = np.bitwise_xor(key, size.astype(np.uint64))
    now_seen, published, new = _since(key, seen, timestamp)
    lates = len(late)
    worst = np.concatenate(
        [
            _worst(
                trips,
                _towards(times, stops),
                row_trip[:lates],
                trip_key[:lates],
                stop_key[:lates],
                row_delay[:lates],
                row_expected[:lates],
            ),
            np.arange(lates, len(row_trip)),
        ]
    )
    chosen = row_trip[worst].tolist()
    kinds = ["delay"] * (len(worst) - len(odd))
    kinds += [_KINDS[number] for number in trips.relationship[odd].tolist()]
    columns = {
        "kind": kinds,
        "feed": [feed] * len(worst),
        "route_id": [_text(trips.route_id[trip]) for trip in chosen],
        "trip_id": [_text(trips.trip_id[trip]) for trip in chosen],
        "service_date": [dates[trip] for trip in chosen],
        "stop_id": [_text(stop) for stop in row_stop[worst].tolist()],
        "delay_s": row_delay[worst].tolist(),
        "expected_at": [at or None for at in row_expected[worst].tolist()],
        "published_at": published[worst].tolist(),
    }
    return Significant(
        packed=delays.pack(columns),
        seen=now_seen.tobytes(),
        new=new,
        late_trips=len(np.unique(row_trip[:lates])),
    )


def _predicted(times: StopTimes) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """The worse delay of each row, and when the vehicle is expected; 0: not known."""
    none = np.int32(np.iinfo(np.int32).min)
    known = times.known
    arrival = np.where(known & ARRIVAL_DELAY, times.arrival_delay, none)
    departure = np.where(known & DEPARTURE_DELAY, times.departure_delay, none)
    expected = np.where(
        known & DEPARTURE_TIME,
        times.departure_time,
        np.where(known & ARRIVAL_TIME, times.arrival_time, 0),
    )
    return np.maximum(arrival, departure), expected


def _service_dates(
    trips: Trips, rows: NDArray[np.int64], timestamp: int, limits: RealtimeLimits
) -> dict[int, str]:
    """The service day of each trip of ``rows``; the day of the message if unnamed."""
    local = datetime.fromtimestamp(timestamp, UTC).astimezone(ZoneInfo(TIMEZONE))
    today = local - timedelta(hours=limits.service_day_starts_h)
    unnamed = today.strftime("%Y%m%d")
    return {
        trip: _text(trips.start_date[trip]) or unnamed
        for trip in np.unique(rows).tolist()
    }


def _keys_of_trips(
    trips: Trips, dates: dict[int, str], rows: NDArray[np.int64]
) -> NDArray[np.uint64]:
    """A number for each row's trip that is the same in the next message."""
    keys = np.zeros(len(trips), np.uint64)
    for trip, date in dates.items():
        name = b"\0".join((trips.trip_id[trip], trips.route_id[trip], date.encode()))
        keys[trip] = xxh3_64_intdigest(name)
    return keys[rows]


def _hashes(texts: NDArray[np.bytes_]) -> NDArray[np.uint64]:
    """A number for each text that does not depend on the array's width."""
    names, which = np.unique(texts, return_inverse=True)
    hashes = [xxh3_64_intdigest(name) for name in names.tolist()]
    return np.array(hashes, np.uint64)[which]


def _since(
    keys: NDArray[np.uint64], seen: bytes, timestamp: int
) -> tuple[Seen, NDArray[np.float64], int]:
    """What is seen now, since when each row is, and how many are new."""
    before = np.frombuffer(seen, _SEEN)
    published = np.full(len(keys), float(timestamp))
    at = np.searchsorted(before["key"], keys)
    known = np.zeros(len(keys), bool)
    inside = at < len(before)
    known[inside] = before["key"][at[inside]] == keys[inside]
    published[known] = before["published_at"][at[known]]
    now, first = np.unique(keys, return_index=True)
    rows = np.empty(len(now), _SEEN)
    rows["key"], rows["published_at"] = now, published[first]
    return rows, published, int(np.count_nonzero(~known[first]))


def _towards(times: StopTimes, stops: Ids) -> dict[int, bytes]:
    """The last stop that the message names of each trip."""
    last = np.flatnonzero(np.diff(times.trip, append=-1))
    trips, texts = times.trip[last], stops.texts[last]
    return dict(zip(trips.tolist(), texts.tolist(), strict=True))


def _worst(
    trips: Trips,
    towards: Mapping[int, bytes],
    rows: NDArray[np.int64],
    trip_key: NDArray[np.uint64],
    stop_key: NDArray[np.uint64],
    delay: NDArray[np.int32],
    expected: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Rows that are the worst of their route at their stop in a quarter of an hour
    towards the same last stop, or of their trip. A row without a time is compared with
    those of its own trip alone.
    """
    numbers: dict[tuple[bytes, bytes], int] = {}
    of_trip = np.zeros(len(trips), np.uint64)
    for trip in np.unique(rows).tolist():
        way = (trips.route_id[trip], towards[trip])
        of_trip[trip] = numbers.setdefault(way, len(numbers))
    quarter = (expected // QUARTER_S).astype(np.uint64)
    when = np.where(expected == 0, trip_key, quarter * _MIX_AGAIN)
    at_stop = np.bitwise_xor(stop_key, of_trip[rows] * _MIX)
    at_stop = np.bitwise_xor(at_stop, when)
    return np.union1d(_worst_of(at_stop, delay), _worst_of(trip_key, delay))


def _worst_of(group: NDArray[np.uint64], delay: NDArray[np.int32]) -> NDArray[np.int64]:
    order = np.lexsort((-delay.astype(np.int64), group))
    first = np.ones(len(order), bool)
    first[1:] = group[order[1:]] != group[order[:-1]]
    return order[first]


def _text(encoded: bytes) -> str:
    return encoded.decode(errors="replace")
