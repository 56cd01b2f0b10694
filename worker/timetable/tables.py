"""A version's schema: made, read by those who read the live one, indexed, dropped."""

from importlib import resources

from psycopg import Connection, sql

from worker.timetable.files import PG_TYPES, SIMPLE, File
from worker.timetable.names import LIVE
from worker.timetable.sink import Sink

_OTHER = """
create table other_rows (file text not null, line integer not null, row jsonb);
create view other_files as select file, line, row from other_rows;
"""


def create_version(connection: Connection[tuple[object, ...]], schema: str) -> None:
    """Make the empty tables, views and functions of a version; commits.

    Roles that may use the live schema may use and read this one too.
    """
    connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
    connection.execute(
        sql.SQL("SET LOCAL search_path TO {}, pg_catalog").format(
            sql.Identifier(schema)
        )
    )
    # The functions name the live schema, which this one is not yet.
    connection.execute("SET LOCAL check_function_bodies TO off")
    for file in SIMPLE.values():
        connection.execute(_simple_table(file))
    connection.execute(_OTHER)
    for name in ("schema.sql", "functions.sql"):
        connection.execute(_script(name))
    for file in SIMPLE.values():
        connection.execute(_simple_view(file))
    _grant_readers(connection, schema)
    connection.commit()


def index_version(sink: Sink) -> None:
    """Make the keys and indexes, and gather statistics; each its own transaction."""
    for statement in _statements(_script("indexes.sql").decode()):
        sink.execute(statement)
    for (table,) in sink.connection.execute(
        "SELECT tablename FROM pg_tables WHERE schemaname = %s", (sink.schema,)
    ).fetchall():
        sink.execute(f'ANALYZE "{table}"')


def _script(name: str) -> bytes:
    return resources.files("worker.timetable").joinpath(name).read_bytes()


def _statements(script: str) -> list[str]:
    lines = [line for line in script.splitlines() if not line.startswith("--")]
    return [part.strip() for part in "\n".join(lines).split(";") if part.strip()]


def _number_column(file: File) -> str:
    return file.view.removesuffix("s")


def _simple_table(file: File) -> bytes:
    columns = [f"{name} {PG_TYPES[kind]}" for name, kind in file.columns.items()]
    if file.numbered:
        columns.insert(0, f"{_number_column(file)} integer not null")
    return (
        f"create table {file.table} ({', '.join([*columns, 'extra jsonb'])})".encode()
    )


def _simple_view(file: File) -> bytes:
    columns = [
        f"clock({name}) as {name}" if kind == "clock" else name
        for name, kind in file.columns.items()
    ]
    chosen = ", ".join([*columns, "extra"])
    return f"create view {file.view} as select {chosen} from {file.table}".encode()


def _grant_readers(connection: Connection[tuple[object, ...]], schema: str) -> None:
    readers = connection.execute(
        "SELECT DISTINCT grantee FROM pg_namespace n, aclexplode(n.nspacl) "
        "AS a (grantor, grantee, privilege, grantable) "
        "WHERE n.nspname = %s AND privilege = 'USAGE' AND grantee <> n.nspowner",
        (LIVE,),
    ).fetchall()
    for (oid,) in readers:
        (name,) = connection.execute(
            "SELECT CASE WHEN %s::oid = 0 THEN 'public' ELSE "
            "quote_ident(pg_get_userbyid(%s::oid)) END",
            (oid, oid),
        ).fetchall()[0]
        grantee = sql.SQL(str(name))
        where = sql.Identifier(schema)
        connection.execute(
            sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(where, grantee)
        )
        connection.execute(
            sql.SQL("GRANT SELECT ON ALL TABLES IN SCHEMA {} TO {}").format(
                where, grantee
            )
        )
