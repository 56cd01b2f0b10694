"""The entities of a feed as columns: what each says, without an object for each."""

from dataclasses import dataclass

import numpy as np
from google.protobuf.message import DecodeError
from google.transit.gtfs_realtime_pb2 import (
    Alert,
    TripDescriptor,
    TripUpdate,
    VehiclePosition,
)
from numpy.typing import NDArray

from worker.realtime.calls import ARRIVAL_DELAY, DEPARTURE_DELAY
from worker.realtime.envelope import Column, Envelope, Spans, check_unread
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

_STOP_TIME_UPDATE = tag_of(2, BYTES)
_SEQUENCE, _RELATIONSHIP = tag_of(1, VARINT), tag_of(5, VARINT)
_ARRIVAL, _DEPARTURE, _STOP_ID = (tag_of(number, BYTES) for number in (2, 3, 4))
_DELAY, _TIME = tag_of(1, VARINT), tag_of(2, VARINT)


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
    sequence: NDArray[np.int32]
    relationship: NDArray[np.int32]
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
            check_unread(wire, TripUpdate.DESCRIPTOR, step)
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
            check_unread(message.wire, TripDescriptor.DESCRIPTOR, step)
    trip_id, start_date, route_id = (s.pieces(message.data) for s in texts.values())
    return Trips(entity, trip_id, route_id, start_date, relationship)


def stop_times(message: Envelope, updates: Step) -> StopTimes:
    """Every stop_time_update that ``trip_updates`` found."""
    wire = message.wire
    count = len(updates.owner)
    times = StopTimes(
        trip=updates.owner,
        stop=Spans.missing(count),
        sequence=np.full(count, -1, np.int32),
        relationship=np.zeros(count, np.int32),
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
            check_unread(wire, TripUpdate.StopTimeUpdate.DESCRIPTOR, step)
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
            check_unread(wire, VehiclePosition.DESCRIPTOR, step)
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
