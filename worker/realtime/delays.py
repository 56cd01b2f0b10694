"""What riders are told: significant delays, canceled and replaced trips."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, cast


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


def pack(held: Mapping[str, Sequence[object]]) -> bytes:
    """Delays as stored in Redis: one list a field of ``Delay``, as JSON."""
    return json.dumps({name: held[name] for name in _COLUMNS}).encode()


def columns(packed: bytes) -> dict[str, list[Any]]:
    """The delays of one feed as stored in Redis: one list a field of ``Delay``."""
    return cast(dict[str, list[Any]], json.loads(packed))


def unpack(packed: bytes) -> list[Delay]:
    """The delays of one feed as stored in Redis."""
    held = columns(packed)
    rows = zip(*(held[name] for name in _COLUMNS), strict=True)
    return [Delay(**dict(zip(_COLUMNS, row, strict=True))) for row in rows]
