"""The scheduled sync: two bundles into one version, once, and not after a rollback."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import psycopg
import pytest
from redis import Redis

from worker.clients.bundles import Bundles
from worker.errors import PermanentError
from worker.policy.timetable import BUNDLES, TIMETABLE
from worker.reliability import lease
from worker.timetable import swap
from worker.timetable.building import Progress, Step, ignore_progress
from worker.timetable.published import sync_published
from worker.timetable.sync import SyncResult

Loader = psycopg.Connection[Any]
Sync = Callable[..., SyncResult]


@pytest.fixture
def published(
    small_feed: dict[str, str], zipped: Callable[..., Path]
) -> dict[str, bytes]:
    """The bodies by path: the trains of the complete bundle have other ids."""
    complete = zipped(small_feed, "complete.zip").read_bytes()
    foreign = dict(small_feed)
    for file in ("trips.txt", "stop_times.txt"):
        foreign[file] = foreign[file].replace(",t1,", ",T-1,").replace("t1,", "T-1,")
    trains = zipped(foreign, "trains.zip").read_bytes()
    return {BUNDLES["complete"].path: complete, BUNDLES["sydneytrains"].path: trains}


@pytest.fixture
def sent() -> list[str]:
    """The paths whose body was sent, one an answer."""
    return []


@pytest.fixture
def sync(
    published: dict[str, bytes],
    sent: list[str],
    loader: Loader,
    redis_url: str,
    tmp_path: Path,
) -> Iterator[Sync]:
    """Syncs what is published, as the task does."""

    def answer(request: httpx.Request) -> httpx.Response:
        body = published[request.url.path]
        etag = f'"{hash(body)}"'
        if request.headers.get("if-none-match") == etag:
            return httpx.Response(304)
        sent.append(request.url.path)
        return httpx.Response(200, content=iter([body]), headers={"etag": etag})

    client = httpx.Client(base_url="http://nsw", transport=httpx.MockTransport(answer))
    bundles = Bundles(client, tmp_path / "kept", TIMETABLE)

    with Redis.from_url(redis_url) as store:

        def run(progress: Progress = ignore_progress) -> SyncResult:
            with lease.held(
                store, loader, "timetable", ttl_s=60, renew_every_s=20
            ) as held:
                return sync_published(
                    loader,
                    bundles,
                    BUNDLES,
                    TIMETABLE,
                    now=datetime(2026, 11, 23, 2, tzinfo=UTC),
                    lease=held,
                    progress=progress,
                )

        yield run


def trips(loader: Loader) -> list[tuple[str, str]]:
    rows = loader.execute(
        "SELECT trip_id, route_id FROM gtfs.trips ORDER BY 1"
    ).fetchall()
    loader.commit()
    return rows


def test_each_mode_comes_from_the_bundle_that_is_trusted_for_it(
    sync: Sync, loader: Loader
) -> None:
    result = sync()

    assert result.skipped == []
    assert trips(loader) == [("T-1", "R1"), ("b1", "R2"), ("n1", "R2"), *[
        ("t2", "R1"), ("t3", "R1")
    ]]  # fmt: skip
    ((stops, services, calls),) = loader.execute(
        "SELECT (SELECT count(*) FROM gtfs.stops), "
        "(SELECT array_agg(service_id ORDER BY service_id) FROM gtfs.calendar), "
        "(SELECT count(*) FROM gtfs.stop_times)"
    ).fetchall()
    assert (stops, calls) == (5, 11)
    assert services == ["DAILY", "DAILY@sydneytrains", "WEEK", "WEEK@sydneytrains"]


def test_what_is_loaded_already_is_not_loaded_again(sync: Sync, loader: Loader) -> None:
    first = sync()
    (before,) = loader.execute("SELECT checked_at FROM gtfs.version").fetchall()
    loader.commit()

    again = sync()

    (after,) = loader.execute("SELECT checked_at FROM gtfs.version").fetchall()
    assert (again.unchanged, again.version) == (True, first.version)
    assert after > before


def test_a_version_that_was_rolled_back_is_not_loaded_again(
    sync: Sync,
    loader: Loader,
    published: dict[str, bytes],
    small_feed: dict[str, str],
    zipped: Callable[..., Path],
) -> None:
    first = sync()
    small_feed["stop_times.txt"] += "b1,08:30:00,08:30:00,P1,10\n"
    published[BUNDLES["complete"].path] = zipped(small_feed, "new.zip").read_bytes()
    second = sync()
    swap.roll_back(loader, lambda _: None)

    again = sync()

    assert second.version != first.version or second.rows != first.rows
    assert (again.unchanged, again.rows) == (True, first.rows)


def test_a_try_after_an_interrupt_finishes_from_the_kept_archives(
    sync: Sync, loader: Loader, sent: list[str]
) -> None:
    def interrupt(step: Step) -> None:
        if step.stage == "stop_times":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sync(progress=interrupt)
    loader.rollback()

    result = sync()

    assert (result.unchanged, result.rows["stop_times.txt"]) == (False, 11)
    assert sorted(sent) == sorted(row.path for row in BUNDLES.values())


def test_bundles_with_other_columns_keep_their_values_apart(
    sync: Sync,
    loader: Loader,
    published: dict[str, bytes],
    small_feed: dict[str, str],
    zipped: Callable[..., Path],
) -> None:
    header = "trip_id,arrival_time,departure_time,stop_id,stop_sequence"
    rows = small_feed["stop_times.txt"].splitlines()[1:]
    for path, columns, own in (
        ("complete", "pickup_type,drop_off_type", ""),
        ("sydneytrains", "drop_off_type,timepoint", "T"),
    ):
        feed = {
            **small_feed,
            "stop_times.txt": "\n".join(
                [f"{header},{columns}", *(f"{own}{row},0,1" for row in rows), ""]
            ),
        }
        if own:
            for trip in ("t1", "t2", "t3", "b1", "n1"):
                feed["trips.txt"] = feed["trips.txt"].replace(f",{trip},", f",T{trip},")
        published[BUNDLES[path].path] = zipped(feed, f"{path}.zip").read_bytes()

    sync()

    found = loader.execute(
        "SELECT DISTINCT left(trip_id, 1), pickup_type, drop_off_type, timepoint "
        "FROM gtfs.stop_times ORDER BY 1"
    ).fetchall()
    assert found == [
        ("T", None, 0, 1),
        ("b", 0, 1, None),
        ("n", 0, 1, None),
    ]


def test_a_bundle_whose_trips_vanish_is_refused_whatever_the_others_hold(
    sync: Sync,
    loader: Loader,
    published: dict[str, bytes],
    small_feed: dict[str, str],
    zipped: Callable[..., Path],
    oracle: SimpleNamespace,
) -> None:
    sync()
    small_feed["routes.txt"] = small_feed["routes.txt"].replace(",2\n", ",700\n")
    buses = zipped(small_feed, "buses.zip").read_bytes()
    published[BUNDLES["sydneytrains"].path] = buses

    with (
        oracle.untouched(loader),
        pytest.raises(
            PermanentError, match=r"trips.txt of the bundle sydneytrains has no rows"
        ),
    ):
        sync()


def test_a_bundle_that_is_not_valid_today_is_refused(
    sync: Sync,
    loader: Loader,
    published: dict[str, bytes],
    small_feed: dict[str, str],
    zipped: Callable[..., Path],
    oracle: SimpleNamespace,
) -> None:
    sync()
    small_feed["calendar.txt"] = small_feed["calendar.txt"].replace(
        "20260101", "20261201"
    )
    for trip in ("t1", "t2", "t3"):
        for file in ("trips.txt", "stop_times.txt"):
            small_feed[file] = small_feed[file].replace(f"{trip},", f"T-{trip},")
    early = zipped(small_feed, "early.zip").read_bytes()
    published[BUNDLES["sydneytrains"].path] = early

    with (
        oracle.untouched(loader),
        pytest.raises(
            PermanentError,
            match="no service of the bundle sydneytrains runs on 2026-11-23",
        ),
    ):
        sync()


def test_a_row_that_differs_from_an_earlier_bundles_is_told_of(
    published: dict[str, bytes],
    sync: Sync,
    small_feed: dict[str, str],
    zipped: Callable[..., Path],
) -> None:
    small_feed["stops.txt"] = small_feed["stops.txt"].replace("Redfern", "Red Fern")
    trains = zipped(small_feed, "differs.zip").read_bytes()
    published[BUNDLES["sydneytrains"].path] = trains

    result = sync()

    (warning,) = [said for said in result.warnings if said.startswith("stops.txt")]
    assert warning == (
        "stops.txt:5: stop_id X differs from the row of an earlier bundle, which is "
        "kept (1 such rows)"
    )


def test_a_route_that_is_another_one_in_an_earlier_bundle_is_refused(
    published: dict[str, bytes],
    sync: Sync,
    small_feed: dict[str, str],
    zipped: Callable[..., Path],
) -> None:
    small_feed["routes.txt"] = small_feed["routes.txt"].replace("Bondi,700", "Bondi,2")
    trains = zipped(small_feed, "trains.zip").read_bytes()
    published[BUNDLES["sydneytrains"].path] = trains

    with pytest.raises(
        PermanentError,
        match=r"sydneytrains: routes.txt:3: route_id R2 is another route in an earlier",
    ):
        sync()


def test_a_large_bundle_does_not_outweigh_what_a_small_one_loses(
    published: dict[str, bytes],
    sync: Sync,
    small_feed: dict[str, str],
    zipped: Callable[..., Path],
) -> None:
    large, broken = dict(small_feed), dict(small_feed)
    for number in range(1_000):
        large["trips.txt"] += f"R2,DAILY,bus{number},Bondi,\n"
        for place, stop in enumerate(("X", "Y")):
            at = f"10:0{place}:00"
            large["stop_times.txt"] += f"bus{number},{at},{at},{stop},{place}\n"
    broken["stop_times.txt"] = broken["stop_times.txt"].replace(",P1,1", ",nowhere,1")
    published[BUNDLES["complete"].path] = zipped(large, "complete.zip").read_bytes()
    published[BUNDLES["sydneytrains"].path] = zipped(broken, "t.zip").read_bytes()

    with pytest.raises(
        PermanentError, match=r"^sydneytrains: stop_times.txt:2: .* would be"
    ):
        sync()


def test_a_scattered_bundle_does_not_hide_what_another_loses(
    published: dict[str, bytes],
    sync: Sync,
    small_feed: dict[str, str],
    zipped: Callable[..., Path],
) -> None:
    large, scattered = dict(small_feed), dict(small_feed)
    for number in range(1_000):
        large["trips.txt"] += f"R2,DAILY,bus{number},Bondi,\n"
        for place, stop in enumerate(("X", "Y")):
            at = f"10:0{place}:00"
            large["stop_times.txt"] += f"bus{number},{at},{at},{stop},{place}\n"
    large["stop_times.txt"] += "bus999,11:00:00,11:00:00,nowhere,9\n"
    header, *calls = scattered["stop_times.txt"].splitlines(keepends=True)
    scattered["stop_times.txt"] = header + "".join(calls[::2] + calls[1::2])
    published[BUNDLES["complete"].path] = zipped(large, "complete.zip").read_bytes()
    published[BUNDLES["sydneytrains"].path] = zipped(scattered, "t.zip").read_bytes()

    result = sync()

    assert sum(result.skipped_rows["stop_times.txt"].values()) == 1
