"""Never half loaded: killed anywhere, refused, fenced off, put back, read meanwhile."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from worker.errors import PermanentError, TransientError
from worker.policy import POLICY, vary
from worker.policy.timetable import TIMETABLE
from worker.timetable import swap
from worker.timetable.names import LIVE, PREVIOUS
from worker.timetable.sync import SyncResult

Loader = psycopg.Connection[Any]
Load = Callable[..., SyncResult]
Zipped = Callable[..., Path]


def test_a_loader_that_lost_its_fence_changes_nothing(
    small_feed: dict[str, str],
    zipped: Zipped,
    load: Load,
    loader: Loader,
    oracle: SimpleNamespace,
) -> None:
    archive = zipped(small_feed)
    load(archive)

    def taken_over(_: Loader) -> None:
        raise TransientError("the lease timetable was taken over")

    with oracle.untouched(loader), pytest.raises(TransientError):
        load(archive, fence=taken_over)


@pytest.mark.parametrize(
    ("file", "text", "sentence"),
    [
        ("trips.txt", "R9,DAILY,t9,,\n", "trips.txt:7: route_id R9 is not known"),
        ("trips.txt", "R1,DAILY,t1,,\n", "trips.txt:7: trip_id t1 is there twice"),
        ("stop_times.txt", "t1,8:99:00,,Y,3\n", ":13: arrival_time 8:99:00"),
        ("stop_times.txt", "t1,,,Q,3\n", "stop_times.txt:13: stop_id Q is not known"),
        ("stop_times.txt", "t1,,,Y,2\n", "stop_times.txt:13: stop_sequence 2 is there"),
        ("stop_times.txt", "t1,,,Y,x\n", "stop_times.txt:13: stop_sequence x is not"),
        ("shapes.txt", "sh,91.5,151,4\n", "shapes.txt:5: shape_pt_lat 91.5 is not"),
        ("stops.txt", "Z,Z,north,151,,\n", "stops.txt:7: stop_lat 'north' is not"),
        ("calendar.txt", "A,1,1,1,1,1,1,1,20260230,20261231\n", ":4: start_date"),
    ],
)  # fmt: skip
def test_a_row_too_many_refuses_the_feed_by_file_and_line(
    file: str,
    text: str,
    sentence: str,
    small_feed: dict[str, str],
    zipped: Zipped,
    load: Load,
    loader: Loader,
    oracle: SimpleNamespace,
) -> None:
    load(zipped(small_feed))
    small_feed[file] += text

    with oracle.untouched(loader), pytest.raises(PermanentError, match=sentence):
        load(zipped(small_feed, "bad.zip"))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda feed: feed.pop("agency.txt"), "required file agency.txt is missing"),
        (lambda feed: feed.update({"agency.txt": ""}), "agency.txt:1: is empty"),
        (
            lambda feed: feed.update({"stops.txt": "stop_name\nx\n"}),
            "stops.txt:1: lacks the required column stop_id",
        ),
        (
            lambda feed: feed.update(
                {"agency.txt": "agency_name,agency_timezone\nA,Mars/Base\n"}
            ),
            "agency_timezone 'Mars/Base' is not a time zone",
        ),
    ],
    ids=["no file", "empty", "no column", "no zone"],
)
def test_a_feed_without_what_it_needs_is_refused(
    change: Callable[[dict[str, str]], object],
    sentence: str,
    small_feed: dict[str, str],
    zipped: Zipped,
    load: Load,
) -> None:
    change(small_feed)

    with pytest.raises(PermanentError, match=sentence):
        load(zipped(small_feed))


def test_a_scheduled_sync_refuses_what_one_by_hand_warns_of(
    small_feed: dict[str, str],
    zipped: Zipped,
    load: Load,
    loader: Loader,
    oracle: SimpleNamespace,
) -> None:
    load(zipped(small_feed))
    small_feed["calendar.txt"] = small_feed["calendar.txt"].replace("2027", "2026")
    old = zipped(
        {
            **small_feed,
            "calendar.txt": small_feed["calendar.txt"].replace("1231", "0131"),
        },
        "old.zip",
    )

    with (
        oracle.untouched(loader),
        pytest.raises(
            PermanentError, match="no service of the bundle archive runs on 2026-11-23"
        ),
    ):
        load(old, by_hand=False)
    assert "no service of the bundle archive runs on 2026-11-23" in load(old).warnings


def schemas(loader: Loader) -> set[str]:
    rows = loader.execute(
        "SELECT nspname::text FROM pg_namespace WHERE starts_with(nspname, %s)",
        (LIVE,),
    ).fetchall()
    loader.commit()
    return {name for (name,) in rows}


def test_a_refused_feed_takes_no_space_until_the_next_load(
    small_feed: dict[str, str], zipped: Zipped, load: Load, loader: Loader
) -> None:
    load(zipped(small_feed))
    small_feed["stop_times.txt"] += "t1,,,Q,3\n"

    with pytest.raises(PermanentError, match="stop_id Q is not known"):
        load(zipped(small_feed, "bad.zip"))

    assert schemas(loader) == {LIVE}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda feed: feed.pop("agency.txt"), "archive: the required file agency"),
        (
            lambda feed: feed.update({"stop_times.txt": "trip_id\nt1\n"}),
            "archive: stop_times.txt:1: lacks the required column",
        ),
        (
            lambda feed: feed.update({"calendar.txt": "service_id\nA\n"}),
            "archive: calendar.txt:1: lacks the required column",
        ),
    ],
    ids=["no file", "no column", "no weekday"],
)
def test_an_archive_without_what_it_needs_costs_no_previous_version(
    change: Callable[[dict[str, str]], object],
    sentence: str,
    small_feed: dict[str, str],
    zipped: Zipped,
    load: Load,
    loader: Loader,
) -> None:
    load(zipped(small_feed))
    small_feed["stop_times.txt"] += "b1,08:30:00,08:30:00,P1,10\n"
    load(zipped(small_feed, "changed.zip"))
    change(small_feed)

    with pytest.raises(PermanentError, match=sentence):
        load(zipped(small_feed, "bad.zip"))

    assert schemas(loader) == {LIVE, PREVIOUS}


def test_a_previous_version_that_is_half_dropped_is_not_rolled_back_to(
    small_feed: dict[str, str],
    zipped: Zipped,
    load: Load,
    loader: Loader,
    oracle: SimpleNamespace,
) -> None:
    load(zipped(small_feed))
    small_feed["stop_times.txt"] += "b1,08:30:00,08:30:00,P1,10\n"
    load(zipped(small_feed, "changed.zip"))
    at_once = replace(TIMETABLE, lock_timeout_ms=1, lock_attempts=1)
    with psycopg.connect(loader.info.dsn, password=loader.info.password) as reader:
        reader.execute(f"SELECT FROM {PREVIOUS}.stop_patterns LIMIT 1".encode())
        with pytest.raises(TransientError, match="a reader held"):
            swap.clear_space(loader, at_once)

    with oracle.untouched(loader), pytest.raises(PermanentError, match="no previous"):
        swap.roll_back(loader, lambda _: None)

    loader.rollback()
    swap.clear_space(loader, TIMETABLE)
    assert schemas(loader) == {LIVE}


def test_a_collapse_against_the_live_version_is_refused(
    small_feed: dict[str, str], zipped: Zipped, load: Load
) -> None:
    load(zipped(small_feed))
    lines = small_feed["stop_times.txt"].splitlines(keepends=True)
    small_feed["stop_times.txt"] = "".join(lines[:5])

    with pytest.raises(PermanentError, match="falls from 11 to 4 rows"):
        load(zipped(small_feed, "small.zip"), by_hand=False)


def test_the_previous_version_comes_back_until_the_next_load_begins(
    small_feed: dict[str, str],
    zipped: Zipped,
    load: Load,
    loader: Loader,
    oracle: SimpleNamespace,
) -> None:
    load(zipped(small_feed))
    before = oracle.fingerprint(loader)
    small_feed["stop_times.txt"] += "b1,08:30:00,08:30:00,P1,10\n"
    changed = zipped(small_feed, "changed.zip")
    load(changed)

    swap.roll_back(loader, lambda _: None)

    assert oracle.fingerprint(loader) == before
    rejected = loader.execute(
        f"SELECT rejected_at IS NOT NULL FROM {PREVIOUS}.version".encode()
    ).fetchall()
    loader.commit()
    assert rejected == [(True,)]


def test_without_a_previous_version_there_is_no_way_back(
    small_feed: dict[str, str], zipped: Zipped, load: Load, loader: Loader
) -> None:
    load(zipped(small_feed))

    with pytest.raises(PermanentError, match="no previous version to go back to"):
        swap.roll_back(loader, lambda _: None)


def test_readers_always_see_one_whole_version(
    database: Any, small_feed: dict[str, str], zipped: Zipped, load: Load
) -> None:
    load(zipped(small_feed))
    small_feed["stop_times.txt"] += "b1,08:30:00,08:30:00,P1,10\n"
    changed = zipped(small_feed, "changed.zip")
    seen: set[int] = set()
    failures: list[Exception] = []
    done, began = threading.Event(), threading.Event()

    def read() -> None:
        with psycopg.connect(database.admin_url, autocommit=True) as reader:
            reader.prepare_threshold = 0
            while not done.is_set():
                try:
                    ((count,),) = reader.execute(
                        "SELECT count(*) FROM gtfs.stop_times"
                    ).fetchall()
                    seen.add(count)
                except psycopg.Error as error:
                    failures.append(error)
                    return
                finally:
                    began.set()

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    began.wait()
    load(changed)
    load(changed)
    done.set()
    for reader in readers:
        reader.join()

    assert not failures
    assert seen <= {11, 12}


def test_a_reader_that_holds_the_previous_version_is_waited_for_then_left_alone(
    database: Any,
    small_feed: dict[str, str],
    zipped: Zipped,
    load: Load,
    loader: Loader,
) -> None:
    archive = zipped(small_feed)
    load(archive)
    load(archive)
    policy = vary(POLICY, "timetable.lock_timeout_ms", 10)
    policy = vary(policy, "timetable.lock_attempts", 2)
    slept: list[float] = []
    with psycopg.connect(database.admin_url) as reader:
        reader.execute(f"SELECT count(*) FROM {PREVIOUS}.trips".encode())

        with pytest.raises(TransientError, match="held the previous timetable"):
            swap.clear_space(loader, policy.timetable, sleep=slept.append)

    assert slept == [0.1, 0.2]
    swap.clear_space(loader, TIMETABLE)
    assert not swap.schema_exists(loader, PREVIOUS)


def test_what_depends_on_the_timetable_from_outside_is_named(
    database: Any,
    small_feed: dict[str, str],
    zipped: Zipped,
    load: Load,
    loader: Loader,
) -> None:
    load(zipped(small_feed))
    with psycopg.connect(database.admin_url) as owner:
        owner.execute("CREATE VIEW public.mine AS SELECT stop_id FROM gtfs.stops")
    load(zipped(small_feed))

    with pytest.raises(PermanentError, match="mine depends on the timetable"):
        load(zipped(small_feed))


def test_roles_that_read_the_live_version_read_the_next_one(
    database: Any, small_feed: dict[str, str], zipped: Zipped, load: Load
) -> None:
    with psycopg.connect(database.admin_url) as owner:
        owner.execute("GRANT USAGE ON SCHEMA gtfs TO authenticated")
    load(zipped(small_feed))

    with psycopg.connect(database.admin_url) as owner:
        owner.execute("SET ROLE authenticated")
        ((stops,),) = owner.execute("SELECT count(*) FROM gtfs.stops").fetchall()
    assert stops == 5


def test_the_oracle_notices_one_changed_second(
    small_feed: dict[str, str],
    zipped: Zipped,
    load: Load,
    loader: Loader,
    oracle: SimpleNamespace,
) -> None:
    archive = zipped(small_feed)
    load(archive)
    loader.execute("UPDATE gtfs.trip_rows SET start = start + 1 WHERE trip_id = 't1'")
    loader.commit()

    assert oracle.difference(loader, archive, "stop_times.txt")


def test_rows_left_out_are_counted_by_reason_and_the_first_shown_by_line(
    small_feed: dict[str, str], zipped: Zipped, load: Load
) -> None:
    rows = [f"far,-33.88,151.{n:05d},{n}\n" for n in range(10_000)]
    rows[4000] = ",-33.88,151.2,1\n"
    rows[5000:5007] = ["far,north,151.2,1\n"] * 7
    small_feed["shapes.txt"] += "".join(rows)

    result = load(zipped(small_feed))

    assert result.skipped_rows == {"shapes.txt": {"shape_id": 1, "shape_pt_lat": 7}}
    assert [(row["line"], row["reason"]) for row in result.skipped] == [
        (4005, "shape_id is blank"),
        *((line, "shape_pt_lat north is not a number of degrees")
          for line in range(5005, 5010)),
    ]  # fmt: skip
    assert result.rows["shapes.txt"] == 3 + 10_000 - 8
