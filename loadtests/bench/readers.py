"""What riders' questions take while a timetable is loaded and swapped."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import quantiles
from threading import Event, Thread
from time import perf_counter

import psycopg

READERS = 4
_PAUSE_S = 0.02
_SOME_STOPS = "SELECT stop_id FROM gtfs.stops ORDER BY md5(stop_id) LIMIT 200"
_QUESTION = "SELECT * FROM gtfs.departures(%s, %s, '1 hour')"
_TRIP = "SELECT * FROM gtfs.trip_calls(%s, %s)"
_NEAR = (
    "SELECT n.* FROM gtfs.stops s, gtfs.stops_near(s.stop_lat, s.stop_lon, 300) n "
    "WHERE s.stop_id = %s"
)


class Readers:
    """READERS connections that ask for departures, a trip and stops near by in turn.

    ``times_ms`` holds each answer's milliseconds; an error ends the bench.
    """

    def __init__(self, url: str, day: str) -> None:
        self.times_ms: list[float] = []
        self._url = url
        self._day = day
        self._failed: list[Exception] = []
        self._done = Event()

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Ask for as long as the block lasts; raises what a reader met."""
        threads = [Thread(target=self._read, args=(n,)) for n in range(READERS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._done.set()
            for thread in threads:
                thread.join()
        if self._failed:
            raise self._failed[0]

    def p99_ms(self) -> float:
        """The 99th percentile of all answers."""
        return quantiles(self.times_ms, n=100)[98]

    def _read(self, number: int) -> None:
        chance = random.Random(number)
        try:
            with psycopg.connect(self._url, autocommit=True) as db:
                stops = [stop for (stop,) in db.execute(_SOME_STOPS).fetchall()]
                while not self._done.wait(_PAUSE_S):
                    self._ask(db, chance.choice(stops), chance.randrange(6, 22))
        except psycopg.Error as error:
            self._failed.append(error)

    def _ask(self, db: psycopg.Connection, stop: str, hour: int) -> None:
        at = f"{self._day} {hour:02d}:00 Australia/Sydney"
        began = perf_counter()
        leaving = db.execute(_QUESTION, (stop, at)).fetchall()
        self._note(began)
        if leaving:
            began = perf_counter()
            db.execute(_TRIP, (leaving[0][2], self._day)).fetchall()
            self._note(began)
        began = perf_counter()
        db.execute(_NEAR, (stop,)).fetchall()
        self._note(began)

    def _note(self, began: float) -> None:
        self.times_ms.append((perf_counter() - began) * 1e3)
