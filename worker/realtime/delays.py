"""What riders are told: significant delays, canceled and replaced trips."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import chain, groupby, repeat
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Delay:
    """One trip that is late at one stop, or does not run as planned.

    ``kind``: "delay", "canceled" or "replaced". ``service_date``: YYYYMMDD, the Sydney
    service day. ``stop_id`` is empty when the whole trip is meant. ``delay_s`` is the
    worse of arrival and departure, 0 when the whole trip is meant. ``expected_at`` is
    the predicted time at the stop, and ``published_at`` the header timestamp of the
    message in which the delay first had this size (one bucket of the policy); both are
    epoch seconds of the service clock.
    """

    kind: str
    feed: str
    route_id: str
    trip_id: str
    service_date: str
    stop_id: str
    delay_s: int
    expected_at: int | None
    published_at: float


_COLUMNS = tuple(field.name for field in fields(Delay))
_ALIKE = ("kind", "feed", "service_date", "published_at")
"""Columns in which thousands of rows on end say the same: kept as runs."""


def pack(held: Mapping[str, Sequence[object]]) -> bytes:
    """Delays as stored in Redis: one list a field of ``Delay``, as JSON."""
    return json.dumps(
        {name: _runs(held[name]) if name in _ALIKE else held[name] for name in _COLUMNS}
    ).encode()


def columns(packed: bytes) -> dict[str, list[Any]]:
    """The delays of one feed as stored in Redis: one list a field of ``Delay``."""
    held: dict[str, list[Any]] = json.loads(packed)
    return {
        name: _spread(column) if name in _ALIKE else column
        for name, column in held.items()
    }


def _runs(column: Sequence[object]) -> list[tuple[object, int]]:
    """(value, how often) of each run of equal values."""
    return [(value, sum(1 for _ in run)) for value, run in groupby(column)]


def _spread(runs: Sequence[tuple[object, int]]) -> list[object]:
    return list(chain.from_iterable(repeat(value, count) for value, count in runs))


def unpack(packed: bytes) -> list[Delay]:
    """The delays of one feed as stored in Redis."""
    held = columns(packed)
    rows = zip(*(held[name] for name in _COLUMNS), strict=True)
    return [Delay(**dict(zip(_COLUMNS, row, strict=True))) for row in rows]
