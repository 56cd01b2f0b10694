"""Riders: each with one device and one favorite line, known by their numbers.

His id, his device's token and his line follow from the seed and his number, so that
whoever plays him knows them without asking.
"""

import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import accumulate
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


def line_of(seed: int, user: int, lines: int, skew: float = 0.0) -> int:
    """The number of the rider's line.

    Without ``skew`` the riders take turns, ``user % lines``, and every line has as many
    as any other. With it, line k is chosen with weight 1 / (k + 1) ** skew (Zipf).
    """
    if not skew:
        return user % lines
    digest = hashlib.sha256(f"line/{seed}/{user}".encode()).digest()
    share = int.from_bytes(digest[:8], "big") / 2**64
    bounds = _bounds(lines, skew)
    return bisect_right(bounds, share * bounds[-1], hi=lines - 1)


def populate(
    connection: Connection[Any],
    *,
    users: int,
    lines: Sequence[str],
    seed: int = 1,
    skew: float = 0.0,
) -> None:
    """Insert ``users`` riders spread over ``lines`` (route ids); does not commit.

    Their favorites hold all day, every day, at the schema's own threshold. Needs a
    role that row-level security does not bind.
    """
    riders = range(users)
    connection.execute(
        "insert into auth.users (id) select unnest(%s::uuid[]) on conflict do nothing",
        [[user_of(seed, rider) for rider in riders]],
    )
    _copy(
        connection,
        _DEVICES,
        ((user_of(seed, rider), token_of(seed, rider)) for rider in riders),
    )
    _copy(
        connection,
        _FAVORITES,
        (
            (user_of(seed, rider), lines[line_of(seed, rider, len(lines), skew)])
            for rider in riders
        ),
    )


@lru_cache(maxsize=8)
def _bounds(lines: int, skew: float) -> tuple[float, ...]:
    return tuple(accumulate((k + 1) ** -skew for k in range(lines)))


def _copy(
    connection: Connection[Any], statement: str, rows: Iterator[tuple[object, ...]]
) -> None:
    with connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
        for row in rows:
            copy.write_row(row)
