"""Is a loaded version fit to go live? Told before the swap, in sentences."""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from psycopg import Connection, sql

from worker.errors import PermanentError
from worker.policy.timetable import TimetableLimits
from worker.timetable.bundle import Shared

_NOT_EMPTY = ("stops.txt", "routes.txt", "trips.txt", "stop_times.txt")
Rows = Mapping[str, int]

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
    rows: Rows,
    before: Mapping[str, Any],
    shared: Shared,
    today: date,
    limits: TimetableLimits,
) -> list[str]:
    """Why the version must not replace the live one by itself; empty when it may.

    ``before`` is what the sync of the live version reported: ``rows`` by file and
    ``bundle_rows`` by bundle and file. Each bundle is judged for itself too, or the
    trains could vanish among the buses.
    """
    found = [f"{file} has no rows" for file in _NOT_EMPTY if not rows.get(file)]
    found += _collapses(before["rows"], rows, "", limits)
    for bundle, services in shared.services.items():
        whose = f" of the bundle {bundle}"
        brought = shared.rows[bundle]
        if rows.get("trips.txt"):
            found += [f"{f}{whose} has no rows" for f, n in brought.items() if not n]
        if not services.runs_on(today):
            found.append(f"no service{whose} runs on {today:%Y-%m-%d}")
        if len(shared.rows) > 1:
            earlier = before["bundle_rows"].get(bundle, {})
            found += _collapses(earlier, brought, whose, limits)
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
    before: Rows, rows: Rows, whose: str, limits: TimetableLimits
) -> Iterator[str]:
    for file in _NOT_EMPTY:
        was, now = before.get(file, 0), rows.get(file, 0)
        if now < limits.min_rows_fraction * was:
            yield f"{file}{whose} falls from {was} to {now} rows"
