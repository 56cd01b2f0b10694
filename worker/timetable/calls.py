"""stop_times.txt as numeric rows: calls, checked, with keys in place of ids."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from worker.timetable import fields, hashing
from worker.timetable.archive import Archive
from worker.timetable.attributes import Attributes
from worker.timetable.blocks import Block
from worker.timetable.building import Building
from worker.timetable.files import SIMPLE, STOP_TIMES
from worker.timetable.keys import ABSENT
from worker.timetable.locate import Mask
from worker.timetable.patterns import DISTANCE_PLACES, Patterns
from worker.timetable.rows import Rows, ScatteredError, gathered, take, whole_groups
from worker.timetable.trips import KEPT, OF_ANOTHER_MODE, Trips, said

_ROW_BYTES = 40
_MAX_SEQUENCE = 2**31 - 1


def load_calls(
    building: Building,
    archive: Archive,
    trips: Trips,
    patterns: Patterns,
    attributes: Attributes,
) -> None:
    """Find the patterns of the kept trips' calls, and write them."""
    building.check_columns(archive, STOP_TIMES)
    calls = _Calls(
        building=building, archive=archive, trips=trips, attributes=attributes
    )
    try:
        _find(building, patterns, whole_groups(calls.rows(), len(trips.keys)))
    except ScatteredError:
        building.skips.forget(STOP_TIMES.name)
        building.skips.warn("stop_times.txt: the calls of a trip are not together")
        building.read_rows[STOP_TIMES.name] = 0
        expected = archive.members[STOP_TIMES.name].size // _ROW_BYTES
        pieces = gathered(calls.rows(), len(trips.keys), expected)
        building.rows[STOP_TIMES.name] = calls.before
        _find(building, patterns, whole_groups(pieces, len(trips.keys)))
    building.check_skipped(STOP_TIMES.name)


def _find(building: Building, patterns: Patterns, groups: Iterator[Rows]) -> None:
    for rows in groups:
        rows = _without_repeats(building, rows)
        building.rows[STOP_TIMES.name] += len(rows["group"])
        patterns.add(rows)
        building.sink.write("stop_patterns", patterns.stop_rows)
        building.sink.write("time_patterns", patterns.time_rows)
        patterns.stop_rows.clear()
        patterns.time_rows.clear()


def _without_repeats(building: Building, rows: Rows) -> Rows:
    """Without rows that repeat the stop_sequence of the row before."""
    same = (rows["group"][1:] == rows["group"][:-1]) & (
        rows["seq"][1:] == rows["seq"][:-1]
    )
    if not same.any():
        return rows
    repeats = np.flatnonzero(same) + 1
    for row in repeats.tolist():
        reason = f"stop_sequence {rows['seq'][row]} is there twice in its trip"
        building.skips.add(
            STOP_TIMES.name, int(rows["line"][row]), reason, kind="sequence"
        )
    return take(rows, np.delete(np.arange(len(rows["group"])), repeats))


@dataclass(kw_only=True, slots=True)
class _Calls:
    building: Building
    archive: Archive
    trips: Trips
    attributes: Attributes
    before: int = 0

    def rows(self) -> Iterator[Rows]:
        """The calls of the kept trips, as numbers."""
        self.before = self.building.rows[STOP_TIMES.name]
        for block in self.building.blocks(self.archive, STOP_TIMES.name):
            if len(block):
                yield self._rows_of(block)

    def _rows_of(self, block: Block) -> Rows:
        keys = self.trips.keys.find(hashing.hashes(block, "trip_id"))
        stops = self.building.key_table(SIMPLE["stops.txt"])
        arrival = fields.clocks(block, "arrival_time")
        departure = fields.clocks(block, "departure_time")
        seq = fields.integers(block, "stop_sequence")
        distance = fields.decimals(block, "shape_dist_traveled", DISTANCE_PLACES)
        rows = {
            "group": keys,
            "seq": seq.values,
            "stop": stops.find(hashing.hashes(block, "stop_id")),
            "attributes": self.attributes.keys(self.building, block),
            "arrival": arrival.values,
            "departure": departure.values,
            "distance": distance.values,
            "line": block.lines,
        }
        status = np.where(keys == ABSENT, ABSENT, self.trips.status[keys])
        kept = status == KEPT
        good = kept.copy()
        good &= ~self._leave_out(block, status == ABSENT, "trip_id", "is not known")
        broken = (status != ABSENT) & ~kept & (status != OF_ANOTHER_MODE)
        good &= ~self._leave_out(block, broken, "trip_id", "is left out of trips.txt")
        unknown = good & (rows["stop"] == ABSENT)
        good &= ~self._leave_out(block, unknown, "stop_id", "is not known")
        wrong = seq.bad | (seq.values < 0) | (seq.values > _MAX_SEQUENCE)
        good &= ~self._leave_out(
            block, good & wrong, "stop_sequence", "is not a whole number from 0 up"
        )
        for name, column in (("arrival_time", arrival), ("departure_time", departure)):
            good &= ~self._leave_out(
                block, good & column.bad, name, "is not a time HH:MM:SS"
            )
        good &= ~self._leave_out(
            block, good & distance.bad, "shape_dist_traveled", "is not a number"
        )
        if self.attributes.bad:
            at = np.flatnonzero(good)
            some = block.take(at)
            bad = self.attributes.leave_out(self.building, some, rows["attributes"][at])
            good[at[bad]] = False
        return rows if good.all() else take(rows, np.flatnonzero(good))

    def _leave_out(self, block: Block, which: Mask, column: str, why: str) -> Mask:
        rows = np.flatnonzero(which)
        self.building.skips.add_rows(
            STOP_TIMES.name,
            block.lines[rows].tolist(),
            lambda at: said(block, column, int(rows[at]), why),
            kind=column,
        )
        return which
