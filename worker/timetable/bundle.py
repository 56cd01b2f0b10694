"""One bundle into the version that is being built: its files, in dependency order."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from worker.errors import PermanentError
from worker.timetable import hashing
from worker.timetable.archive import Archive
from worker.timetable.attributes import Attributes
from worker.timetable.building import Building
from worker.timetable.calendars import Services
from worker.timetable.calls import load_calls
from worker.timetable.files import (
    CALENDAR_FILES,
    CALL_ATTRIBUTES,
    COMPACT,
    REQUIRED_FILES,
    SHAPES,
    SIMPLE,
    STOP_TIMES,
    TRIP_ATTRIBUTES,
    TRIPS,
)
from worker.timetable.keys import Interned, KeyTable
from worker.timetable.patterns import Patterns, TripTimes
from worker.timetable.points import load_points
from worker.timetable.services import load_services
from worker.timetable.shape_keys import ShapeKeys
from worker.timetable.simple import Row, load_other, load_simple
from worker.timetable.trips import Trips, scan_trips, write_trips

_SPECIAL = ("routes.txt", "calendar.txt", "calendar_dates.txt", "frequencies.txt")


@dataclass(frozen=True, kw_only=True, slots=True)
class Trust:
    """The route types that a bundle is trusted for: ``only`` these, or all ``but``."""

    only: tuple[int, ...] | None = None
    but: tuple[int, ...] = ()

    @property
    def limited(self) -> bool:
        """Whether some type is not trusted."""
        return self.only is not None or bool(self.but)

    def covers(self, route_type: str) -> bool:
        """Whether a route of this type, as written, is taken from the bundle."""
        if not route_type.strip().isdigit():
            return True
        number = int(route_type)
        return number in self.only if self.only is not None else number not in self.but


@dataclass(kw_only=True)
class Shared:
    """What only bundles share: patterns, combinations, keys given so far.

    ``services`` and ``rows`` (of trips.txt and stop_times.txt) are by bundle.
    """

    patterns: Patterns = field(default_factory=lambda: Patterns(trips=TripTimes.of(0)))
    trip_attributes: Attributes = field(
        default_factory=lambda: Attributes(
            file=TRIPS, columns=TRIP_ATTRIBUTES, table="trip_attributes"
        )
    )
    call_attributes: Attributes = field(
        default_factory=lambda: Attributes(
            file=STOP_TIMES, columns=CALL_ATTRIBUTES, table="call_attributes"
        )
    )
    point_attributes: Attributes = field(
        default_factory=lambda: Attributes(
            file=SHAPES, columns=(), table="point_attributes"
        )
    )
    trip_keys: list[KeyTable] = field(default_factory=list)
    shapes: list[Interned] = field(default_factory=list)
    service_ids: set[str] = field(default_factory=set)
    services: dict[str, Services] = field(default_factory=dict)
    rows: dict[str, dict[str, int]] = field(default_factory=dict)
    next_service: int = 1
    next_shape: int = 1


def load_bundle(
    building: Building, shared: Shared, archive: Archive, *, name: str, trust: Trust
) -> None:
    """Load what ``trust`` covers of ``archive``; ``name`` marks ids that collide.

    The archive passed ``check_files``. Raises PermanentError when a required column is
    missing or too many rows of a file would be left out.
    """
    with building.judged_alone():
        _load(building, shared, archive, name=name, trust=trust)


def _load(
    building: Building, shared: Shared, archive: Archive, *, name: str, trust: Trust
) -> None:
    before = {file.name: building.rows[file.name] for file in (TRIPS, STOP_TIMES)}
    with building.stage("small"):
        other_routes = KeyTable()
        for file in SIMPLE.values():
            if file.name not in archive.members or file.name in _SPECIAL:
                continue
            if file.name not in REQUIRED_FILES and building.is_empty(archive, file):
                building.skips.warn(f"{file.name} is empty")
            else:
                load_simple(building, archive, file)
        _load_routes(building, archive, trust, other_routes)
        services, service_keys = load_services(
            building, archive, shared.service_ids, shared.next_service, name
        )
    shapes = ShapeKeys(
        sink=building.sink,
        bundle=name,
        known=Interned(shared.next_shape),
        elsewhere=shared.shapes,
    )
    with building.stage("trips"):
        trips = scan_trips(
            building,
            archive,
            services=service_keys,
            other_routes=other_routes,
            shapes=shapes,
            elsewhere=shared.trip_keys,
        )
    shared.patterns.trips = TripTimes.of(len(trips.keys))
    if SHAPES.name in archive.members:
        with building.stage("shapes"):
            load_points(
                building,
                archive,
                shapes,
                shared.point_attributes,
                only_used=trust.limited,
            )
    with building.stage("stop_times"):
        load_calls(building, archive, trips, shared.patterns, shared.call_attributes)
    with building.stage("trips"):
        repeated = _load_frequencies(building, archive, trips)
        write_trips(
            building,
            archive,
            trips,
            shared.patterns.trips,
            shared.trip_attributes,
            repeated,
        )
    with building.stage("small"):
        known = {*SIMPLE, *COMPACT}
        for other in sorted(set(archive.members) - known):
            load_other(building, archive, other)
    for warning in archive.warnings:
        building.skips.warn(warning)
    trips.keys.drop(_left_out(trips))
    shared.trip_keys.append(trips.keys)
    shared.services[name] = services
    shared.rows[name] = {
        file: building.rows[file] - rows for file, rows in before.items()
    }
    shared.next_shape = shapes.known.next
    shared.shapes.append(shapes.known)
    shared.next_service = service_keys.next


def check_files(archive: Archive) -> None:
    """Raise PermanentError when the archive lacks a file that no feed is without."""
    missing = [name for name in REQUIRED_FILES if name not in archive.members]
    if missing:
        raise PermanentError(f"the required file {', '.join(missing)} is missing")
    if not any(name in archive.members for name in CALENDAR_FILES):
        raise PermanentError(f"neither {' nor '.join(CALENDAR_FILES)} is there")


def check_headers(building: Building, archive: Archive) -> None:
    """Raise PermanentError when a file that no feed is without lacks a column."""
    for name in (*REQUIRED_FILES, *CALENDAR_FILES):
        file = {**SIMPLE, **COMPACT}[name]
        if name in REQUIRED_FILES or (
            name in archive.members and not building.is_empty(archive, file)
        ):
            building.check_columns(archive, file)


def _load_routes(
    building: Building, archive: Archive, trust: Trust, other_routes: KeyTable
) -> None:
    def accept(row: Row, _line: int) -> bool:
        return trust.covers(row["route_type"])

    file = SIMPLE["routes.txt"]
    load_simple(building, archive, file, accept if trust.limited else None)
    if trust.limited:
        for block in building.blocks(archive, file.name, count=False):
            types = block.texts("route_type")
            others = [at for at, kind in enumerate(types) if not trust.covers(kind)]
            chosen = block.take(np.array(others, np.int64))
            other_routes.add(hashing.hashes(chosen, "route_id"))


def _load_frequencies(building: Building, archive: Archive, trips: Trips) -> KeyTable:
    repeated = KeyTable()
    file = SIMPLE["frequencies.txt"]
    if file.name not in archive.members or building.is_empty(archive, file):
        return repeated

    def accept(row: Row, line: int) -> bool:
        hashed = hashing.hash_texts([row["trip_id"]])
        if int(trips.kept(hashed)[0]) < 0:
            if int(trips.keys.find(hashed)[0]) < 0:
                reason = f"trip_id {row['trip_id']} is not known"
                building.skips.add(file.name, line, reason, kind="trip_id")
            return False
        repeated.add(hashed)
        return True

    load_simple(building, archive, file, accept)
    return repeated


def _left_out(trips: Trips) -> Iterable[int]:
    found: list[int] = np.flatnonzero(trips.status).tolist()
    return found
