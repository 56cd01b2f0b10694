"""A loader on a real database, and PostgreSQL's CSV reader as an oracle."""

import csv
import io
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from worker.clients import postgres
from worker.policy import POLICY
from worker.policy.timetable import TIMETABLE
from worker.timetable.bundle import Trust
from worker.timetable.files import COMPACT, SIMPLE, File
from worker.timetable.sync import Source, SyncResult, load_version

NOON = datetime(2026, 11, 23, 2, tzinfo=UTC)
Load = Callable[..., SyncResult]


@pytest.fixture
def oracle() -> SimpleNamespace:
    """The readers below, reachable from tests, which cannot import a conftest."""
    return SimpleNamespace(
        difference=difference,
        untouched=untouched,
        fingerprint=fingerprint,
    )


@pytest.fixture
def loader(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection in the loader's role, never a superuser's."""
    with postgres.connect(database_url, "loader", POLICY) as connection:
        yield connection


@pytest.fixture
def load(loader: psycopg.Connection[Any]) -> Load:
    """Loads one archive by hand."""

    def run(archive: Path, **options: Any) -> SyncResult:
        options = {"now": NOON, "fence": lambda _: None, "by_hand": True, **options}
        source = Source(name="archive", path=archive, sha256="0" * 64, trust=Trust())
        return load_version(loader, [source], TIMETABLE, **options)

    return run


@pytest.fixture
def zipped(tmp_path: Path) -> Callable[..., Path]:
    """Makes an archive of texts or bytes by file name."""

    def make(files: dict[str, str | bytes], name: str = "feed.zip") -> Path:
        path = tmp_path / name
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for file, content in files.items():
                archive.writestr(file, content)
        return path

    return make


@pytest.fixture
def small_feed() -> dict[str, str]:
    """A valid feed of two routes, a station, hours past 24 and a blank time."""
    return {
        "agency.txt": "agency_id,agency_name,agency_url,agency_timezone\n"
        "A,Sydney,http://a,Australia/Sydney\n",
        "stops.txt": "stop_id,stop_name,stop_lat,stop_lon,location_type,"
        "parent_station\n"
        "S,Central,-33.88,151.2,1,\nP1,Platform 1,-33.8801,151.2001,0,S\n"
        "P2,Platform 2,-33.8802,151.2002,0,S\nX,Redfern,-33.89,151.19,0,\n"
        "Y,Town Hall,-33.87,151.21,0,\n",
        "routes.txt": "route_id,agency_id,route_short_name,route_long_name,route_type\n"
        "R1,A,T1,North,2\nR2,A,333,Bondi,700\n",
        "calendar.txt": "service_id,monday,tuesday,wednesday,thursday,friday,saturday,"
        "sunday,start_date,end_date\nDAILY,1,1,1,1,1,1,1,20260101,20271231\n"
        "WEEK,1,1,1,1,1,0,0,20260101,20271231\n",
        "calendar_dates.txt": "service_id,date,exception_type\nWEEK,20261225,2\n",
        "trips.txt": "route_id,service_id,trip_id,trip_headsign,shape_id\n"
        "R1,DAILY,t1,Town Hall,sh\nR1,DAILY,t2,Town Hall,sh\nR1,WEEK,t3,Town Hall,\n"
        "R2,WEEK,b1,Bondi,\nR2,DAILY,n1,Night,\n",
        "stop_times.txt": "trip_id,arrival_time,departure_time,stop_id,stop_sequence\n"
        "t1,8:00:00,8:01:00,P1,1\nt1,8:05:00,8:05:00,Y,2\n"
        "t2,09:00:00,09:01:00,P1,1\nt2,09:05:00,09:05:00,Y,2\n"
        "t3,08:30:00,08:31:00,P2,1\nt3,08:36:00,08:36:00,Y,2\n"
        "b1,08:10:00,08:10:00,X,5\nb1,,,P2,6\nb1,08:20:00,08:20:00,Y,9\n"
        "n1,24:30:00,24:30:00,P1,1\nn1,25:10:00,25:10:00,X,2\n",
        "shapes.txt": "shape_id,shape_pt_lat,shape_pt_lon,shape_pt_sequence\n"
        "sh,-33.88,151.2,1\nsh,-33.875,151.205,2\nsh,-33.87,151.21,3\n",
    }


COLUMN = {
    "text": "{0}",
    "date": "trim({0})",
    "whole": "trim({0})::integer",
    "clock": r"regexp_replace(trim({0}), '^(\d):', '0\1:')",
    "number": "trim({0})::double precision",
}
TOLERANCES = {
    "shape_pt_lat": 1e-7,
    "shape_pt_lon": 1e-7,
    "shape_dist_traveled": 0.01,
}
"""Half a unit is lost at most; the rest is what a binary fraction cannot hold."""


def difference(
    connection: psycopg.Connection[Any],
    archive: Path,
    file: str,
    text: str | None = None,
) -> str:
    """A row that only the file or only its view has; blank when they hold the same.

    PostgreSQL's own CSV reader is the judge: every column as text, blank as null.
    ``text`` stands for the file where that reader cannot read it.
    """
    known = {**SIMPLE, **COMPACT}[file]
    if text is None:
        with zipfile.ZipFile(archive) as opened:
            text = opened.read(file).decode("utf-8-sig")
    names = [name.strip() for name in next(csv.reader(io.StringIO(text)), [])]
    quoted = [f'"{name}"' for name in names]
    columns = ", ".join(f"{each} text" for each in quoted)
    connection.execute(f"CREATE TEMP TABLE raw ({columns})".encode())
    blanks = f"FORCE_NULL ({', '.join(quoted)})"
    copy = f"COPY raw FROM STDIN (FORMAT csv, HEADER, {blanks})"
    with connection.cursor().copy(copy.encode()) as stream:
        stream.write(text)
    of_file = {
        name: COLUMN[known.columns[name]].format(f'"{name}"')
        if name in known.columns
        else f'"{name}"'
        for name in names
    }
    of_view = {
        name: name if name in known.columns else f"extra ->> '{name}'" for name in names
    }
    for name in known.columns:
        if name not in names:
            of_file[name], of_view[name] = "null", name
    query = (
        _by_key(known, of_file, of_view)
        if file in COMPACT
        else _whole(known, of_file, of_view)
    )
    found = connection.execute(query.encode()).fetchone()
    connection.rollback()
    return str(found) if found else ""


def _whole(known: File, of_file: dict[str, str], of_view: dict[str, str]) -> str:
    raw = f"SELECT {', '.join(f'({each})::text' for each in of_file.values())} FROM raw"
    view = (
        f"SELECT {', '.join(f'({of_view[name]})::text' for name in of_file)} "
        f"FROM gtfs.{known.view}"
    )
    return f"({raw} EXCEPT ALL {view}) UNION ALL ({view} EXCEPT ALL {raw}) LIMIT 1"


def _by_key(known: File, of_file: dict[str, str], of_view: dict[str, str]) -> str:
    columns = {name: f"c{at}" for at, name in enumerate(of_file)}
    raw = ", ".join(f"{of_file[name]} AS {columns[name]}" for name in columns)
    view = ", ".join(f"{of_view[name]} AS {columns[name]}" for name in columns)
    using = ", ".join(columns[name] for name in known.key)
    same = " AND ".join(
        f"(r.{c} IS NOT DISTINCT FROM v.{c} "
        f"OR abs(r.{c} - v.{c}) <= {TOLERANCES[name]} * 1.000001)"
        if name in TOLERANCES and of_file[name] != "null"
        else f"r.{c}::text IS NOT DISTINCT FROM v.{c}::text"
        for name, c in columns.items()
        if name not in known.key
    )
    return (
        f"SELECT * FROM (SELECT {raw}, 1 AS here FROM raw) r "
        f"FULL JOIN (SELECT {view}, 1 AS here FROM gtfs.{known.view}) v "
        f"USING ({using}) "
        f"WHERE r.here IS NULL OR v.here IS NULL OR NOT ({same}) LIMIT 1"
    )


@contextmanager
def untouched(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """The live version is the same, whole, after the block."""
    before = fingerprint(connection)
    yield
    assert fingerprint(connection) == before


def fingerprint(connection: psycopg.Connection[Any]) -> tuple[Any, ...]:
    """The live version and a sum over all its calls; blank when none is live."""
    connection.rollback()
    (there,) = connection.execute(
        "SELECT to_regclass('gtfs.version') IS NOT NULL"
    ).fetchall()[0]
    if not there:
        return ()
    row = connection.execute(
        "SELECT (SELECT version FROM gtfs.version), "
        "(SELECT sum(hashtext(s::text)::bigint) FROM gtfs.stop_times s), "
        "(SELECT count(*) FROM gtfs.trips), (SELECT count(*) FROM gtfs.stops)"
    ).fetchall()[0]
    connection.commit()
    return row
