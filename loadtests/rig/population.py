"""Riders: each with one device and one favorite line, known by their numbers.

User ``u`` rides ``lines[u % len(lines)]``; his id and his device's token follow from
the seed and his number, so that whoever plays him knows them without asking.
"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

from psycopg import Connection

_DEVICES = "copy app.devices (user_id, token) from stdin"
_FAVORITES = "copy app.favorites (user_id, route_id) from stdin"


def token_of(seed: int, user: int) -> str:
    """The device's token: 64 hexadecimal digits, as Apple's are."""
    return hashlib.sha256(f"device/{seed}/{user}".encode()).hexdigest()


def user_of(seed: int, user: int) -> UUID:
    """The rider's id."""
    return UUID(bytes=hashlib.sha256(f"user/{seed}/{user}".encode()).digest()[:16])


def populate(
    connection: Connection[Any], *, users: int, lines: Sequence[str], seed: int = 1
) -> None:
    """Insert ``users`` riders spread over ``lines`` (route ids); does not commit.

    Their favorites hold all day, every day, at the schema's own threshold.
    """
    riders = range(users)
    _copy(
        connection,
        _DEVICES,
        ((user_of(seed, rider), token_of(seed, rider)) for rider in riders),
    )
    _copy(
        connection,
        _FAVORITES,
        ((user_of(seed, rider), lines[rider % len(lines)]) for rider in riders),
    )


def _copy(
    connection: Connection[Any], statement: str, rows: Iterator[tuple[object, ...]]
) -> None:
    with connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
        for row in rows:
            copy.write_row(row)
