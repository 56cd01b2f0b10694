"""What the app's API asks on behalf of a rider who looks, and how old the answer is.

The questions are those of ``worker.realtime.read`` and of the timetable's functions;
free of locust.
"""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from redis import Redis

from worker.realtime import read

_STOPS = "select stop_id from gtfs.stops order by stop_id limit 2000"
_DEPARTURES = "select * from gtfs.departures(%s, %s, %s)"
HOUR = timedelta(hours=1)


@dataclass(kw_only=True)
class Asking:
    """One rider's questions, in turn. ``now`` is service time, the feeds' clock."""

    redis: Redis
    postgres: Callable[[str], Any]
    now: Callable[[], Any]
    routes: Sequence[str]
    seed: int
    _turn: int = 0
    _stops: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._draw = random.Random(self.seed)
        self._questions: tuple[
            tuple[str, Callable[[], str], Callable[[str], int | None]], ...
        ] = (
            ("a line's trips, from Redis", self._any_route, self._line),
            ("a stop's board, from Redis", self._any_stop, self._board),
            ("a stop's timetable, from PostgreSQL", self._any_stop, self._timetable),
        )

    def ask(self) -> tuple[str, float, float | None]:
        """The next question: what it was, seconds until the answer, and the age in
        seconds of the realtime data in it, None where it holds none.

        Raises WorkerError when it cannot be answered.
        """
        name, draw, question = self._questions[self._turn % len(self._questions)]
        self._turn += 1
        about = draw()  # not timed: the first stop drawn has the stops read
        began = time.perf_counter()
        made_at = question(about)
        took_s = time.perf_counter() - began
        age_s = None if made_at is None else self.now().timestamp() - made_at
        return name, took_s, age_s

    def _line(self, route: str) -> int | None:
        """When the oldest message was made that the answer is put together from."""
        live = read.route(self.redis, route)
        return min(live.as_of.values(), default=None)

    def _board(self, stop: str) -> None:
        read.stop(self.redis, stop)

    def _timetable(self, stop: str) -> None:
        with self.postgres("matcher") as db:
            db.execute(_DEPARTURES, (stop, self.now(), HOUR)).fetchall()

    def _any_route(self) -> str:
        return self._draw.choice(self.routes)

    def _any_stop(self) -> str:
        if not self._stops:
            with self.postgres("matcher") as db:
                self._stops = [row[0] for row in db.execute(_STOPS)]
        return self._draw.choice(self._stops)


def asking(routes: Sequence[str], seed: int) -> Asking:
    """Questions to the servers that the environment names, as the worker reads it."""
    from worker.env import settings
    from worker.tasks.world import world

    here = settings()
    outside = world(here.policy(), here, lambda *_: None)
    return Asking(
        redis=outside.redis,
        postgres=outside.postgres,
        now=outside.now,
        routes=routes,
        seed=seed,
    )
