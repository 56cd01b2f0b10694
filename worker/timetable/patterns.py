"""Two-level trip patterns: which stops, and at which times after the first.

A stop pattern is a sequence of stops with everything untimed about each call; a time
pattern is the seconds of its calls counted from the trip's start. Trips that run alike
share both, and keep only their start. Keys are 128-bit hashes of the content.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from worker.timetable.blocks import Ints
from worker.timetable.fields import BLANK, Words, spread
from worker.timetable.rows import Rows, heads, rows_of

DISTANCE_PLACES = 5
NULL = "\\N"
"""NULL in COPY text."""

_MAX_INT4 = 2**31 - 1


@dataclass(kw_only=True, slots=True)
class TripTimes:
    """What is kept of every trip: its time pattern (0: it has no calls), its start in
    seconds, by the trip's key.
    """

    pattern: np.ndarray[tuple[int], np.dtype[np.int32]]
    start: np.ndarray[tuple[int], np.dtype[np.int32]]

    @classmethod
    def of(cls, trips: int) -> "TripTimes":
        """None known yet, of ``trips`` trips."""
        return cls(pattern=np.zeros(trips, np.int32), start=np.zeros(trips, np.int32))


@dataclass(kw_only=True, slots=True)
class Patterns:
    """Finds the patterns of trips; new ones are left in COPY text, to be taken.

    Rows carry ``group`` (the trip's key), ``seq``, ``stop`` and ``attributes`` (keys),
    ``arrival`` and ``departure`` (seconds or BLANK), ``distance`` (1e-5 or BLANK).
    """

    trips: TripTimes
    stop_rows: list[str] = field(default_factory=list)
    time_rows: list[str] = field(default_factory=list)
    stop_patterns: int = 0
    time_patterns: int = 0
    _stop_keys: dict[bytes, int] = field(default_factory=dict)
    _time_keys: dict[bytes, int] = field(default_factory=dict)

    def add(self, rows: Rows) -> None:
        """Whole trips, each in the order of ``seq``."""
        first = heads(rows)
        sizes = np.diff(np.append(first, rows_of(rows)))
        run = np.repeat(np.arange(len(first)), sizes)
        position = np.arange(rows_of(rows)) - first[run]
        start = _starts(rows, first)
        from_start = {
            name: np.where(rows[name] == BLANK, BLANK, rows[name] - start[run])
            for name in ("arrival", "departure")
        }
        stop_hash = _hash(
            first,
            position,
            rows["stop"],
            rows["seq"],
            rows["attributes"],
            rows["distance"],
        )
        time_hash = _hash(first, position, *from_start.values())
        trips = rows["group"][first].tolist()
        bounds = zip(first.tolist(), (first + sizes).tolist(), strict=True)
        found: list[int] = []
        for (a, z), stops, times in zip(bounds, stop_hash, time_hash, strict=True):
            stop_pattern = self._stop_keys.get(stops)
            if stop_pattern is None:
                stop_pattern = self._new_stop_pattern(stops, rows, a, z)
            key = times + stop_pattern.to_bytes(4, "little")
            time_pattern = self._time_keys.get(key)
            if time_pattern is None:
                time_pattern = self._new_time_pattern(
                    key, stop_pattern, rows, from_start, a, z
                )
            found.append(time_pattern)
        self.trips.pattern[trips] = found
        self.trips.start[trips] = start

    def _new_stop_pattern(self, key: bytes, rows: Rows, a: int, z: int) -> int:
        self.stop_patterns += 1
        self._stop_keys[key] = self.stop_patterns
        seq = rows["seq"][a:z]
        counted = bool((seq == np.arange(1, z - a + 1)).all())
        attributes = rows["attributes"][a:z]
        alike = bool((attributes == attributes[0]).all())
        places, distances = _distances(rows["distance"][a:z])
        written = array_text(attributes[:1] if alike else attributes)
        self.stop_rows.append(
            f"{self.stop_patterns}\t{array_text(rows['stop'][a:z])}\t"
            f"{NULL if counted else array_text(seq)}\t"
            f"{written}\t{places}\t{distances}\n"
        )
        return self.stop_patterns

    def _new_time_pattern(
        self, key: bytes, stop_pattern: int, rows: Rows, times: Rows, a: int, z: int
    ) -> int:
        self.time_patterns += 1
        self._time_keys[key] = self.time_patterns
        arrival, departure = times["arrival"][a:z], times["departure"][a:z]
        same = bool((arrival == departure).all())
        due = _due(arrival, departure, rows["distance"][a:z])
        self.time_rows.append(
            f"{self.time_patterns}\t{stop_pattern}\t{array_text(arrival)}\t"
            f"{NULL if same else array_text(departure)}\t"
            f"{NULL if due is None else array_text(due)}\n"
        )
        return self.time_patterns


def _starts(rows: Rows, first: Ints) -> Ints:
    """Each trip's earliest time, 0 when it has none."""
    times = np.minimum(
        np.where(rows["arrival"] == BLANK, _MAX_INT4, rows["arrival"]),
        np.where(rows["departure"] == BLANK, _MAX_INT4, rows["departure"]),
    )
    start = np.minimum.reduceat(times, first)
    return np.where(start == _MAX_INT4, 0, start)


def _hash(first: Ints, position: Ints, *columns: Ints) -> Iterator[bytes]:
    """16 bytes a group: a sum of row hashes, each mixed with its position."""
    lanes: list[Words] = []
    for lane in (0, 1):
        mixed = spread(position.astype(np.uint64) + np.uint64(1), lane)
        for column in columns:
            mixed = spread(mixed ^ column.astype(np.uint64), lane)
        lanes.append(np.add.reduceat(mixed, first))
    raw = np.column_stack(lanes).tobytes()
    return (raw[at : at + 16] for at in range(0, len(raw), 16))


def array_text(values: Ints) -> str:
    """An integer array as PostgreSQL writes it."""
    text = str(values.tolist())[1:-1].replace(" ", "")
    return "{" + text.replace(str(BLANK), "NULL") + "}"


def _distances(values: Ints) -> tuple[int, str]:
    """Decimal places kept (0, 2 or 5: 1 cm in metres or kilometres), and the array."""
    blank = values == BLANK
    if blank.all():
        return 0, NULL
    places = distance_places(values[~blank])
    scale = 10 ** (DISTANCE_PLACES - places)
    scaled = np.where(blank, BLANK, (values + scale // 2) // scale)
    return places, array_text(scaled)


def distance_places(values: Ints) -> int:
    """The fewest decimal places that keep ``values`` exact; at least 1 cm of them.

    Distances have no unit: below 1,000 they are taken for kilometres.
    """
    for places in (0, 2):
        if not (values % 10 ** (DISTANCE_PLACES - places)).any():
            return places
    kilometres = int(np.abs(values).max()) < 1000 * 10**DISTANCE_PLACES
    return DISTANCE_PLACES if kilometres else 2


def _due(arrival: Ints, departure: Ints, distance: Ints) -> Ints | None:
    """When each call is due to leave, blanks filled in evenly; None: as given.

    Between two timed calls the time is spread by distance where every call has one,
    else by the number of calls, as the GTFS reference allows consumers to do.
    """
    known = np.where(departure == BLANK, arrival, departure)
    blank = known == BLANK
    if not (departure == BLANK).any() or blank.all():
        return None
    along = np.arange(len(known)) if (distance == BLANK).any() else distance
    if (np.diff(along) < 0).any():
        along = np.arange(len(known))
    filled = np.interp(along, along[~blank], known[~blank])
    return np.where(blank, np.rint(filled).astype(np.int64), known)
