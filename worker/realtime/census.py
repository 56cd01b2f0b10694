"""What a recorded feed holds, counted before any rule drops it: the door `decode`."""

import gzip
import resource
import zlib
from collections import Counter
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from time import perf_counter

import numpy as np
from google.transit.gtfs_realtime_pb2 import TripDescriptor, TripUpdate
from numpy.typing import NDArray

from worker.errors import UsageError
from worker.policy import POLICY
from worker.realtime import accept, decode, plausible
from worker.realtime.envelope import open_message
from worker.realtime.wire import Malformed

_GZIP_BEGINS = b"\x1f\x8b"
_TRIP = TripDescriptor.ScheduleRelationship
_STOP = TripUpdate.StopTimeUpdate.ScheduleRelationship


@dataclass(frozen=True, kw_only=True, slots=True)
class Census:
    """The counts of one feed message.

    ``relationships``: of trip updates, by name; ``stop_relationships``: of their stop
    updates. ``rejected``: what no reader of ours is given, by reason: entities that say
    nothing or are deleted, stops and places that are missing, delays and times that
    cannot be.
    """

    kind: str
    header_timestamp: int
    entities: int
    trip_updates: int
    stop_time_updates: int
    vehicles: int
    alerts: int
    relationships: dict[str, int]
    stop_relationships: dict[str, int]
    rejected: dict[str, int]
    seconds: float
    peak_rss_mib: float

    def as_json(self) -> dict[str, object]:
        """The counts as plain values."""
        return asdict(self)


def count(path: Path) -> Census:
    """Count what a file holds; raises UsageError with one sentence."""
    body = _read(path)
    began = perf_counter()
    problem = accept.refuse_bytes(body)
    if problem:
        raise UsageError(f"{path} is not a GTFS-Realtime feed: {problem}")
    try:
        message = open_message(body, with_deleted=True)
        trips, updates = decode.trip_updates(message)
        times = decode.stop_times(message, updates)
        vehicles, places = decode.vehicles(message)
        alerts = decode.alerts(message)
    except Malformed as error:
        raise UsageError(f"{path} is not a GTFS-Realtime feed: {error}") from None
    kinds = {
        "trip_updates": message.trip_updates,
        "vehicle_positions": message.vehicles,
        "alerts": message.alerts,
    }
    there = {kind: spans.end != 0 for kind, spans in kinds.items()}
    present = [kind for kind, has in there.items() if has.any()]
    rejected: dict[str, int | np.signedinteger] = {
        "no_content": np.count_nonzero(~np.any(list(there.values()), axis=0)),
        "deleted": np.count_nonzero(message.deleted),
        "no_stop_id": np.count_nonzero(times.stop.start == times.stop.end),
        "no_position": np.count_nonzero(~plausible.on_earth(places)),
        "implausible": plausible.leave_out(times, message.timestamp, POLICY.realtime),
    }
    return Census(
        kind=present[0] if len(present) == 1 else ("mixed" if present else "empty"),
        header_timestamp=message.timestamp,
        entities=message.entities,
        trip_updates=len(trips),
        stop_time_updates=len(times),
        vehicles=len(vehicles),
        alerts=len(alerts),
        relationships=_named(trips.relationship, _TRIP),
        stop_relationships=_named(times.relationship, _STOP),
        rejected={reason: int(n) for reason, n in rejected.items() if n},
        seconds=round(perf_counter() - began, 4),
        peak_rss_mib=round(
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1
        ),
    )


def _read(path: Path) -> bytes:
    limit_mib = POLICY.realtime.body_limit_mib
    limit = limit_mib << 20
    try:
        with path.open("rb") as file:
            body = file.read(limit + 1)
    except OSError as error:
        reason = (error.strerror or "cannot be read").lower()
        raise UsageError(f"{path}: {reason}") from None
    if len(body) <= limit and body.startswith(_GZIP_BEGINS):
        try:
            with gzip.open(BytesIO(body)) as inflated:
                body = inflated.read(limit + 1)
        except (OSError, EOFError, zlib.error):
            raise UsageError(f"{path} is a damaged gzip file") from None
    if len(body) > limit:
        raise UsageError(
            f"{path} is not a GTFS-Realtime feed: it holds more than {limit_mib} MiB "
            "(realtime.body_limit_mib)"
        )
    return body


def _named(
    numbers: NDArray[np.signedinteger], names: type[_TRIP] | type[_STOP]
) -> dict[str, int]:
    known = {number: name for name, number in names.items()}
    counts = Counter(numbers.tolist())
    return {known.get(n, f"UNKNOWN_{n}"): counts[n] for n in sorted(counts)}
