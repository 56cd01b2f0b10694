"""trips.txt, read twice: first who belongs to the version, then, when the patterns are
known, the rows themselves.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from worker.timetable import hashing
from worker.timetable.archive import Archive
from worker.timetable.attributes import Attributes
from worker.timetable.blocks import Block
from worker.timetable.building import Building
from worker.timetable.files import SIMPLE, TRIPS
from worker.timetable.keys import ABSENT, Hashes, Interned, KeyTable
from worker.timetable.locate import Ints, Mask
from worker.timetable.patterns import NULL, TripTimes
from worker.timetable.shape_keys import ShapeKeys
from worker.timetable.sink import copy_text

Statuses = npt.NDArray[np.uint8]
KEPT, OF_ANOTHER_MODE, LEFT_OUT = 0, 1, 2


@dataclass(kw_only=True, slots=True)
class Trips:
    """The trips of one bundle in file order; who of them is kept, and why not.

    What a trip refers to is looked up again when it is written: cheaper than held.
    """

    keys: KeyTable
    status: Statuses
    routes: KeyTable
    services: Interned
    shapes: ShapeKeys

    def kept(self, hashed: Hashes) -> Ints:
        """The key of each trip id, ABSENT when it is unknown or not kept."""
        keys = self.keys.find(hashed)
        known = keys != ABSENT
        keys[known] = np.where(self.status[keys[known]] == KEPT, keys[known], ABSENT)
        return keys


def scan_trips(
    building: Building,
    archive: Archive,
    *,
    services: Interned,
    other_routes: KeyTable,
    shapes: ShapeKeys,
    elsewhere: list[KeyTable],
) -> Trips:
    """Who is kept: routes and services known, the id new here and ``elsewhere``.

    ``other_routes`` are those that another bundle is trusted for.
    """
    building.check_columns(archive, TRIPS)
    routes = building.key_table(SIMPLE["routes.txt"])
    keys = KeyTable()
    parts: list[Statuses] = []
    skips = building.skips
    for block in building.blocks(archive, TRIPS.name):
        if not len(block):
            continue
        hashed = hashing.hashes(block, "trip_id")
        keys.add(hashed)
        route_hash = hashing.hashes(block, "route_id")
        route = routes.find(route_hash)
        other = other_routes.find(route_hash) != ABSENT
        service, _ = services.keys(hashing.hashes(block, "service_id"), add=False)
        status = np.zeros(len(block), np.int64)
        status[other] = OF_ANOTHER_MODE
        for column, unknown in (
            ("trip_id", block.starts[:, block.columns["trip_id"]]
             == block.ends[:, block.columns["trip_id"]]),
            ("route_id", route == ABSENT),
            ("service_id", service == ABSENT),
        ):  # fmt: skip
            _leave_out(building, block, status, column, unknown)
        for table in elsewhere:
            twice = (table.find(hashed) != ABSENT) & (status == KEPT)
            status[twice] = LEFT_OUT
            lines = block.lines[twice].tolist()
            skips.add_rows(
                TRIPS.name, lines, lambda _: "trip_id is in an earlier bundle", "twice"
            )
        shapes.keys(block.take(np.flatnonzero(status == KEPT)))
        parts.append(status.astype(np.uint8))
    trips = Trips(
        keys=keys,
        status=np.concatenate(parts) if parts else np.empty(0, np.uint8),
        routes=routes,
        services=services,
        shapes=shapes,
    )
    _leave_out_repeated(building, archive, trips)
    building.check_skipped(TRIPS.name)
    return trips


def write_trips(
    building: Building,
    archive: Archive,
    trips: Trips,
    times: TripTimes,
    attributes: Attributes,
    repeated: KeyTable,
) -> None:
    """The rows of the trips that are kept; ``repeated`` ids have frequencies."""
    at = 0
    for block in building.blocks(archive, TRIPS.name, count=False):
        here = slice(at, at + len(block))
        at += len(block)
        which = np.flatnonzero(trips.status[here] == KEPT)
        if not len(which):
            continue
        kept = block.take(which)
        rows = which + here.start
        combined = attributes.keys(building, kept)
        often = repeated.find(hashing.hashes(kept, "trip_id")) != ABSENT
        service_hash = hashing.hashes(kept, "service_id")
        lines = [
            f"{route}\t{service}\t{shape if shape >= 0 else NULL}\t{combination}\t"
            f"{pattern or NULL}\t{start}\t{'t' if again else 'f'}\t{copy_text(trip)}\t"
            f"{copy_text(short)}\t{copy_text(block_id)}\n"
            for route, service, shape, combination, pattern, start, again, trip, short,
            block_id in zip(
                trips.routes.find(hashing.hashes(kept, "route_id")).tolist(),
                trips.services.keys(service_hash, add=False)[0].tolist(),
                trips.shapes.keys(kept, add=False).tolist(),
                combined.tolist(),
                times.pattern[rows].tolist(),
                times.start[rows].tolist(),
                often.tolist(),
                kept.texts("trip_id"),
                kept.texts("trip_short_name"),
                kept.texts("block_id"),
                strict=True,
            )
            if combination not in attributes.bad
        ]  # fmt: skip
        attributes.leave_out(building, kept, combined)
        building.sink.write("trip_rows", lines)
        building.rows[TRIPS.name] += len(lines)
    building.check_skipped(TRIPS.name)


def _leave_out(
    building: Building, block: Block, status: Ints, column: str, unknown: Mask
) -> None:
    """Leave rows out whose ``column`` is blank or names nothing that is known."""
    rows = np.flatnonzero(unknown & (status == KEPT))
    status[rows] = LEFT_OUT
    building.skips.add_rows(
        TRIPS.name,
        block.lines[rows].tolist(),
        lambda at: said(block, column, int(rows[at]), "is not known"),
        kind=column,
    )


def said(block: Block, column: str, row: int, why: str) -> str:
    """A reason that quotes the value."""
    value = block.text(column, row)
    return f"{column} {value} {why}" if value else f"{column} is blank"


def _leave_out_repeated(building: Building, archive: Archive, trips: Trips) -> None:
    repeated = trips.keys.repeated()
    if not repeated:
        return
    at = 0
    for block in building.blocks(archive, TRIPS.name, count=False):
        for row in range(len(block)):
            if at + row in repeated and trips.status[at + row] == KEPT:
                trips.status[at + row] = LEFT_OUT
                reason = f"trip_id {block.text('trip_id', row)} is there twice"
                building.skips.add(
                    TRIPS.name, int(block.lines[row]), reason, kind="twice"
                )
        at += len(block)
