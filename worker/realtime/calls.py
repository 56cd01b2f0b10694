"""The calls at a stop as Redis holds them: rows of one width, many stops a bucket.

A bucket is three bytes, the widths of a stop's, a trip's and a route's id, and then
rows: those three ids, filled up with zeros, and the numbers of ``NUMBERS``.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

NUMBERS = (
    ("sequence", "i"),
    ("relationship", "h"),
    ("known", "B"),
    ("arrival_delay", "i"),
    ("arrival_time", "I"),
    ("departure_delay", "i"),
    ("departure_time", "I"),
)
"""Name of each number and how it is packed, little endian."""

# Bits of ``known``: which of the four predictions the feed gave.
ARRIVAL_DELAY, ARRIVAL_TIME, DEPARTURE_DELAY, DEPARTURE_TIME = 1, 2, 4, 8

_WIDTHS = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class StopTime:
    """One trip's call at one stop; what the feed did not say is None.

    ``relationship``: the raw number of the stop_time_update.
    """

    stop_id: str
    trip_id: str
    route_id: str
    stop_sequence: int | None
    relationship: int
    arrival_delay_s: int | None
    arrival_at: int | None
    departure_delay_s: int | None
    departure_at: int | None

    @property
    def expected_at(self) -> int | None:
        """When the vehicle leaves, or comes if it does not leave; epoch seconds."""
        return self.departure_at if self.departure_at is not None else self.arrival_at


def calls_at(stop_id: str, bucket: bytes) -> Iterator[StopTime]:
    """The calls of one bucket that are at this stop."""
    stop, trip, route = bucket[:_WIDTHS]
    numbers = "".join(code for _, code in NUMBERS)
    wanted = stop_id.encode().ljust(stop, b"\0")
    for row in struct.iter_unpack(
        f"<{stop}s{trip}s{route}s{numbers}", bucket[_WIDTHS:]
    ):
        if row[0] == wanted:
            yield _stop_time(stop_id, *row[1:])


def _stop_time(
    stop_id: str,
    trip: bytes,
    route: bytes,
    sequence: int,
    relationship: int,
    known: int,
    arrival_delay: int,
    arrival_at: int,
    departure_delay: int,
    departure_at: int,
) -> StopTime:
    return StopTime(
        stop_id=stop_id,
        trip_id=_text(trip),
        route_id=_text(route),
        stop_sequence=sequence if sequence >= 0 else None,
        relationship=relationship,
        arrival_delay_s=arrival_delay if known & ARRIVAL_DELAY else None,
        arrival_at=arrival_at if known & ARRIVAL_TIME else None,
        departure_delay_s=departure_delay if known & DEPARTURE_DELAY else None,
        departure_at=departure_at if known & DEPARTURE_TIME else None,
    )


def _text(padded: bytes) -> str:
    return padded.rstrip(b"\0").decode(errors="replace")
