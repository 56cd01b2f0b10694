"""What is loaded: the live version, where it came from, whether a sync is due."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg import Connection, errors, sql

from worker.timetable.names import LAYOUT, LIVE, PREVIOUS

Db = Connection[tuple[object, ...]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Version:
    """A loaded version. ``bundles`` are {name, sha256, etag, modified} as received;
    ``result`` is what its sync reported.
    """

    version: str
    loaded_at: datetime
    checked_at: datetime
    rejected: bool
    bundles: list[dict[str, str]]
    result: dict[str, Any]

    def hashes(self) -> dict[str, str]:
        """The hash of each bundle by name."""
        return {bundle["name"]: bundle["sha256"] for bundle in self.bundles}


def live_version(connection: Db) -> Version | None:
    """The version that readers see, or None; commits."""
    return _version(connection, LIVE)


def rejected_version(connection: Db) -> Version | None:
    """The version that a rollback took out of service, while it is kept; commits."""
    previous = _version(connection, PREVIOUS)
    return previous if previous and previous.rejected else None


def mark_checked(connection: Db) -> None:
    """Note that the live version was found unchanged; commits."""
    connection.execute("UPDATE gtfs.version SET checked_at = now()")
    connection.commit()


def is_due(connection: Db, now: datetime, *, every: timedelta) -> bool:
    """Whether no sync has loaded or confirmed a version within ``every``; commits."""
    live = live_version(connection)
    return live is None or now - live.checked_at > every


def _version(connection: Db, schema: str) -> Version | None:
    try:
        row = connection.execute(
            sql.SQL(
                "SELECT version, loaded_at, checked_at, rejected_at IS NOT NULL, "
                "bundles, result FROM {} WHERE layout = %s"
            ).format(sql.Identifier(schema, "version")),
            (LAYOUT,),
        ).fetchone()
    except (errors.UndefinedTable, errors.UndefinedColumn, errors.InvalidSchemaName):
        connection.rollback()
        return None
    connection.commit()
    if row is None:
        return None
    version, loaded_at, checked_at, rejected, bundles, result = row
    return Version(
        version=str(version),
        loaded_at=loaded_at,  # type: ignore[arg-type]
        checked_at=checked_at,  # type: ignore[arg-type]
        rejected=bool(rejected),
        bundles=bundles,  # type: ignore[arg-type]
        result=result,  # type: ignore[arg-type]
    )
