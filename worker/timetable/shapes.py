"""Compact shapes: each part of a shape as one row of fixed-width differences.

A part starts at a point written in full; each further point is one big-endian
record of the bits that its three differences (latitude, longitude, distance) need
above their smallest. Fixed width keeps the reading in SQL short. A jump too wide for a
record starts a new part.
"""

from dataclasses import dataclass, field

import numpy as np

from worker.timetable.fields import BLANK
from worker.timetable.locate import Ints
from worker.timetable.patterns import (
    DISTANCE_PLACES,
    NULL,
    array_text,
    places_by_group,
)
from worker.timetable.rows import Rows, heads, rows_of

DEGREE_PLACES = 7

# Steps below these need 20 + 20 + 22 bits at most, which leaves bigint its sign.
_WIDE = {"latitude": 1 << 19, "longitude": 1 << 19, "distance": 1 << 21}


@dataclass(kw_only=True, slots=True)
class Shapes:
    """Packs shapes; parts are left in COPY text, to be taken.

    Rows carry ``group`` (the shape's key), ``seq``, ``latitude`` and ``longitude``
    (1e-7 degree), ``distance`` (1e-5 or BLANK) and, where the file has columns that
    GTFS does not know, ``attributes`` (keys).
    """

    part_rows: list[str] = field(default_factory=list)
    part_bytes: int = 0

    def add(self, rows: Rows) -> None:
        """Whole shapes, each in the order of ``seq``."""
        values, places = _scaled(rows)
        starts = _parts(rows, values)
        size = np.diff(np.append(starts, rows_of(rows)))
        number = _number_in_shape(rows["group"][starts])
        run = np.repeat(np.arange(len(starts)), size)
        inner = np.ones(rows_of(rows), np.bool_)
        inner[starts] = False
        records = np.zeros(rows_of(rows), np.uint64)
        shift = np.zeros(len(starts), np.int64)
        columns: list[list[int]] = []
        for name in _WIDE:
            low, width, above = _differences(values[name], starts, inner)
            records |= above << shift[run].astype(np.uint64)
            shift += width
            columns += [values[name][starts].tolist(), low.tolist(), width.tolist()]
        self._write(rows, starts, size, number, places, columns, records, shift)

    def _write(
        self,
        rows: Rows,
        starts: Ints,
        size: Ints,
        number: Ints,
        places: tuple[Ints, Ints],
        columns: list[list[int]],
        records: np.ndarray[tuple[int], np.dtype[np.uint64]],
        bits: Ints,
    ) -> None:
        raw = records.astype(">u8").view(np.uint8).reshape(-1, 8)
        width = ((bits + 7) >> 3).tolist()
        per_part = zip(
            rows["group"][starts].tolist(),
            number.tolist(),
            size.tolist(),
            places[0][starts].tolist(),
            places[1][starts].tolist(),
            *columns,
            strict=True,
        )
        for at, count, octets, part in zip(
            starts.tolist(), size.tolist(), width, per_part, strict=True
        ):
            packed = raw[at + 1 : at + count, 8 - octets :].tobytes()
            head = "\t".join(map(str, part))
            seq = rows["seq"][at : at + count]
            counted = bool((np.diff(seq) == 1).all())
            line = (
                f"{head}\t{seq[0]}\t{NULL if counted else array_text(seq)}\t"
                f"{_attributes(rows, at, count)}\t{octets}\t\\\\x{packed.hex()}\n"
            )
            self.part_rows.append(line)
            self.part_bytes += len(line)


def _attributes(rows: Rows, at: int, count: int) -> str:
    if "attributes" not in rows:
        return NULL
    keys = rows["attributes"][at : at + count]
    return array_text(keys[:1] if (keys == keys[0]).all() else keys)


def _scaled(rows: Rows) -> tuple[Rows, tuple[Ints, Ints]]:
    """Values in the coarsest unit that keeps each shape exact, and that unit's places.

    A distance that is blank is written as 0, its places as -1.
    """
    first = heads(rows)
    run = np.repeat(np.arange(len(first)), np.diff(np.append(first, rows_of(rows))))
    odd = (rows["latitude"] % 10 != 0) | (rows["longitude"] % 10 != 0)
    fine = np.logical_or.reduceat(odd, first)[run]
    degree = np.where(fine, 1, 10)
    distance = rows["distance"]
    metre = places_by_group(distance, first)
    scale = 10 ** (DISTANCE_PLACES - np.maximum(metre, 0))[run]
    blank = distance == BLANK
    values = {
        "latitude": rows["latitude"] // degree,
        "longitude": rows["longitude"] // degree,
        "distance": np.where(blank, 0, (distance + scale // 2) // scale),
    }
    places = np.where(fine, DEGREE_PLACES, DEGREE_PLACES - 1)
    return values, (places, np.where(blank, -1, metre[run]))


def _parts(rows: Rows, values: Rows) -> Ints:
    """Where parts begin: at each shape, at a wide jump, where distances come or go."""
    cut = np.ones(rows_of(rows), np.bool_)
    cut[1:] = rows["group"][1:] != rows["group"][:-1]
    blank = rows["distance"] == BLANK
    cut[1:] |= blank[1:] != blank[:-1]
    for name, wide in _WIDE.items():
        step = np.diff(values[name])
        cut[1:] |= np.abs(step) >= wide
    return np.flatnonzero(cut)


def _number_in_shape(shapes: Ints) -> Ints:
    """0, 1, 2 ... for the parts of each shape."""
    changed = np.ones(len(shapes), np.bool_)
    changed[1:] = shapes[1:] != shapes[:-1]
    first = np.flatnonzero(changed)
    sizes = np.diff(np.append(first, len(shapes)))
    return np.arange(len(shapes)) - np.repeat(first, sizes)


def _differences(
    values: Ints, starts: Ints, inner: np.ndarray[tuple[int], np.dtype[np.bool_]]
) -> tuple[Ints, Ints, np.ndarray[tuple[int], np.dtype[np.uint64]]]:
    """Per part the smallest difference and the bits above it; per row what is above."""
    step = np.zeros(len(values), np.int64)
    step[1:] = np.diff(values)
    top = np.iinfo(np.int64).max
    low = np.minimum.reduceat(np.where(inner, step, top), starts)
    high = np.maximum.reduceat(np.where(inner, step, -top), starts)
    low = np.where(low == top, 0, low)
    high = np.maximum(high, low)
    width = np.array([int(span).bit_length() for span in (high - low).tolist()])
    run = np.repeat(low, np.diff(np.append(starts, len(values))))
    above = np.where(inner, step - run, 0).astype(np.uint64)
    return low, width, above
