"""Two-level trip patterns: which stops, and at which times after the first.

A stop pattern is a sequence of stops with everything untimed about each call; a time
pattern is the seconds of its calls counted from the trip's start. Trips that run alike
share both, and keep only their start. Keys are 128-bit hashes of the content.
"""

from dataclasses import dataclass, field

import numpy as np

from worker.timetable.fields import BLANK
from worker.timetable.hashing import Words, spread
from worker.timetable.keys import Hashes, Interned
from worker.timetable.locate import Ints, Mask
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

    ``last_second`` is the latest time of any call so far.

    Rows carry ``group`` (the trip's key), ``seq``, ``stop`` and ``attributes`` (keys),
    ``arrival`` and ``departure`` (seconds or BLANK), ``distance`` (1e-5 or BLANK).
    """

    trips: TripTimes
    stop_rows: list[str] = field(default_factory=list)
    time_rows: list[str] = field(default_factory=list)
    last_second: int = 0
    _stop_keys: Interned = field(default_factory=Interned)
    _time_keys: Interned = field(default_factory=Interned)

    @property
    def stop_patterns(self) -> int:
        """How many stop patterns there are."""
        return len(self._stop_keys)

    @property
    def time_patterns(self) -> int:
        """How many time patterns there are."""
        return len(self._time_keys)

    def add(self, rows: Rows) -> None:
        """Whole trips, each in the order of ``seq``."""
        trips = _Trips(rows)
        stops = trips.hashes("stop", "seq", "attributes", "distance")
        stop_patterns, new = self._stop_keys.keys(stops)
        self.stop_rows += [
            f"{stop_patterns[at]}\t{trips.stop_pattern(at)}\n" for at in new
        ]
        one, two = trips.hashes("arrival", "departure")
        of_stops = stop_patterns.view(np.uint64)
        times = spread(one ^ of_stops, 0), spread(two ^ of_stops, 1)
        time_patterns, new = self._time_keys.keys(times)
        self.time_rows += [
            f"{time_patterns[at]}\t{stop_patterns[at]}\t{trips.time_pattern(at)}\n"
            for at in new
        ]
        for name in ("arrival", "departure"):
            self.last_second = max(self.last_second, int(rows[name].max(initial=0)))
        self.trips.pattern[trips.keys] = time_patterns
        self.trips.start[trips.keys] = trips.start


class _Trips:
    """The trips of one piece: what can be told of all of them at once."""

    def __init__(self, rows: Rows) -> None:
        self.first = heads(rows)
        self.keys = rows["group"][self.first]
        bounds = np.append(self.first, rows_of(rows))
        self._run = np.repeat(np.arange(len(self.first)), np.diff(bounds))
        self._position = np.arange(rows_of(rows)) - self.first[self._run]
        self.start = _starts(rows, self.first)
        self._rows = rows | {
            name: np.where(
                rows[name] == BLANK, BLANK, rows[name] - self.start[self._run]
            )
            for name in ("arrival", "departure")
        }
        self._bounds = bounds.tolist()
        self._counted = self._all(rows["seq"] == self._position + 1)
        attributes = rows["attributes"]
        self._alike = self._all(attributes == attributes[self.first][self._run])
        self._same = self._all(rows["arrival"] == rows["departure"])
        self._timed = self._all(rows["departure"] != BLANK)
        self._places, self._distance = self._scaled(rows["distance"])

    def hashes(self, *columns: str) -> Hashes:
        """128 bits a trip: a sum of row hashes, each mixed with its position."""
        lanes: list[Words] = []
        for lane in (0, 1):
            mixed = spread(self._position.astype(np.uint64) + np.uint64(1), lane)
            for column in columns:
                mixed = spread(mixed ^ self._rows[column].view(np.uint64), lane)
            lanes.append(np.add.reduceat(mixed, self.first))
        return lanes[0], lanes[1]

    def stop_pattern(self, at: int) -> str:
        """The stop pattern of trip ``at`` as COPY text, without its key."""
        a, z = self._bounds[at], self._bounds[at + 1]
        attributes = self._rows["attributes"][a : a + 1 if self._alike[at] else z]
        places = self._places[at]
        return (
            f"{array_text(self._rows['stop'][a:z])}\t"
            f"{NULL if self._counted[at] else array_text(self._rows['seq'][a:z])}\t"
            f"{array_text(attributes)}\t{max(places, 0)}\t"
            f"{NULL if places < 0 else array_text(self._distance[a:z])}"
        )

    def time_pattern(self, at: int) -> str:
        """The time pattern of trip ``at`` as COPY text, without its keys."""
        a, z = self._bounds[at], self._bounds[at + 1]
        arrival, departure = self._rows["arrival"][a:z], self._rows["departure"][a:z]
        due = (
            None
            if self._timed[at]
            else _due(arrival, departure, self._rows["distance"][a:z])
        )
        return (
            f"{array_text(arrival)}\t"
            f"{NULL if self._same[at] else array_text(departure)}\t"
            f"{NULL if due is None else array_text(due)}"
        )

    def _all(self, holds: Mask) -> list[bool]:
        every: list[bool] = np.logical_and.reduceat(holds, self.first).tolist()
        return every

    def _scaled(self, distance: Ints) -> tuple[list[int], Ints]:
        """Decimal places kept per trip (-1: all blank), and distances times their
        power of ten.
        """
        places = places_by_group(distance, self.first)
        scale = 10 ** (DISTANCE_PLACES - np.maximum(places, 0))[self._run]
        blank = distance == BLANK
        scaled = np.where(blank, BLANK, (distance + scale // 2) // scale)
        return places.tolist(), scaled


def _starts(rows: Rows, first: Ints) -> Ints:
    """Each trip's earliest time, 0 when it has none."""
    times = np.minimum(
        np.where(rows["arrival"] == BLANK, _MAX_INT4, rows["arrival"]),
        np.where(rows["departure"] == BLANK, _MAX_INT4, rows["departure"]),
    )
    start = np.minimum.reduceat(times, first)
    return np.where(start == _MAX_INT4, 0, start)


def array_text(values: Ints) -> str:
    """An integer array as PostgreSQL writes it."""
    text = str(values.tolist())[1:-1].replace(" ", "")
    return "{" + text.replace(str(BLANK), "NULL") + "}"


def places_by_group(distance: Ints, first: Ints) -> Ints:
    """The fewest decimal places (0, 2 or 5) that keep a group's distances exact, and
    at least 1 cm of them; -1 where all are blank.

    Distances have no unit: those below 1,000 are taken for kilometres.
    """
    blank = distance == BLANK
    known = np.where(blank, 0, distance)
    largest = np.maximum.reduceat(np.abs(known), first)
    places = np.where(largest < 1000 * 10**DISTANCE_PLACES, DISTANCE_PLACES, 2)
    for fewer in (2, 0):
        rest = known % 10 ** (DISTANCE_PLACES - fewer) != 0
        places[~np.logical_or.reduceat(rest, first)] = fewer
    places[np.logical_and.reduceat(blank, first)] = -1
    return places


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
