"""PostgreSQL: one connection per role and process, time-limited, failures named.

A connection is kept open for the next task of the same process, because opening one
costs several round trips and a TLS handshake; it is dropped after any failure of the
link, and never shared with a forked child.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import psycopg
from psycopg import errors, sql

from worker.errors import PermanentError, TransientError, UsageError, WorkerError
from worker.policy import Policy
from worker.policy.database import Database, Role

Connection = psycopg.Connection[tuple[object, ...]]

_TRANSACTION_POOLER_PORT = 6543
_kept: dict[tuple[int, int, str, str], Connection] = {}

_NOT_MIGRATED = (
    errors.InvalidSchemaName,
    errors.UndefinedTable,
    errors.UndefinedColumn,
    errors.UndefinedFunction,
    errors.InsufficientPrivilege,
)
_REFUSED = ("authentication failed", "does not exist", "no pg_hba.conf entry")


@contextmanager
def connect(url: str, role: str, policy: Policy) -> Iterator[Connection]:
    """A connection that acts as ``worker_<role>``, in a transaction of its own.

    What the block leaves uncommitted is committed at its end, or rolled back when it
    raises. The same connection serves the next block of this thread; a block inside a
    block is given another one. Raises TransientError when the server, the link, a lock
    or a time limit fails, PermanentError when the login or a privilege is refused or
    the schema is not there, UsageError for a transaction-mode pooler.
    """
    key = (os.getpid(), threading.get_ident(), url, role)
    row = policy.database.roles[role]
    with _named_errors(row.group):
        connection = _reused(_kept.pop(key, None), row)
        if connection is None:
            connection = _connection(url, policy.database, f"worker-{role}")
            _act_as(connection, row)
        try:
            yield connection
            connection.commit()
        except BaseException:
            _rollback(connection)
            raise
        finally:
            if connection.closed or key in _kept:
                connection.close()
            else:
                _kept[key] = connection


@contextmanager
def connect_as_owner(url: str, policy: Policy) -> Iterator[Connection]:
    """A new connection as the login role itself, autocommit, for migrations.

    Errors as those of :func:`connect`.
    """
    with (
        _named_errors("the owner"),
        _connection(url, policy.database, "worker-migrate") as connection,
    ):
        yield connection


def close_all() -> None:
    """Close what this process keeps open; the next block opens again."""
    for key in [key for key in _kept if key[0] == os.getpid()]:
        _kept.pop(key).close()


@contextmanager
def _named_errors(group: str) -> Iterator[None]:
    """Name every psycopg failure within; the text holds no address and no password."""
    try:
        yield
    except WorkerError:
        raise
    except _NOT_MIGRATED as error:
        raise PermanentError(
            f"PostgreSQL refused {group}: {_line(error)}; "
            "if it is not up to date, run `python -m worker migrate`"
        ) from error
    except (psycopg.OperationalError, errors.ReadOnlySqlTransaction) as error:
        # The link, the server, a lock, a deadlock, a time limit, a full disk.
        raise TransientError(
            f"PostgreSQL failed {group}: {type(error).__name__}: {_line(error)}"
        ) from error


def _act_as(connection: Connection, role: Role) -> None:
    """Take on the role and its limits: one round trip, outside a transaction.

    SET rather than start-up options, which session-mode poolers refuse.
    """
    connection.autocommit = True
    limits = {
        "statement_timeout": role.statement_timeout_s,
        "lock_timeout": role.lock_timeout_s,
        "idle_in_transaction_session_timeout": role.idle_in_transaction_s,
    }
    settings = [
        sql.SQL("SET {} = {}").format(sql.Identifier(name), f"{seconds}s")
        for name, seconds in limits.items()
    ]
    settings.append(sql.SQL("SET ROLE {}").format(sql.Identifier(role.group)))
    try:
        connection.execute(sql.SQL("; ").join(settings))
    except (errors.InsufficientPrivilege, errors.InvalidParameterValue) as error:
        connection.close()
        raise PermanentError(
            f"PostgreSQL does not let this login act as {role.group} ({_line(error)}); "
            "run `python -m worker migrate` as the owner of the database"
        ) from None
    connection.autocommit = False


def _reused(connection: Connection | None, role: Role) -> Connection | None:
    """The kept connection with its role and limits set anew; None when it is dead."""
    if connection is None or connection.closed:
        return None
    try:
        _act_as(connection, role)
    except psycopg.OperationalError:
        connection.close()
        return None
    return connection


def _connection(url: str, database: Database, name: str) -> Connection:
    if urlsplit(url).port == _TRANSACTION_POOLER_PORT:
        raise UsageError(
            "DATABASE_URL names a transaction-mode pooler (port "
            f"{_TRANSACTION_POOLER_PORT}), where a role and its limits would pass to "
            "the next client; use session mode or the direct address, port 5432"
        )
    try:
        return psycopg.connect(
            url,
            autocommit=True,
            application_name=name,
            prepare_threshold=None,  # a pooler may serve the next session elsewhere
            connect_timeout=database.connect_timeout_s,
            keepalives_idle=database.keepalives_idle_s,
            keepalives_interval=database.keepalives_interval_s,
            keepalives_count=database.keepalives_count,
            # Keepalives see an idle link; a COPY under way would wait 15 minutes.
            tcp_user_timeout=database.dead_peer_s * 1000,
        )
    except psycopg.ProgrammingError as error:
        raise UsageError(
            f"DATABASE_URL cannot be read ({_line(error)}); it should look like "
            "postgresql://user@127.0.0.1:5432/postgres"
        ) from None
    except psycopg.OperationalError as error:
        if any(words in str(error) for words in _REFUSED):
            raise PermanentError(
                f"PostgreSQL refused the login: {_line(error)}; check DATABASE_URL"
            ) from None
        raise


def _rollback(connection: Connection) -> None:
    try:
        connection.rollback()
    except psycopg.Error:
        connection.close()


def _line(error: psycopg.Error) -> str:
    return (str(error).splitlines() or [""])[0]
