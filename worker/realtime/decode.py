"""A feed's bytes as columns: what each entity says, without an object for each."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from google.protobuf.message import DecodeError
from google.transit.gtfs_realtime_pb2 import (
    Alert,
    FeedEntity,
    FeedHeader,
    TripDescriptor,
    TripUpdate,
    VehiclePosition,
)
from numpy.typing import NDArray

from worker.realtime.wire import (
    BLOCK,
    BYTES,
    FIXED32,
    VARINT,
    Malformed,
    Step,
    Wire,
    tag_of,
)

if TYPE_CHECKING:
    from google._upb._message import Descriptor as _Compiled
    from google.protobuf.descriptor import Descriptor

    _Kind = Descriptor | _Compiled

Column = NDArray[np.int64]

_HEADER, _ENTITY = tag_of(1, BYTES), tag_of(2, BYTES)
_ENTITY_FIELDS = {
    "id": tag_of(1, BYTES),
    "trip_update": tag_of(3, BYTES),
    "vehicle": tag_of(4, BYTES),
    "alert": tag_of(5, BYTES),
}
_IS_DELETED = tag_of(2, VARINT)
_STOP_TIME_UPDATE = tag_of(2, BYTES)
_SEQUENCE, _RELATIONSHIP = tag_of(1, VARINT), tag_of(5, VARINT)
_ARRIVAL, _DEPARTURE, _STOP_ID = (tag_of(number, BYTES) for number in (2, 3, 4))
_DELAY, _TIME = tag_of(1, VARINT), tag_of(2, VARINT)
_DIFFERENTIAL = 1

# Bits of StopTimes.known: which of the four predictions the feed gave.
ARRIVAL_DELAY, ARRIVAL_TIME, DEPARTURE_DELAY, DEPARTURE_TIME = 1, 2, 4, 8


class Spans(NamedTuple):
    """Where a field of each message lies; ``end`` is 0 where it is missing."""

    start: Column
    end: Column

    @classmethod
    def missing(cls, count: int) -> "Spans":
        """Spans of ``count`` messages without the field."""
        return cls(np.zeros(count, np.int64), np.zeros(count, np.int64))

    def put(self, step: Step) -> None:
        """Remember the field; Malformed when a message has it twice."""
        if self.end[step.owner].any():
            raise Malformed("a field that occurs once comes twice")
        self.start[step.owner] = step.value
        self.end[step.owner] = step.end

    def rows(self, chosen: Column) -> "Spans":
        """The spans of some messages."""
        return Spans(self.start[chosen], self.end[chosen])

    def pieces(self, data: bytes) -> list[bytes]:
        """The bytes of each field; empty where it is missing."""
        spans = zip(self.start.tolist(), self.end.tolist(), strict=True)
        return [data[start:end] for start, end in spans]


@dataclass(frozen=True, slots=True)
class Envelope:
    """A feed message, taken apart as far as its entities.

    ``timestamp``: epoch seconds, 0 when missing. ``header``: the encoded field.
    ``at``: where each entity's field begins, for slices that are copied whole.
    """

    data: bytes
    wire: Wire
    timestamp: int
    header: bytes
    body_from: int
    at: Column
    ids: Spans
    trip_updates: Spans
    vehicles: Spans
    alerts: Spans

    @property
    def entities(self) -> int:
        """How many entities the message holds, of whatever kind."""
        return len(self.at)

    def slices(self, chosen: Column) -> list[bytes]:
        """The encoded field of each chosen entity."""
        ends = np.append(self.at[1:], len(self.data))
        return Spans(self.at[chosen], ends[chosen]).pieces(self.data)


def peek(data: bytes) -> tuple[int, int]:
    """The header's timestamp, and the offset behind the header, without a walk."""
    size = data[1] if len(data) > 1 else 0
    if size >= 0x80 or len(data) < size + 2:
        raise Malformed("the header is longer than 127 bytes")
    wire = Wire(data[: size + 2])
    return _header(wire, 2, size + 2)[0], size + 2


