"""What the timetable is measured against does what it says."""

from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import pytest

from loadtests.bench import raw_copy
from loadtests.bench.readers import Readers
from loadtests.rig.feeds import synthetic_bundle
from loadtests.rig.scales import Scale

TINY = Scale(lines=4, trips_per_line=10, stops_per_trip=8, stops=60, shape_points=2_000)


def test_raw_tables_are_indexed_weighed_and_dropped(
    tmp_path: Path, database: Any
) -> None:
    archive = tmp_path / "tiny.zip"
    synthetic_bundle(archive, TINY, service_day=date(2026, 11, 24))

    bare_s = raw_copy.copied_s(database.admin_url, archive)
    indexed_s, size = raw_copy.indexed(database.admin_url, archive)

    assert bare_s > 0
    assert indexed_s > 0
    assert size > 4 * 2_000 * 30  # a shape point is 30 bytes at the very least
    with psycopg.connect(database.admin_url) as db:
        ((left,),) = db.execute(
            "SELECT count(*) FROM pg_tables WHERE tablename LIKE 'bench%'"
        ).fetchall()
    assert left == 0


def test_a_reader_that_fails_ends_the_bench(empty_database: Any) -> None:
    readers = Readers(empty_database.admin_url, "2026-11-24")

    with pytest.raises(psycopg.errors.UndefinedTable), readers.asking():
        pass
