"""What a reader's figures are of: the answer that is named, and nothing besides."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from redis import Redis

from loadtests.reader import Asking


@dataclass
class PostgreSQL:
    """Has one stop; counts what it is asked."""

    asked: int = 0

    @contextmanager
    def __call__(self, role: str) -> Iterator["PostgreSQL"]:
        yield self

    def execute(self, sql: str, _: Any = ()) -> Any:
        self.asked += 1
        return Rows([("a stop",)])


class Rows(list[tuple[str]]):
    def fetchall(self) -> list[tuple[str]]:
        return self


def test_an_answer_from_redis_holds_no_time_of_postgresql(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    postgres = PostgreSQL()
    # A second passes with each query of PostgreSQL, and none otherwise.
    monkeypatch.setattr(
        "loadtests.reader.time.perf_counter", lambda: float(postgres.asked)
    )
    with Redis.from_url(redis_url) as redis:
        asking = Asking(
            redis=redis,
            postgres=postgres,
            now=lambda: datetime(2026, 11, 26, tzinfo=UTC),
            routes=["a line"],
            seed=1,
        )
        took_s = {name: s for name, s, _ in (asking.ask() for _ in range(3))}

    assert postgres.asked == 2  # which stops there are, and a timetable
    assert took_s == {
        "a line's trips, from Redis": 0.0,
        "a stop's board, from Redis": 0.0,
        "a stop's timetable, from PostgreSQL": 1.0,
    }
