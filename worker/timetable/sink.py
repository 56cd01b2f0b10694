"""Rows on their way to PostgreSQL: gathered per table, sent by COPY, committed."""

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from psycopg import Connection, sql

from worker.timetable.patterns import NULL

_LINES_AT_ONCE = 256
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def copy_text(value: str) -> str:
    """A text as COPY reads it; blank is NULL."""
    return value.translate(_ESCAPES) if value else NULL


class Sink:
    """Sends COPY lines to the tables of one schema, each batch its own transaction.

    One batch is on its way at most, by a thread of its own, while the next is gathered;
    ``connection`` is the caller's after ``flush``, ``execute`` and the ``with`` block.
    ``check`` is called before every batch and may raise to end the load.
    """

    def __init__(
        self,
        connection: Connection[tuple[object, ...]],
        schema: str,
        *,
        copy_bytes: int,
        check: Callable[[], None],
    ) -> None:
        self.connection = connection
        self.schema = schema
        self._copy_bytes = copy_bytes
        self._check = check
        self._waiting: dict[str, list[str]] = {}
        self._sizes: dict[str, int] = {}
        self._sender = ThreadPoolExecutor(1, thread_name_prefix="copy")
        self._sending: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._sender.shutdown()

    def write(self, table: str, lines: Iterable[str]) -> None:
        """Queue lines in the table's column order; sends when there are enough."""
        waiting = self._waiting.setdefault(table, [])
        before = len(waiting)
        waiting.extend(lines)
        size = self._sizes.get(table, 0) + sum(map(len, waiting[before:]))
        self._sizes[table] = size
        if size >= self._copy_bytes:
            self._send(table)

    def flush(self) -> None:
        """Send all that waits."""
        for table in list(self._waiting):
            self._send(table)
        self._settle()

    def execute(self, statement: str) -> None:
        """Run one statement with the version's schema as the search path; commit."""
        self._settle()
        self._check()
        self.connection.execute(
            sql.SQL("SET LOCAL search_path TO {}, pg_catalog").format(
                sql.Identifier(self.schema)
            )
        )
        self.connection.execute(statement.encode())
        self.connection.commit()

    def _send(self, table: str) -> None:
        lines = self._waiting.pop(table)
        self._sizes.pop(table, None)
        if not lines:
            return
        self._settle()
        self._check()
        self._sending = self._sender.submit(self._copy, table, lines)

    def _settle(self) -> None:
        """Wait for the batch that is on its way; raises what went wrong with it."""
        if self._sending:
            sending, self._sending = self._sending, None
            sending.result()

    def _copy(self, table: str, lines: list[str]) -> None:
        statement = sql.SQL("COPY {} FROM STDIN").format(
            sql.Identifier(self.schema, table)
        )
        with self.connection.cursor() as cursor, cursor.copy(statement) as copy:
            for at in range(0, len(lines), _LINES_AT_ONCE):
                copy.write("".join(lines[at : at + _LINES_AT_ONCE]))
        self.connection.commit()
