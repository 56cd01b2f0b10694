"""What a whole sync costs beside bare COPY of its two large files, in the same run.

The seeded network of the rig, at full NSW scale and at a tenth of it.
"""

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter

import psycopg

from loadtests.bench.memory import above_idle
from loadtests.bench.row import Row
from loadtests.rig.feeds import synthetic_bundle
from loadtests.rig.scales import NSW, Scale
from worker.clients import postgres
from worker.clients.bundles import sha256_of
from worker.policy import POLICY
from worker.timetable.archive import open_archive
from worker.timetable.bundle import Trust
from worker.timetable.files import COMPACT
from worker.timetable.names import LIVE
from worker.timetable.sync import Source, load_version, version_bytes
from worker.timetable.versions import live_version

TENTH = replace(NSW, lines=NSW.lines // 10, stops=NSW.stops // 10)
_BARE = "unzip -p | COPY of stop_times and shapes, no indexes"
_DAY = date(2026, 11, 24)
_LARGE = ("stop_times.txt", "shapes.txt")
_PIECE_BYTES = 1 << 18
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
        _write(path, scale)
    small_mib, _ = above_idle(partial(load, database_url, tenth))
    mib, peak_rss_mib = above_idle(partial(load, database_url, whole))
    with postgres.connect(database_url, "loader", POLICY) as db:
        live = live_version(db)
        assert live
        seconds = sum(live.result["seconds"].values())
        size = version_bytes(db, LIVE)
        departures_ms = _departures_ms(db)
    yield Row(
        name="timetable_whole_feed",
        value=seconds,
        unit="s",
        baseline=_BARE,
        baseline_value=bare_copy_s(admin_url, whole),
        peak_rss_mib=peak_rss_mib,
        repeats=1,
        target=1.3,
    )
    began = perf_counter()
    sha256_of(whole)
    for name, value, unit, repeats, target in (
        ("timetable_memory_above_idle", mib, "MiB", 1, 110.0),
        ("timetable_memory_growth", abs(mib - small_mib), "MiB", 1, 20.0),
        ("timetable_version", size / 1e6, "MB", 1, 170.0),
        ("timetable_unchanged", perf_counter() - began, "s", 1, 2.0),
        ("timetable_departures_busiest_stop", departures_ms, "ms", _ASKED, 5.0),
    ):
        yield Row(name=name, value=value, unit=unit, repeats=repeats, target=target)


def load(database_url: str, archive: Path) -> None:
    """Load one archive as a sync by hand does, without its lease."""
    source = Source(
        name="bench", path=archive, sha256=sha256_of(archive), trust=Trust()
    )
    with postgres.connect(database_url, "loader", POLICY) as db:
        load_version(
            db,
            [source],
            POLICY.timetable,
            now=datetime(_DAY.year, _DAY.month, _DAY.day, tzinfo=UTC),
            fence=lambda _: None,
            by_hand=True,
        )


def bare_copy_s(admin_url: str, archive: Path) -> float:
    """Seconds that ``unzip`` and COPY take for both large files, without indexes."""
    spent = 0.0
    with psycopg.connect(admin_url, autocommit=True) as db:
        for name in _LARGE:
            member = open_archive(archive, POLICY.timetable).members[name]
            header = next(iter(member.chunks(_PIECE_BYTES))).split(b"\n", 1)[0].decode()
            columns = header.strip().replace('"', "").split(",")
            kinds = {"whole": "integer", "number": "double precision"}
            typed = ", ".join(
                f"{column} {kinds.get(COMPACT[name].columns[column], 'text')}"
                for column in columns
            )
            table = f"bench_{COMPACT[name].view}"
            db.execute(f"DROP TABLE IF EXISTS {table}".encode())
            db.execute(f"CREATE TABLE {table} ({typed})".encode())
            blanks = f"FORCE_NULL ({', '.join(columns)})"
            copied = f"COPY {table} FROM STDIN (FORMAT csv, HEADER, {blanks})"
            began = perf_counter()
            with (
                subprocess.Popen(
                    ["unzip", "-p", str(archive), name], stdout=subprocess.PIPE
                ) as unzip,
                db.cursor().copy(copied.encode()) as copy,
            ):
                assert unzip.stdout
                while piece := unzip.stdout.read(_PIECE_BYTES):
                    copy.write(piece)
            spent += perf_counter() - began
            db.execute(f"DROP TABLE {table}".encode())
    return spent


def _write(path: Path, scale: Scale) -> None:
    if not path.exists():
        synthetic_bundle(path, scale, service_day=_DAY)


def _departures_ms(db: postgres.Connection) -> float:
    """The median time of one hour of departures at the stop with the most calls."""
    ((busiest,),) = db.execute(_BUSIEST).fetchall()
    spent = []
    for _ in range(_ASKED):
        began = perf_counter()
        db.execute(
            "SELECT * FROM gtfs.departures(%s, %s, '1 hour')",
            (busiest, f"{_DAY:%Y-%m-%d} 08:00 Australia/Sydney"),
        ).fetchall()
        spent.append((perf_counter() - began) * 1e3)
    return median(spent)
