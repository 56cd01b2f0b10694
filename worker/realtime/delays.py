"""What riders are told: significant delays, canceled and replaced trips."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, fields

Rows = Iterable["Delay"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Delay:
    """One trip that is late at one stop, or does not run as planned.

    ``kind``: "delay", "canceled" or "replaced". ``service_date``: YYYYMMDD, the Sydney
    service day. ``stop_id`` is empty when the whole trip is meant. ``delay_s`` is the
    worse of arrival and departure, 0 when canceled. ``expected_at`` is the predicted
    time at the stop, and ``published_at`` the header timestamp of the message in which
    the delay first had this size (one bucket of the policy); both are epoch seconds
    of the service clock.
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


def pack(delays: Rows) -> bytes:
    """The delays as stored in Redis: JSON, one list a column."""
    rows = [[getattr(delay, name) for name in _COLUMNS] for delay in delays]
    columns = zip(*rows, strict=True) if rows else ((),) * len(_COLUMNS)
    return json.dumps(dict(zip(_COLUMNS, columns, strict=True))).encode()


def unpack(packed: bytes) -> list[Delay]:
    """The delays that ``pack`` stored."""
    columns = json.loads(packed)
    rows = zip(*(columns[name] for name in _COLUMNS), strict=True)
    return [Delay(**dict(zip(_COLUMNS, row, strict=True))) for row in rows]


def worst(delays: Rows) -> list[Delay]:
    """The worst for each route at each stop, and the worst for each trip.

    A row may be both and comes once; every row stays true by itself.
    """
    kept: dict[tuple[str, ...], Delay] = {}
    for delay in delays:
        for key in (
            (delay.kind, delay.route_id, delay.stop_id),
            (delay.kind, delay.route_id, delay.trip_id, delay.service_date),
        ):
            held = kept.get(key)
            if held is None or delay.delay_s > held.delay_s:
                kept[key] = delay
    return list({id(delay): delay for delay in kept.values()}.values())