def open_message(data: bytes) -> Envelope:
    """Take a feed message apart; raises Malformed with what is wrong."""
    header, at, start, end = _top_level(data)
    wire = Wire(data)
    timestamp, incrementality = _header(wire, *header)
    if incrementality == _DIFFERENTIAL:
        raise Malformed("the feed sends differences, not the full set")
    found = {name: Spans.missing(len(at)) for name in _ENTITY_FIELDS}
    names = {tag: name for name, tag in _ENTITY_FIELDS.items()}
    deleted = np.zeros(len(at), bool)
    for step in wire.fields(start, end):
        if step.tag in names:
            found[names[step.tag]].put(step)
        elif step.tag == _IS_DELETED:
            deleted[step.owner] = step.value != 0
        else:
            _check(wire, FeedEntity.DESCRIPTOR, step)
    for spans in found.values():
        spans.end[deleted] = 0
    return Envelope(
        data=data,
        wire=wire,
        timestamp=timestamp,
        header=data[: header[1]],
        body_from=header[1],
        at=at,
        ids=found["id"],
        trip_updates=found["trip_update"],
        vehicles=found["vehicle"],
        alerts=found["alert"],
    )


def _top_level(data: bytes) -> tuple[tuple[int, int], Column, Column, Column]:
    """The header's payload, and where each entity's field and payload lie.

    The header comes first, once: as every producer writes it. Whoever sends two has
    glued two messages together.
    """
    at: list[int] = []
    start: list[int] = []
    end: list[int] = []
    header = (0, 0)
    size = len(data)
    here = 0
    try:
        while here < size:
            tag = data[here]
            length = data[here + 1]
            first = here + 2
            if length & 0x80:
                length &= 0x7F
                for shift in (7, 14, 21, 28):
                    byte = data[first]
                    first += 1
                    length |= (byte & 0x7F) << shift
                    if byte < 0x80:
                        break
                else:
                    raise Malformed("a length takes more than five bytes")
            behind = first + length
            if tag == _ENTITY:
                at.append(here)
                start.append(first)
                end.append(behind)
            elif tag == _HEADER and not here:
                header = (first, behind)
            else:
                raise Malformed(f"byte {here} begins neither header nor entity")
            here = behind
    except IndexError:
        raise Malformed("the bytes end inside a field") from None
    if here > size:
        raise Malformed("the bytes end inside an entity")
    if not header[1]:
        raise Malformed("there is no header")
    as_column = (np.array(each, np.int64) for each in (at, start, end))
    return (header, *as_column)  # type: ignore[return-value]


def _header(wire: Wire, start: int, end: int) -> tuple[int, int]:
    """Timestamp and incrementality, both 0 when missing."""
    timestamp = incrementality = 0
    for step in wire.fields(np.array([start]), np.array([end])):
        if step.tag == tag_of(3, VARINT):
            timestamp = int(step.value[-1])
        elif step.tag == tag_of(2, VARINT):
            incrementality = int(step.value[-1])
        else:
            _check(wire, FeedHeader.DESCRIPTOR, step)
    return timestamp, incrementality


@dataclass(frozen=True, slots=True)
class Trips:
    """The trip descriptors of some entities, one row each.

    ``entity``: index into the envelope. ``relationship``: the raw number, as TfNSW
    sends ones that the bindings do not know.
    """

    entity: Column
    trip_id: list[bytes]
    route_id: list[bytes]
    start_date: list[bytes]
    relationship: Column

    def __len__(self) -> int:
        return len(self.entity)


@dataclass(frozen=True, slots=True)
class StopTimes:
    """The stop_time_updates of trip updates, one row each.

    ``trip``: row of the trip. ``sequence``: -1 when missing. Times are epoch seconds,
    delays seconds; both 0 unless their bit of ``known`` is set.
    """

    trip: Column
    stop: Spans
    sequence: Column
    relationship: Column
    arrival_delay: NDArray[np.int32]
    arrival_time: Column
    departure_delay: NDArray[np.int32]
    departure_time: Column
    known: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.trip)

    def rows(self, some: slice) -> "StopTimes":
        """A view of some rows; what is written to it is written here."""
        return StopTimes(
            trip=self.trip[some],
            stop=Spans(self.stop.start[some], self.stop.end[some]),
            sequence=self.sequence[some],
            relationship=self.relationship[some],
            arrival_delay=self.arrival_delay[some],
            arrival_time=self.arrival_time[some],
            departure_delay=self.departure_delay[some],
            departure_time=self.departure_time[some],
            known=self.known[some],
        )


def trip_updates(message: Envelope) -> tuple[Trips, Step]:
    """Every trip update, and where its stop_time_updates lie, for ``stop_times``."""
    wire = message.wire
    entity = np.flatnonzero(message.trip_updates.end)
    update = message.trip_updates.rows(entity)
    descriptor = Spans.missing(len(entity))
    stops, others = wire.repeated(_STOP_TIME_UPDATE, *update)
    for step in others:
        if step.tag == tag_of(1, BYTES):
            descriptor.put(step)
        else:
            _check(wire, TripUpdate.DESCRIPTOR, step)
    return _trips(message, entity, descriptor), stops


