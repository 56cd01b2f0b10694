"""shapes.txt as numeric rows: points, checked, with keys in place of ids."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from worker.timetable import fields
from worker.timetable.archive import Archive
from worker.timetable.attributes import Attributes
from worker.timetable.blocks import Block
from worker.timetable.building import Building
from worker.timetable.fields import BLANK
from worker.timetable.files import SHAPES
from worker.timetable.keys import ABSENT
from worker.timetable.locate import Mask
from worker.timetable.patterns import DISTANCE_PLACES
from worker.timetable.rows import Rows, ScatteredError, gathered, take, whole_groups
from worker.timetable.shape_keys import ShapeKeys
from worker.timetable.shapes import DEGREE_PLACES, Shapes
from worker.timetable.simple import extra_columns
from worker.timetable.trips import said

_ROW_BYTES = 36
_MAX_SHAPES = 1 << 22
_MAX_SEQUENCE = 2**31 - 1
_LIMITS = {"shape_pt_lat": 90, "shape_pt_lon": 180}


def load_points(
    building: Building,
    archive: Archive,
    keys: ShapeKeys,
    attributes: Attributes,
    *,
    only_used: bool,
) -> None:
    """Pack the shapes and write them; ``only_used`` leaves the others unread."""
    building.check_columns(archive, SHAPES)
    points = _Points(
        building=building,
        archive=archive,
        keys=keys,
        attributes=attributes,
        only_used=only_used,
    )
    before = building.rows[SHAPES.name]
    shapes = Shapes()
    try:
        _pack(building, shapes, whole_groups(points.rows(), _MAX_SHAPES))
    except ScatteredError:
        building.skips.forget(SHAPES.name)
        building.skips.warn("shapes.txt: the points of a shape are not together")
        building.read_rows[SHAPES.name] = 0
        building.rows[SHAPES.name] = before
        building.sink.flush()
        first = keys.known.next - len(keys.known)
        building.sink.execute(f"DELETE FROM shape_parts WHERE shape >= {first}")
        expected = archive.members[SHAPES.name].size // _ROW_BYTES
        pieces = gathered(points.rows(), keys.known.next, expected)
        _pack(building, shapes, whole_groups(pieces, keys.known.next))
    building.check_skipped(SHAPES.name)


def _pack(building: Building, shapes: Shapes, groups: Iterator[Rows]) -> None:
    for rows in groups:
        rows = _without_repeats(building, rows)
        building.rows[SHAPES.name] += len(rows["group"])
        shapes.add(rows)
        building.sink.write("shape_parts", shapes.part_rows)
        shapes.part_rows.clear()


def _without_repeats(building: Building, rows: Rows) -> Rows:
    same = (rows["group"][1:] == rows["group"][:-1]) & (
        rows["seq"][1:] == rows["seq"][:-1]
    )
    if not same.any():
        return rows
    repeats = np.flatnonzero(same) + 1
    building.skips.add_rows(
        SHAPES.name,
        rows["line"][repeats].tolist(),
        lambda at: f"shape_pt_sequence {rows['seq'][repeats[at]]} is there twice",
        kind="sequence",
    )
    return take(rows, np.delete(np.arange(len(rows["group"])), repeats))


@dataclass(kw_only=True, slots=True)
class _Points:
    building: Building
    archive: Archive
    keys: ShapeKeys
    attributes: Attributes
    only_used: bool

    def rows(self) -> Iterator[Rows]:
        """The points of the shapes to keep, as numbers."""
        for block in self.building.blocks(self.archive, SHAPES.name):
            if len(block):
                yield self._rows_of(block)

    def _rows_of(self, block: Block) -> Rows:
        keys = self.keys.keys(block, add=not self.only_used)
        latitude = fields.decimals(block, "shape_pt_lat", DEGREE_PLACES)
        longitude = fields.decimals(block, "shape_pt_lon", DEGREE_PLACES)
        seq = fields.integers(block, "shape_pt_sequence")
        distance = fields.decimals(block, "shape_dist_traveled", DISTANCE_PLACES)
        rows = {
            "group": keys,
            "seq": seq.values,
            "latitude": latitude.values,
            "longitude": longitude.values,
            "distance": distance.values,
            "line": block.lines,
        }
        if extra_columns(block, SHAPES):
            rows["attributes"] = self.attributes.keys(self.building, block)
        good = keys != ABSENT
        index = block.columns["shape_id"]
        blank = block.starts[:, index] == block.ends[:, index]
        self._leave_out(block, blank, "shape_id", "")
        for name, column in (("shape_pt_lat", latitude), ("shape_pt_lon", longitude)):
            limit = _LIMITS[name] * 10**DEGREE_PLACES
            wrong = (
                column.bad | (np.abs(column.values) > limit) | (column.values == BLANK)
            )
            good &= ~self._leave_out(
                block, good & wrong, name, "is not a number of degrees"
            )
        wrong = seq.bad | (seq.values < 0) | (seq.values > _MAX_SEQUENCE)
        good &= ~self._leave_out(
            block, good & wrong, "shape_pt_sequence", "is not a whole number from 0 up"
        )
        good &= ~self._leave_out(
            block, good & distance.bad, "shape_dist_traveled", "is not a number"
        )
        return rows if good.all() else take(rows, np.flatnonzero(good))

    def _leave_out(self, block: Block, which: Mask, column: str, why: str) -> Mask:
        rows = np.flatnonzero(which)
        self.building.skips.add_rows(
            SHAPES.name,
            block.lines[rows].tolist(),
            lambda at: said(block, column, int(rows[at]), why),
            kind=column,
        )
        return which
