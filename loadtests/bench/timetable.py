"""What a whole sync costs beside bare COPY of its two large files, in the same run.

The seeded network of the rig, at full NSW scale and at a tenth of it.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter

from loadtests.bench import raw_copy
from loadtests.bench.loading import DAY, load, noon, read_with_gtfs_kit
from loadtests.bench.memory import Measured, above_idle
from loadtests.bench.readers import Readers
from loadtests.bench.row import Row
from loadtests.rig.feeds import synthetic_bundle
from loadtests.rig.scales import NSW, Scale
from worker.clients import postgres
from worker.policy import POLICY
from worker.reliability.lease import Lease
from worker.timetable.by_hand import sync_archive
from worker.timetable.names import LIVE
from worker.timetable.sync import version_bytes

TENTH = replace(NSW, lines=NSW.lines // 10, stops=NSW.stops // 10)
_BARE = "unzip -p | psql COPY of stop_times and shapes, no indexes"
_INDEXED = "the same with the indexes an app needs"
_GTFS_KIT = "gtfs-kit's read_feed into memory"
_REPEATS = 3
_ASKED = 50
_BUSIEST = (
    "SELECT s.stop_id FROM gtfs.stop_patterns o "
    "JOIN gtfs.time_patterns p USING (stop_pattern) "
    "JOIN gtfs.trip_rows t USING (time_pattern) "
    "CROSS JOIN unnest(o.stops) AS c (stop) JOIN gtfs.stops_rows s USING (stop) "
    "GROUP BY 1 ORDER BY count(*) DESC LIMIT 1"
)


def rows(database_url: str, admin_url: str, folder: Path) -> Iterator[Row]:
    """Every line of the timetable room; archives are written into ``folder``.

    ``database_url`` is the worker's login; ``admin_url`` may make tables in public.
    """
    tenth, whole = folder / "tenth.zip", folder / "whole.zip"
    for path, scale in ((tenth, TENTH), (whole, NSW)):
        write(path, scale)
    small = [above_idle(partial(load, database_url, tenth)) for _ in range(_REPEATS)]
    loads: list[Measured] = []
    bare_s = []
    for _ in range(_REPEATS):  # in turn, so that a busy machine is fair to both
        loads.append(above_idle(partial(load, database_url, whole)))
        bare_s.append(raw_copy.copied_s(admin_url, whole))
    seconds = median(each.answer for each in loads)
    mib, small_mib = (
        median(each.above_idle_mib for each in some) for some in (loads, small)
    )
    yield Row(
        name="timetable_whole_feed",
        value=seconds,
        unit="s",
        baseline=_BARE,
        baseline_value=median(bare_s),
        peak_rss_mib=max(each.peak_rss_mib for each in loads),
        repeats=_REPEATS,
        target=1.3,
    )
    growth_mib = abs(mib - small_mib)
    yield _row("timetable_memory_above_idle", mib, "MiB", 110.0, _REPEATS)
    yield _row("timetable_memory_growth", growth_mib, "MiB", 20.0, _REPEATS)
    yield from _database(database_url, whole)
    yield from _beside(admin_url, whole, seconds, mib, _version_mb(database_url))
    readers = Readers(admin_url, f"{DAY:%Y-%m-%d}")
    with readers.asking():
        above_idle(partial(load, database_url, whole))
    yield _row("timetable_readers_p99", readers.p99_ms(), "ms", 100.0)


def write(path: Path, scale: Scale) -> None:
    """Write the seeded network, unless it is there."""
    if not path.exists():
        synthetic_bundle(path, scale, service_day=DAY)


def _database(database_url: str, whole: Path) -> Iterator[Row]:
    """What is live after the loads, and the version before it."""
    with postgres.connect(database_url, "loader", POLICY) as db:
        query = b"SELECT pg_database_size(current_database())"
        ((size,),) = db.execute(query).fetchall()
        departures_ms = _departures_ms(db)
        began = perf_counter()
        lease = Lease(name="bench", owner="bench", fence=0)
        again = sync_archive(db, whole, POLICY.timetable, now=noon(), lease=lease)
        unchanged_s = perf_counter() - began
    assert again.unchanged
    yield _row("timetable_version", _version_mb(database_url), "MB", 170.0)
    yield _row("timetable_two_versions", int(str(size)) / 1e6, "MB", 450.0)
    yield _row("timetable_unchanged", unchanged_s, "s", 2.0)
    yield _row("timetable_departures_busiest", departures_ms, "ms", 5.0, _ASKED)


def _beside(
    admin_url: str, whole: Path, seconds: float, mib: float, version_mb: float
) -> Iterator[Row]:
    """The whole sync beside what else people do."""
    indexed_s, indexed_bytes = raw_copy.indexed(admin_url, whole)
    kit = above_idle(partial(read_with_gtfs_kit, whole))
    for name, value, unit, baseline, baseline_value in (
        ("timetable_beside_raw_indexed", seconds, "s", _INDEXED, indexed_s),
        ("timetable_size_beside_raw", version_mb, "MB", _INDEXED, indexed_bytes / 1e6),
        ("timetable_beside_gtfs_kit", seconds, "s", _GTFS_KIT, kit.answer),
        ("timetable_memory_gtfs_kit", mib, "MiB", _GTFS_KIT, kit.above_idle_mib),
    ):
        yield Row(
            name=name,
            value=value,
            unit=unit,
            baseline=baseline,
            baseline_value=baseline_value,
            repeats=1,
            target=1.0,
        )


def _row(name: str, value: float, unit: str, target: float, repeats: int = 1) -> Row:
    return Row(name=name, value=value, unit=unit, repeats=repeats, target=target)


def _version_mb(database_url: str) -> float:
    with postgres.connect(database_url, "loader", POLICY) as db:
        return version_bytes(db, LIVE) / 1e6


def _departures_ms(db: postgres.Connection) -> float:
    """The median time of one hour of departures at the stop with the most calls."""
    ((busiest,),) = db.execute(_BUSIEST).fetchall()
    spent = []
    for _ in range(_ASKED):
        began = perf_counter()
        db.execute(
            "SELECT * FROM gtfs.departures(%s, %s, '1 hour')",
            (busiest, f"{DAY:%Y-%m-%d} 08:00 Australia/Sydney"),
        ).fetchall()
        spent.append((perf_counter() - began) * 1e3)
    return median(spent)
