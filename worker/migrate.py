"""Migrations: numbered SQL files, applied in order, once, each in a transaction.

A file that was applied never changes: its checksum is kept, and a difference is
refused. Works on PostgreSQL 15 to 18 and on Supabase, as a role that owns the database.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from worker.clients.postgres import Connection
from worker.errors import PermanentError
from worker.policy import Policy

FOLDER = Path(__file__).with_name("migrations")

_LOCK = 7_431_905_116  # any number that nobody else locks; it names "our migrations"
_LEDGER = """
create schema if not exists ops;
create table if not exists ops.migrations (
    name text primary key,
    sha256 text not null,
    applied_at timestamptz not null default now()
);
alter table ops.migrations enable row level security;
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Migration:
    """One file: its name, its text and the checksum of the text."""

    name: str
    statements: str

    @property
    def sha256(self) -> str:
        """Checksum of the text, hexadecimal."""
        return hashlib.sha256(self.statements.encode()).hexdigest()


def migrations(folder: Path = FOLDER) -> list[Migration]:
    """Every file of the folder, in the order of its number."""
    return [
        Migration(name=path.stem, statements=path.read_text(encoding="utf-8"))
        for path in sorted(folder.glob("*.sql"))
    ]


def migrate(
    owner: Connection,
    policy: Policy,
    *,
    login: str,
    files: Sequence[Migration] | None = None,
) -> list[str]:
    """Apply what is not applied yet and return its names; none on a second run.

    ``owner`` is an autocommit connection of the database's owner; ``login``, the role
    that the worker logs in as, is made a member of every group. Two runs at once
    wait for each other. Raises PermanentError when an applied file has changed, or
    when a statement fails: that file then left nothing behind.
    """
    applied = []
    with owner.transaction():
        _lock(owner)
        owner.execute(_LEDGER)
    for file in migrations() if files is None else files:
        with owner.transaction():
            _lock(owner)
            if _is_applied(owner, file):
                continue
            _apply(owner, file)
        applied.append(file.name)
    _grant_groups(owner, policy, login)
    return applied


def pending(connection: Connection) -> list[str]:
    """Names of files that this database does not have; all of them on a new one."""
    ledger = connection.execute("select to_regclass('ops.migrations')").fetchone()
    if ledger is None or ledger[0] is None:
        return [file.name for file in migrations()]
    rows = connection.execute("select name from ops.migrations").fetchall()
    return [file.name for file in migrations() if (file.name,) not in rows]


def _lock(owner: Connection) -> None:
    owner.execute("select pg_advisory_xact_lock(%s)", (_LOCK,))


def _is_applied(owner: Connection, file: Migration) -> bool:
    row = owner.execute(
        "select sha256 from ops.migrations where name = %s", (file.name,)
    ).fetchone()
    if row is not None and row[0] != file.sha256:
        raise PermanentError(
            f"migration {file.name} was applied with other text; put the file back as "
            "it was and write the change as a new file"
        )
    return row is not None


def _apply(owner: Connection, file: Migration) -> None:
    try:
        owner.execute(file.statements.encode())
    except psycopg.Error as error:
        raise PermanentError(
            f"migration {file.name} failed and left nothing behind: "
            f"{str(error).splitlines()[0]}"
        ) from error
    owner.execute(
        "insert into ops.migrations (name, sha256) values (%s, %s)",
        (file.name, file.sha256),
    )


def _grant_groups(owner: Connection, policy: Policy, login: str) -> None:
    """Let the login act as each duty; a role that is not there is left alone."""
    there = owner.execute("select 1 from pg_roles where rolname = %s", (login,))
    if there.fetchone() is None:
        return
    groups = [role.group for role in policy.database.roles.values()]
    with owner.transaction():
        for group in groups:
            owner.execute(
                sql.SQL("grant {} to {}").format(
                    sql.Identifier(group), sql.Identifier(login)
                )
            )
