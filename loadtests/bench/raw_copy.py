"""The two large files of a feed as raw tables: what a loader is measured against."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

import psycopg

from loadtests.rig.binaries import psql_program
from worker.policy import POLICY
from worker.timetable.archive import open_archive
from worker.timetable.files import COMPACT

FILES = ("stop_times.txt", "shapes.txt")
INDEXES = {
    "stop_times.txt": (
        "ALTER TABLE bench_stop_times ADD PRIMARY KEY (trip_id, stop_sequence)",
        "CREATE INDEX ON bench_stop_times (stop_id)",
    ),
    "shapes.txt": (
        "ALTER TABLE bench_shapes ADD PRIMARY KEY (shape_id, shape_pt_sequence)",
    ),
}
"""What an app needs to show a trip, a stop and a line on the map."""

_KINDS = {"whole": "integer", "number": "double precision"}
_HEADER_BYTES = 1 << 16


def copied_s(admin_url: str, archive: Path) -> float:
    """Seconds of ``unzip -p | psql COPY`` for both files, without indexes."""
    spent = 0.0
    for file in FILES:
        with _table(admin_url, archive, file) as copy:
            began = perf_counter()
            copy()
            spent += perf_counter() - began
    return spent


def indexed(admin_url: str, archive: Path) -> tuple[float, int]:
    """Seconds of the same with INDEXES and statistics, and the bytes of the tables."""
    spent, size = 0.0, 0
    for file in FILES:
        name = f"bench_{COMPACT[file].view}"
        with (
            _table(admin_url, archive, file) as copy,
            psycopg.connect(admin_url, autocommit=True) as db,
        ):
            began = perf_counter()
            copy()
            for statement in (*INDEXES[file], f"ANALYZE {name}"):
                db.execute(statement.encode())
            spent += perf_counter() - began
            query = f"SELECT pg_total_relation_size('{name}')"
            ((found,),) = db.execute(query.encode()).fetchall()
            size += int(found)
    return spent, size


@contextmanager
def _table(admin_url: str, archive: Path, file: str) -> "Iterator[_Copy]":
    """An empty table for the block, and how to fill it."""
    member = open_archive(archive, POLICY.timetable).members[file]
    header = next(iter(member.chunks(_HEADER_BYTES))).split(b"\n", 1)[0].decode()
    columns = header.strip().replace('"', "").split(",")
    kinds = COMPACT[file].columns
    typed = ", ".join(f"{name} {_KINDS.get(kinds[name], 'text')}" for name in columns)
    table = f"bench_{COMPACT[file].view}"
    with psycopg.connect(admin_url, autocommit=True) as db:
        db.execute(f"DROP TABLE IF EXISTS {table}".encode())
        db.execute(f"CREATE TABLE {table} ({typed})".encode())
        try:
            yield _Copy(admin_url, archive, file, table)
        finally:
            db.execute(f"DROP TABLE {table}".encode())


class _Copy:
    def __init__(self, admin_url: str, archive: Path, file: str, table: str) -> None:
        self._unzip = ["unzip", "-p", str(archive), file]
        copy = f"COPY {table} FROM STDIN (FORMAT csv, HEADER)"
        self._psql = [str(psql_program()), "-qX", admin_url, "-c", copy]

    def __call__(self) -> None:
        with subprocess.Popen(self._unzip, stdout=subprocess.PIPE) as unzip:
            subprocess.run(self._psql, stdin=unzip.stdout, check=True)
