"""Which schema is the live one: swapped by name, put back by name, dropped piecewise.

Renaming a schema locks none of its tables, so readers neither wait nor are waited for;
PostgreSQL plans every cached statement anew after it, by name.
"""

import time
from collections.abc import Callable

from psycopg import Connection, errors, sql

from worker.errors import PermanentError, TransientError
from worker.policy.timetable import TimetableLimits
from worker.timetable.names import LIVE, LOADING, PREVIOUS, loading_schema

Db = Connection[tuple[object, ...]]
Fence = Callable[[Db], None]
"""Called inside the transaction that makes work visible; raises when it may not."""

_KINDS = {"v": "VIEW", "r": "TABLE"}


def swap_in(connection: Db, schema: str, fence: Fence) -> None:
    """Make ``schema`` the live one and keep the live one as the previous; commits."""
    fence(connection)
    connection.execute("SET LOCAL synchronous_commit TO on")
    if schema_exists(connection, LIVE):
        _rename(connection, LIVE, PREVIOUS)
    _rename(connection, schema, LIVE)
    connection.commit()


def roll_back(connection: Db, fence: Fence) -> str:
    """Make the previous version live again and mark the live one rejected; commits.

    Returns the version that is live now. Raises PermanentError when there is none to
    go back to.
    """
    fence(connection)
    connection.execute("SET LOCAL synchronous_commit TO on")
    if not _has_version(connection, PREVIOUS):
        raise PermanentError(
            "there is no previous version to go back to: it was dropped when the "
            "last load began, or nothing was loaded before it"
        )
    connection.execute(
        sql.SQL("UPDATE {} SET rejected_at = now()").format(
            sql.Identifier(LIVE, "version")
        )
    )
    _rename(connection, LIVE, LOADING)
    _rename(connection, PREVIOUS, LIVE)
    _rename(connection, LOADING, PREVIOUS)
    (version,) = connection.execute("SELECT version FROM gtfs.version").fetchall()[0]
    connection.commit()
    return str(version)


def clear_space(
    connection: Db,
    limits: TimetableLimits,
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Drop the previous version and what a dead load left; one is left then; commits.

    The previous version is dropped piece by piece, so it is given up as a whole first:
    a rollback must never find half of it. Raises TransientError when readers hold a
    lock for too long, PermanentError when something outside depends on a version.
    """
    if schema_exists(connection, PREVIOUS):
        _refuse_dependents(connection, PREVIOUS)
        _rename(connection, PREVIOUS, loading_schema())
    connection.commit()
    for (schema,) in connection.execute(
        "SELECT nspname::text FROM pg_namespace WHERE starts_with(nspname, %s)",
        (LOADING,),
    ).fetchall():
        drop_version(connection, str(schema), limits, sleep=sleep)
    connection.commit()


def drop_version(
    connection: Db,
    schema: str,
    limits: TimetableLimits,
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Drop a version piece by piece, if it is there; commits.

    Raises as clear_space does.
    """
    if not schema_exists(connection, schema):
        return
    _refuse_dependents(connection, schema)
    where = sql.Identifier(schema)
    functions = connection.execute(
        "SELECT p.oid::regprocedure::text FROM pg_proc p "
        "JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = %s",
        (schema,),
    ).fetchall()
    relations = connection.execute(
        "SELECT c.relkind::text, c.relname::text FROM pg_class c "
        "JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = %s AND c.relkind IN ('v', 'r') ORDER BY c.relkind DESC",
        (schema,),
    ).fetchall()
    connection.commit()
    for kind, name in relations:
        statement = sql.SQL("DROP {} IF EXISTS {}").format(
            sql.SQL(_KINDS[str(kind)]),
            sql.Identifier(schema, str(name)),
        )
        _patiently(connection, statement, limits, sleep)
    for (function,) in functions:
        statement = sql.SQL("DROP FUNCTION IF EXISTS {}").format(sql.SQL(str(function)))
        _patiently(connection, statement, limits, sleep)
    _patiently(connection, sql.SQL("DROP SCHEMA {}").format(where), limits, sleep)


def schema_exists(connection: Db, schema: str) -> bool:
    """Whether there is a schema of that name."""
    found = connection.execute(
        "SELECT 1 FROM pg_namespace WHERE nspname = %s", (schema,)
    ).fetchone()
    return found is not None


def dependents(connection: Db, schema: str) -> list[str]:
    """Relations outside ``schema`` that depend on one inside: there must be none."""
    rows = connection.execute(
        "SELECT DISTINCT outside.oid::regclass::text "
        "FROM pg_depend d "
        "JOIN pg_class inside ON d.refclassid = 'pg_class'::regclass "
        "AND d.refobjid = inside.oid "
        "JOIN pg_namespace n ON n.oid = inside.relnamespace "
        "LEFT JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass "
        "AND d.objid = r.oid "
        "LEFT JOIN pg_constraint c ON d.classid = 'pg_constraint'::regclass "
        "AND d.objid = c.oid "
        "JOIN pg_class outside ON outside.oid = coalesce(r.ev_class, c.conrelid) "
        "WHERE n.nspname = %s AND outside.relnamespace <> n.oid",
        (schema,),
    ).fetchall()
    return [str(name) for (name,) in rows]


def _refuse_dependents(connection: Db, schema: str) -> None:
    if outside := dependents(connection, schema):
        raise PermanentError(
            f"{', '.join(outside)} depends on the timetable in {schema}; drop it, or "
            "let it name gtfs inside a function, then sync again"
        )


def _has_version(connection: Db, schema: str) -> bool:
    found = connection.execute(
        "SELECT to_regclass(%s) IS NOT NULL", (f"{schema}.version",)
    ).fetchall()
    return bool(found[0][0])


def _rename(connection: Db, old: str, new: str) -> None:
    connection.execute(
        sql.SQL("ALTER SCHEMA {} RENAME TO {}").format(
            sql.Identifier(old), sql.Identifier(new)
        )
    )


def _patiently(
    connection: Db,
    statement: sql.Composed,
    limits: TimetableLimits,
    sleep: Callable[[float], None],
) -> None:
    """One statement, tried again when a reader holds its lock; commits.

    Each wait is short, because new readers queue behind a waiting lock.
    """
    for attempt in range(limits.lock_attempts):
        try:
            connection.execute(f"SET LOCAL lock_timeout TO {limits.lock_timeout_ms}")
            connection.execute(statement)
            connection.commit()
            return
        except errors.LockNotAvailable:
            connection.rollback()
            sleep(min(5.0, 0.1 * 2**attempt))
    raise TransientError(
        f"a reader held the previous timetable for {limits.lock_attempts} tries; "
        "the live one is untouched, the next sync will try again"
    )
