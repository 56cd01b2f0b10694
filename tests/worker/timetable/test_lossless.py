"""What goes in comes out: the views give back the rows of the files."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from worker.timetable.files import COMPACT, SIMPLE
from worker.timetable.sync import SyncResult

Load = Callable[..., SyncResult]
KNOWN = {**SIMPLE, **COMPACT}


def assert_lossless(
    archive: Path, loader: psycopg.Connection[Any], oracle: SimpleNamespace
) -> None:
    with zipfile.ZipFile(archive) as opened:
        files = [name for name in opened.namelist() if name in KNOWN]
    for file in files:
        difference = oracle.difference(loader, archive, file)
        assert not difference, f"{file}: {difference}"


@pytest.mark.parametrize(
    "name",
    [
        "austin",
        "cairns",
        "nsw_buses_2020-09-01_derived",
        "nsw_metro_2019",
        "nsw_metro_2025-03-07_derived",
        "vta",
    ],
)
def test_every_row_of_a_real_feed_comes_back(
    name: str,
    transit_data: Path,
    load: Load,
    loader: psycopg.Connection[Any],
    oracle: SimpleNamespace,
) -> None:
    archive = transit_data / "static" / f"{name}.zip"

    result = load(archive)

    assert result.skipped == []
    assert_lossless(archive, loader, oracle)


def test_rows_of_every_odd_form_come_back(
    zipped: Callable[..., Path],
    small_feed: dict[str, str],
    load: Load,
    loader: psycopg.Connection[Any],
    oracle: SimpleNamespace,
) -> None:
    small_feed["stops.txt"] = (
        "\ufeffstop_id,stop_name,stop_lat,stop_lon,wheelchair,note\r\n"
        'P1,"A ""quoted"", name",-33.8,151.2,1,"two\r\nlines"\r\n'
        "P2,tab\there \\ backslash \\N,-33.80000000001,151.2,,\r\n"
        "X,Zoë 🚋,-33.8,151.2,,x\r\nY,,,,,\r\n"
    )
    small_feed["trips.txt"] = (
        "route_id,service_id,trip_id,trip_headsign,bikes,shape_id\n"
        "R1,DAILY,t1,Town Hall,yes,sh\nR1,DAILY,t2,Town Hall,no,sh\n"
        "R1,WEEK,t3,,,\nR2,WEEK,b1,Bondi,,gone\nR2,DAILY,n1,Night,,\n"
    )
    small_feed["stop_times.txt"] = (
        "trip_id,stop_id,arrival_time,departure_time,stop_sequence,"
        "shape_dist_traveled,stop_headsign,lift,pickup_type\n"
        't1,P1, 8:00:00,8:01:00,1,0,"via X, Y",a,0\nn1,X,25:10:00,125:10:00,2,0.1,,,\n'
        "t1,Y,8:05:00,,2,6412.209347544835,,b,3\n"
        "n1,P1,24:30:00,24:30:00,1,,,,\nt2,P1,,09:01:00,10,12.5,,,\n"
        "t2,P1,09:05:00,09:05:00,20,700,,,\nt3,Y,,,4,,,,\n"
    )
    small_feed["shapes.txt"] = (
        "shape_id,shape_pt_lat,shape_pt_lon,shape_pt_sequence,shape_dist_traveled,"
        "z\nsh,-33.88,151.2,7,0,\nsh,33.8812345,-151.2012345,3,0.25,a\n"
        "other,0,0,1,,b\nsh,-33.8800001,151.2000001,9,,b\n"
        "sh,1e-5,+0.5,10,1234.567,\nother,.5,5.,2,,b\n"
    )
    small_feed["notes.txt"] = "note_id,note_text\nn,Ring the bell\n"
    archive = zipped(small_feed)

    result = load(archive)

    assert result.skipped == []
    assert any("not together" in warning for warning in result.warnings)
    assert_lossless(archive, loader, oracle)


def test_a_file_that_gtfs_does_not_know_is_kept(
    zipped: Callable[..., Path],
    small_feed: dict[str, str],
    load: Load,
    loader: psycopg.Connection[Any],
) -> None:
    small_feed["stop_areas_nsw.txt"] = "area,stop\nCBD,S\n"

    load(zipped(small_feed))

    rows = loader.execute("SELECT file, line, row FROM gtfs.other_files").fetchall()
    assert rows == [("stop_areas_nsw.txt", 2, {"area": "CBD", "stop": "S"})]
