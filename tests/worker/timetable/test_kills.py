"""Killed anywhere: the live version stays whole, and the next try finishes."""

import asyncio
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from loadtests.rig.faults import Faults
from loadtests.rig.links import Link, endpoint, through
from worker.clients import postgres
from worker.errors import TransientError
from worker.policy import POLICY
from worker.policy.timetable import TIMETABLE
from worker.timetable import swap
from worker.timetable.bundle import Trust
from worker.timetable.names import LOADING
from worker.timetable.sync import Source, SyncResult, load_version

Loader = psycopg.Connection[Any]
Load = Callable[..., SyncResult]
Zipped = Callable[..., Path]
MOMENTS = ["1", "2", "12", "20", "40", "fence"]
"""The first and the second COPY, later ones, an index, the swap itself."""

# Ends its own process, or its backend, when the load asks for the n-th time whether it
# may go on: before each COPY and each index; the fence is the last moment.
KILLED = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
import psycopg
from worker.clients import postgres
from worker.policy import POLICY
from worker.timetable.bundle import Trust
from worker.timetable.sync import Source, load_version

url, admin_url, archive, moment, way = sys.argv[1:]
asked = 0

def end(db):
    if way == "process":
        os.kill(os.getpid(), signal.SIGKILL)
    with psycopg.connect(admin_url, autocommit=True) as admin:
        admin.execute("SELECT pg_terminate_backend(%s)", (db.info.backend_pid,))

def check():
    global asked
    asked += 1
    if str(asked) == moment:
        end(db)

with postgres.connect(url, "loader", POLICY) as db:
    load_version(
        db,
        [Source(name="archive", path=Path(archive), sha256="1" * 64, trust=Trust())],
        POLICY.timetable,
        now=datetime.now(UTC),
        fence=end if moment == "fence" else lambda _: None,
        check=check,
        by_hand=True,
    )
"""


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("way", ["process", "backend"])
def test_a_load_killed_at_any_moment_leaves_the_live_version_whole(
    moment: str,
    way: str,
    database: Any,
    small_feed: dict[str, str],
    zipped: Zipped,
    load: Load,
    loader: Loader,
    oracle: SimpleNamespace,
) -> None:
    load(zipped(small_feed))
    small_feed["stop_times.txt"] += "b1,08:30:00,08:30:00,P1,10\n"
    changed = zipped(small_feed, "changed.zip")

    with oracle.untouched(loader):
        killed = subprocess.run(
            [
                *(sys.executable, "-c", KILLED, database.url, database.admin_url),
                *(str(changed), moment, way),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
    assert killed.returncode == (-signal.SIGKILL if way == "process" else 1)
    finished = load(changed)

    assert finished.rows["stop_times.txt"] == 12
    assert not oracle.difference(loader, changed, "stop_times.txt")


@contextmanager
def link_to(url: str) -> Iterator[tuple[str, Callable[[], None]]]:
    """The same database by way of a proxy, and how to cut every open connection."""
    loop = asyncio.new_event_loop()
    link = Link("postgres", *endpoint(url, 5432), Faults())
    server = loop.run_until_complete(link.listen())
    port = server.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield (
            through(url, port),
            lambda: loop.call_soon_threadsafe(link.strike, "cut") and None,
        )
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        loop.run_until_complete(loop.shutdown_asyncgens())
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_link_cut_at_any_moment_leaves_the_live_version_whole(
    moment: str,
    database_url: str,
    small_feed: dict[str, str],
    zipped: Zipped,
    load: Load,
    loader: Loader,
    oracle: SimpleNamespace,
) -> None:
    load(zipped(small_feed))
    small_feed["stop_times.txt"] += "b1,08:30:00,08:30:00,P1,10\n"
    changed = zipped(small_feed, "changed.zip")
    asked: list[None] = []

    with link_to(database_url) as (url, cut):

        def check() -> None:
            asked.append(None)
            if str(len(asked)) == moment:
                cut()

        def fence(_: Loader) -> None:
            if moment == "fence":
                cut()

        with (
            oracle.untouched(loader),
            pytest.raises(TransientError, match="PostgreSQL failed worker_loader"),
            postgres.connect(url, "loader", POLICY) as db,
        ):
            load_version(
                db,
                [source(changed)],
                TIMETABLE,
                now=datetime.now(UTC),
                fence=fence,
                check=check,
                by_hand=True,
            )
    finished = load(changed)

    assert finished.rows["stop_times.txt"] == 12
    assert not oracle.difference(loader, changed, "stop_times.txt")


def test_a_load_that_was_paused_cannot_write_into_the_next_one(
    database_url: str,
    small_feed: dict[str, str],
    zipped: Zipped,
    load: Load,
    loader: Loader,
    oracle: SimpleNamespace,
) -> None:
    small_feed["transfers.txt"] = "from_stop_id,to_stop_id\nP1,P2\n"
    archive = zipped(small_feed)
    asked: list[None] = []

    def another_loads_meanwhile() -> None:
        asked.append(None)
        if len(asked) == 2:
            load(archive)

    with (
        pytest.raises(postgres.PermanentError, match="does not exist"),
        postgres.connect(database_url, "loader", POLICY) as paused,
    ):
        load_version(
            paused,
            [source(archive)],
            TIMETABLE,
            now=datetime.now(UTC),
            fence=lambda _: None,
            check=another_loads_meanwhile,
            by_hand=True,
        )

    for file in ("stop_times.txt", "transfers.txt", "stops.txt"):
        assert not oracle.difference(loader, archive, file)


def test_what_a_dead_load_left_is_dropped_by_the_next(
    small_feed: dict[str, str], zipped: Zipped, load: Load, loader: Loader
) -> None:
    left = f"{LOADING}_dead"
    loader.execute(f"CREATE SCHEMA {left}".encode())
    loader.execute(f"CREATE TABLE {left}.stop_patterns (a integer)".encode())
    loader.commit()

    load(zipped(small_feed))

    assert not swap.schema_exists(loader, left)


def source(archive: Path) -> Source:
    return Source(name="archive", path=archive, sha256="1" * 64, trust=Trust())