def _trips(message: Envelope, entity: Column, descriptor: Spans) -> Trips:
    count = len(entity)
    texts = {tag_of(number, BYTES): Spans.missing(count) for number in (1, 3, 5)}
    relationship = np.zeros(count, np.int64)
    for step in message.wire.fields(*descriptor):
        if step.tag in texts:
            texts[step.tag].put(step)
        elif step.tag == tag_of(4, VARINT):
            relationship[step.owner] = step.value
        else:
            _check(message.wire, TripDescriptor.DESCRIPTOR, step)
    trip_id, start_date, route_id = (s.pieces(message.data) for s in texts.values())
    return Trips(entity, trip_id, route_id, start_date, relationship)


def stop_times(message: Envelope, updates: Step) -> StopTimes:
    """Every stop_time_update that ``trip_updates`` found."""
    wire = message.wire
    count = len(updates.owner)
    times = StopTimes(
        trip=updates.owner,
        stop=Spans.missing(count),
        sequence=np.full(count, -1, np.int64),
        relationship=np.zeros(count, np.int64),
        arrival_delay=np.zeros(count, np.int32),
        arrival_time=np.zeros(count, np.int64),
        departure_delay=np.zeros(count, np.int32),
        departure_time=np.zeros(count, np.int64),
        known=np.zeros(count, np.uint8),
    )
    for first in range(0, count, BLOCK):
        block = slice(first, first + BLOCK)
        _read_times(wire, updates.value[block], updates.end[block], times.rows(block))
    return times


def _read_times(wire: Wire, start: Column, end: Column, times: StopTimes) -> None:
    """Fill some rows of ``times``, few enough to stay in the processor's cache."""
    arrival, departure = Spans.missing(len(start)), Spans.missing(len(start))
    for step in wire.fields(start, end):
        if step.tag == _ARRIVAL:
            arrival.put(step)
        elif step.tag == _DEPARTURE:
            departure.put(step)
        elif step.tag == _STOP_ID:
            times.stop.put(step)
        elif step.tag == _SEQUENCE:
            times.sequence[step.owner] = step.value
        elif step.tag == _RELATIONSHIP:
            times.relationship[step.owner] = step.value
        else:
            _check(wire, TripUpdate.StopTimeUpdate.DESCRIPTOR, step)
    for spans, delay, time, bit in (
        (arrival, times.arrival_delay, times.arrival_time, ARRIVAL_DELAY),
        (departure, times.departure_delay, times.departure_time, DEPARTURE_DELAY),
    ):
        for step in wire.fields(*spans):
            if step.tag == _DELAY:
                # As the bindings do: an int32 is what the low 32 bits say.
                delay[step.owner] = step.value.astype(np.int32)
                times.known[step.owner] |= bit
            elif step.tag == _TIME:
                time[step.owner] = step.value
                times.known[step.owner] |= bit << 1


def vehicles(message: Envelope) -> tuple[Trips, NDArray[np.float32]]:
    """Every vehicle's trip, and its (latitude, longitude); not a number if missing."""
    wire = message.wire
    entity = np.flatnonzero(message.vehicles.end)
    descriptor, position = Spans.missing(len(entity)), Spans.missing(len(entity))
    for step in wire.fields(*message.vehicles.rows(entity)):
        if step.tag == tag_of(1, BYTES):
            descriptor.put(step)
        elif step.tag == tag_of(2, BYTES):
            position.put(step)
        else:
            _check(wire, VehiclePosition.DESCRIPTOR, step)
    places = np.full((len(entity), 2), np.nan, np.float32)
    for step in wire.fields(*position):
        for axis, number in enumerate((1, 2)):
            if step.tag == tag_of(number, FIXED32):
                low = wire.words(step.value).astype(np.uint32)
                places[step.owner, axis] = low.view(np.float32)
    return _trips(message, entity, descriptor), places


def alerts(message: Envelope) -> list[Alert]:
    """The alert of each entity that has one."""
    entity = np.flatnonzero(message.alerts.end)
    try:
        encoded = message.alerts.rows(entity).pieces(message.data)
        return [Alert.FromString(each) for each in encoded]
    except DecodeError:
        raise Malformed("an alert is not well formed") from None


def _check(wire: Wire, kind: "_Kind", step: Step) -> None:
    """Walk what is copied unread, so that whoever reads the copy can parse it."""
    field = kind.fields_by_number.get(step.tag >> 3)
    if field is None or field.message_type is None or step.tag & 7 != BYTES:
        return
    for inner in wire.fields(step.value, step.end):
        _check(wire, field.message_type, inner)
