"""Is a loaded version fit to go live? Told before the swap, in sentences."""

from datetime import date
from zoneinfo import ZoneInfo

from psycopg import Connection, sql

from worker.errors import PermanentError
from worker.policy.timetable import TimetableLimits
from worker.timetable.bundle import Shared

_NOT_EMPTY = ("stops.txt", "routes.txt", "trips.txt", "stop_times.txt")

_LOOSE_REFERENCES = {
    "stops.txt: a parent_station is not known": (
        "SELECT s.stop_id FROM stops_rows s LEFT JOIN stops_rows p "
        "ON p.stop_id = s.parent_station "
        "WHERE s.parent_station IS NOT NULL AND p.stop_id IS NULL LIMIT 1"
    ),
    "routes.txt: an agency_id is not known": (
        "SELECT r.route_id FROM routes_rows r LEFT JOIN agency_rows a "
        "ON a.agency_id = r.agency_id "
        "WHERE r.agency_id IS NOT NULL AND a.ctid IS NULL LIMIT 1"
    ),
    "trips.txt: a shape_id has no points": (
        "SELECT i.shape_id FROM shape_ids i LEFT JOIN shape_parts p USING (shape) "
        "WHERE p.shape IS NULL LIMIT 1"
    ),
    "trips.txt: a trip has no stop_times": (
        "SELECT trip_id FROM trip_rows WHERE time_pattern IS NULL LIMIT 1"
    ),
}
"""What an app can live with; reported with one example."""


def refusals(
    rows: dict[str, int],
    before: dict[str, int],
    shared: Shared,
    today: date,
    limits: TimetableLimits,
) -> list[str]:
    """Why the version must not replace the live one by itself; empty when it may.

    ``before`` are the rows of the live version, by file.
    """
    found = [f"{name} has no rows" for name in _NOT_EMPTY if not rows.get(name)]
    if not any(services.runs_on(today) for services in shared.services):
        found.append(f"no service runs on {today:%Y-%m-%d}")
    found += _collapses(before, rows, limits)
    return found


def zone(timezone: str) -> ZoneInfo:
    """The agency's time zone; raises PermanentError when there is none of that name."""
    try:
        return ZoneInfo(timezone)
    except (KeyError, ValueError, OSError):
        raise PermanentError(
            f"agency.txt:2: agency_timezone '{timezone}' is not a time zone"
        ) from None


def loose_references(
    connection: Connection[tuple[object, ...]], schema: str
) -> list[str]:
    """References that lead nowhere but break no query, one example each."""
    warnings = []
    connection.execute(
        sql.SQL("SET LOCAL search_path TO {}, pg_catalog").format(
            sql.Identifier(schema)
        )
    )
    for sentence, query in _LOOSE_REFERENCES.items():
        example = connection.execute(query.encode()).fetchone()
        if example:
            warnings.append(f"{sentence} ({example[0]})")
    connection.commit()
    return warnings


def _collapses(
    before: dict[str, int], rows: dict[str, int], limits: TimetableLimits
) -> list[str]:
    return [
        f"{name} falls from {before[name]} to {rows.get(name, 0)} rows"
        for name in _NOT_EMPTY
        if rows.get(name, 0) < limits.min_rows_fraction * before.get(name, 0)
    ]
