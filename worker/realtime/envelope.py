"""A feed message taken apart as far as its entities."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from google.transit.gtfs_realtime_pb2 import FeedEntity, FeedHeader
from numpy.typing import NDArray

from worker.policy import POLICY
from worker.realtime.wire import BYTES, VARINT, Malformed, Step, Wire, tag_of

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
_DIFFERENTIAL = 1
_EXTENSIONS = range(1000, 2000)


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
    ``at``: where each entity's field begins; ``fields``: those fields.
    """

    data: bytes
    wire: Wire
    timestamp: int
    header: bytes
    body_from: int
    at: Column
    fields: list[memoryview]
    deleted: NDArray[np.bool_]
    ids: Spans
    trip_updates: Spans
    vehicles: Spans
    alerts: Spans

    @property
    def entities(self) -> int:
        """How many entities the message holds, of whatever kind."""
        return len(self.at)

    def of(self, chosen: list[int]) -> bytes:
        """A message of the chosen entities alone, under the same header."""
        return b"".join([self.header, *(self.fields[entity] for entity in chosen)])


def peek(data: bytes) -> tuple[int, int]:
    """The header's timestamp, and the offset behind the header, without a walk."""
    try:
        first, behind = _field(data, 0)
    except IndexError:
        raise Malformed("the bytes end inside the header") from None
    if behind > len(data):
        raise Malformed("the bytes end inside the header")
    return _header(Wire(data[:behind]), first, behind)[0], behind


def _field(data: bytes, at: int) -> tuple[int, int]:
    """Where the bytes of the field at ``at`` begin and end; its tag is one byte."""
    length = data[at + 1]
    first = at + 2
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
    return first, first + length


def open_message(data: bytes, *, with_deleted: bool = False) -> Envelope:
    """Take a feed message apart; raises Malformed with what is wrong.

    Entities that say that they are deleted hold nothing, unless ``with_deleted``.
    """
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
            check_unread(wire, FeedEntity.DESCRIPTOR, step)
    if not with_deleted:
        for name, spans in found.items():
            gone = np.flatnonzero(deleted & (spans.end != 0))
            _check_spans(wire, _ENTITY_FIELDS[name], spans, gone)
            spans.end[gone] = 0
    return Envelope(
        data=data,
        wire=wire,
        timestamp=timestamp,
        header=data[: header[1]],
        body_from=header[1],
        at=at,
        fields=[
            memoryview(data)[a:b]
            for a, b in zip(at.tolist(), end.tolist(), strict=True)
        ],
        deleted=deleted,
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
    most = POLICY.realtime.entity_limit
    here = 0
    try:
        while here < size:
            tag = data[here]
            first, behind = _field(data, here)
            if tag == _ENTITY:
                if len(at) == most:
                    raise Malformed(f"there are more than {most} entities")
                at.append(here)
                start.append(first)
                end.append(behind)
            elif tag == _HEADER and not here:
                header = (first, behind)
            elif here and tag & 0x80 and _is_extension(data, here):
                _, behind = _field(data, here + 1)
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


def _is_extension(data: bytes, at: int) -> bool:
    """Whether an extension of the whole message begins here; its tag is two bytes.

    https://gtfs.org/documentation/realtime/proto/
    """
    number, wire = data[at] >> 3 & 0xF, data[at] & 7
    number |= (data[at + 1] & 0x7F) << 4
    return wire == BYTES and data[at + 1] < 0x80 and number in _EXTENSIONS


def _header(wire: Wire, start: int, end: int) -> tuple[int, int]:
    """Timestamp and incrementality, both 0 when missing."""
    timestamp = incrementality = 0
    for step in wire.fields(np.array([start]), np.array([end])):
        if step.tag == tag_of(3, VARINT):
            timestamp = int(step.value[-1])
        elif step.tag == tag_of(2, VARINT):
            incrementality = int(step.value[-1])
        else:
            check_unread(wire, FeedHeader.DESCRIPTOR, step)
    return timestamp, incrementality


def check_others(message: Envelope, read: Spans) -> None:
    """Walk what entities hold beside the kind that is ``read``; seldom anything."""
    for tag, spans in (
        (_ENTITY_FIELDS["trip_update"], message.trip_updates),
        (_ENTITY_FIELDS["vehicle"], message.vehicles),
        (_ENTITY_FIELDS["alert"], message.alerts),
    ):
        if spans is not read:
            _check_spans(message.wire, tag, spans, np.flatnonzero(spans.end))


def _check_spans(wire: Wire, tag: int, spans: Spans, rows: NDArray[np.intp]) -> None:
    if rows.size:
        step = Step(tag, rows, *spans.rows(rows))
        check_unread(wire, FeedEntity.DESCRIPTOR, step)


def check_unread(wire: Wire, kind: "_Kind", step: Step) -> None:
    """Walk a field that is copied unread, so that whoever reads it can parse it."""
    field = kind.fields_by_number.get(step.tag >> 3)
    if field is None or field.message_type is None or step.tag & 7 != BYTES:
        return
    for inner in wire.fields(step.value, step.end):
        check_unread(wire, field.message_type, inner)
