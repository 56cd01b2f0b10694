"""One realtime feed as it is published: entities, delays laid over lines, a body.

An entity is kept as bytes; only those of a delayed line are ever decoded again, so
that serving 8 MB costs a join and not a parse.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from google.transit.gtfs_realtime_pb2 import FeedEntity, FeedMessage, TripUpdate

_ENTITY_TAG = 0x12
"""Field 2 of FeedMessage, length-delimited."""


@dataclass(frozen=True, slots=True)
class Entity:
    """One FeedEntity and the route that it belongs to ("" for none)."""

    line: str
    encoded: bytes


class Publication:
    """What one feed serves now. ``publish`` and ``delay`` make a new body."""

    def __init__(self, *, version: str = "2.0") -> None:
        self._version = version
        self._entities: list[bytes] = []
        self._of_line: dict[str, list[int]] = {}
        self._plain: dict[int, bytes] = {}
        self._delays: dict[str, int] = {}
        self.timestamp = 0
        self.body = b""

    def publish(self, entities: Iterable[Entity], now: float) -> None:
        """Serve these entities, with the delays that hold now."""
        of_line: dict[str, list[int]] = defaultdict(list)
        framed: list[bytes] = []
        for entity in entities:
            of_line[entity.line].append(len(framed))
            framed.append(_framed(entity.encoded))
        self._entities, self._of_line, self._plain = framed, of_line, {}
        for line in self._delays:
            self._lay(line)
        self.refresh(now)

    def delay(self, lines: Iterable[str], delay_s: int, now: float) -> int:
        """Lay a delay over lines (0 takes it away); the trips concerned."""
        concerned = 0
        for line in lines:
            self._delays.pop(line, None)
            if delay_s:
                self._delays[line] = delay_s
            concerned += self._lay(line)
        if concerned:
            self.refresh(now)
        return concerned

    def trips(self) -> dict[str, int]:
        """How many entities each line has."""
        return {line: len(at) for line, at in self._of_line.items() if line}

    def refresh(self, now: float) -> None:
        """The same entities under a new header; its timestamp always moves on."""
        self.timestamp = max(int(now), self.timestamp + 1)
        message = FeedMessage()
        message.header.gtfs_realtime_version = self._version
        message.header.incrementality = message.header.FULL_DATASET
        message.header.timestamp = self.timestamp
        self.body = b"".join((message.SerializePartialToString(), *self._entities))

    def _lay(self, line: str) -> int:
        delay_s = self._delays.get(line, 0)
        indexes = self._of_line.get(line, [])
        for index in indexes:
            plain = self._plain.setdefault(index, self._entities[index])
            self._entities[index] = _delayed(plain, delay_s) if delay_s else plain
        return len(indexes)


def split(body: bytes) -> tuple[int, list[FeedEntity]]:
    """Header timestamp and entities of a recorded body."""
    message = FeedMessage.FromString(body)
    return message.header.timestamp, list(message.entity)


def line_of(entity: FeedEntity) -> str:
    """The route of a trip update or a vehicle, else the empty string."""
    if entity.HasField("trip_update"):
        return str(entity.trip_update.trip.route_id)
    if entity.HasField("vehicle"):
        return str(entity.vehicle.trip.route_id)
    return ""


def _framed(encoded: bytes) -> bytes:
    length, head = len(encoded), bytearray([_ENTITY_TAG])
    while length > 0x7F:
        head.append(length & 0x7F | 0x80)
        length >>= 7
    head.append(length)
    return bytes(head) + encoded


def _unframed(framed: bytes) -> bytes:
    at = 1
    while framed[at] & 0x80:
        at += 1
    return framed[at + 1 :]


def _delayed(framed: bytes, delay_s: int) -> bytes:
    entity = FeedEntity.FromString(_unframed(framed))
    if not entity.HasField("trip_update"):
        return framed
    scheduled = TripUpdate.StopTimeUpdate.SCHEDULED
    no_data = TripUpdate.StopTimeUpdate.NO_DATA
    for update in entity.trip_update.stop_time_update:
        for name in ("arrival", "departure"):
            if update.HasField(name):
                event = getattr(update, name)
                event.delay += delay_s
                if event.HasField("time"):
                    event.time += delay_s
        # A line in trouble reports: a stop without data would hide its delay.
        if update.schedule_relationship == no_data:
            update.schedule_relationship = scheduled
    return _framed(entity.SerializeToString())
