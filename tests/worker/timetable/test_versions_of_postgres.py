"""The timetable on other servers than the session's: their versions, and their ends."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from loadtests.rig.binaries import Postgres, system_postgres
from loadtests.rig.folder import Home
from loadtests.rig.postgres import WORKER_ROLE, prepare, start_postgres
from worker.clients import postgres
from worker.errors import TransientError
from worker.migrate import migrate
from worker.policy import POLICY
from worker.policy.timetable import TIMETABLE
from worker.timetable import swap
from worker.timetable.bundle import Trust
from worker.timetable.sync import Source, load_version

Zipped = Callable[..., Path]
VERSIONS = ["embedded", "15", "16", "17"]


@contextmanager
def server(programs: Postgres | None) -> Iterator[tuple[str, str]]:
    """A migrated server of the test's own: the worker's address, and the owner's."""
    home = Home()
    try:
        admin_url = start_postgres(home, programs)
        url = prepare(admin_url)
        with postgres.connect_as_owner(admin_url, POLICY) as owner:
            migrate(owner, POLICY, login=WORKER_ROLE)
        yield url, admin_url
    finally:
        postgres.close_all()
        home.close()


@pytest.mark.parametrize("version", VERSIONS)
def test_every_supported_server_loads_answers_and_survives_its_crash(
    version: str,
    small_feed: dict[str, str],
    zipped: Zipped,
    oracle: SimpleNamespace,
) -> None:
    found = [] if version == "embedded" else system_postgres(version)
    if version != "embedded" and not found:
        pytest.skip(f"there is no PostgreSQL {version} in /usr/lib/postgresql here")
    first = zipped(small_feed, "first.zip")
    small_feed["stop_times.txt"] += "b1,08:30:00,08:30:00,P1,10\n"
    changed = zipped(small_feed, "changed.zip")

    with server(found[0] if found else None) as (url, admin_url):
        load(url, first)
        with pytest.raises(TransientError, match="PostgreSQL failed worker_loader"):
            load(url, changed, check=crash_at(admin_url, 12))
        wait_for(admin_url)
        with postgres.connect(url, "loader", POLICY) as db:
            assert not oracle.difference(db, first, "stop_times.txt")
        load(url, changed)
        with postgres.connect(url, "loader", POLICY) as db:
            for file in ("stop_times.txt", "trips.txt", "shapes.txt", "stops.txt"):
                assert not oracle.difference(db, changed, file)
            assert answers(db) == (3, 2, 3, 2)
            swap.roll_back(db, lambda _: None)
            assert not oracle.difference(db, first, "stop_times.txt")


def answers(db: psycopg.Connection[Any]) -> tuple[int, ...]:
    """How many rows each question of an app gets."""
    return tuple(
        len(db.execute(question.encode()).fetchall())
        for question in (
            "SELECT * FROM gtfs.departures('S', '2026-11-23 08:00+11', '1 hour')",
            "SELECT * FROM gtfs.trip_calls('t1', '2026-11-23')",
            "SELECT * FROM gtfs.stops_near(-33.88, 151.2, 100)",
            "SELECT * FROM gtfs.service_days('WEEK', '2026-12-23', '2026-12-26')",
        )
    )


def crash_at(admin_url: str, moment: int) -> Callable[[], None]:
    """Kills a process of the server at that question; the server then starts anew."""
    asked: list[None] = []

    def check() -> None:
        asked.append(None)
        if len(asked) == moment:
            with psycopg.connect(admin_url) as admin:
                os.kill(admin.info.backend_pid, signal.SIGKILL)

    return check


def wait_for(url: str) -> None:
    """Until the server has recovered."""
    until = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            assert time.monotonic() < until
            time.sleep(0.05)
        else:
            return


def load(url: str, archive: Path, check: Callable[[], None] = lambda: None) -> None:
    with postgres.connect(url, "loader", POLICY) as db:
        load_version(
            db,
            [Source(name="archive", path=archive, sha256="1" * 64, trust=Trust())],
            TIMETABLE,
            now=datetime.now(UTC),
            fence=lambda _: None,
            check=check,
            by_hand=True,
        )
