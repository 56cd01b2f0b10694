"""gtfs-kit reads the same files for itself: what it finds is what the views hold."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gtfs_kit
import pandas as pd
import psycopg
import pytest

from worker.timetable.sync import SyncResult

Loader = psycopg.Connection[Any]
Load = Callable[..., SyncResult]
KEYS = {
    "stop_times": ["trip_id", "stop_sequence"],
    "trips": ["trip_id"],
    "stops": ["stop_id"],
    "routes": ["route_id"],
    "calendar": ["service_id"],
    "calendar_dates": ["service_id", "date"],
    "shapes": ["shape_id", "shape_pt_sequence"],
    "frequencies": ["trip_id", "start_time"],
}
HALF_A_CENTIMETRE = 0.005


@pytest.mark.parametrize(
    "name",
    [
        "static/austin.zip",
        "static/cairns.zip",
        "static/nsw_buses_2020-09-01_derived.zip",
        "static/nsw_metro_2019.zip",
        "static/nsw_metro_2025-03-07_derived.zip",
        "static/vta.zip",
        "malformed/transitfeed/good_feed.zip",
        "malformed/transitfeed/missing_departure_time",
        "malformed/transitfeed/only_calendar_dates",
        "malformed/transitfeed/unrecognized_columns",
        "malformed/transitfeed/utf8bom",
    ],
)
def test_the_views_hold_what_gtfs_kit_reads(
    name: str, transit_data: Path, load: Load, loader: Loader
) -> None:
    feed = gtfs_kit.read_feed(transit_data / name, dist_units="m")
    load(transit_data / name)

    for table, keys in KEYS.items():
        theirs = getattr(feed, table)
        ours = view(loader, table)
        if theirs is None:
            assert ours.empty
            continue
        assert_same(ours, theirs, keys)


def view(loader: Loader, table: str) -> pd.DataFrame:
    cursor = loader.execute(f"SELECT * FROM gtfs.{table}".encode())
    assert cursor.description
    names = [column.name for column in cursor.description]
    found = pd.DataFrame(cursor.fetchall(), columns=names, dtype=object)
    loader.commit()
    return found


def assert_same(ours: pd.DataFrame, theirs: pd.DataFrame, keys: list[str]) -> None:
    """Every column that both know is equal, row by row in the order of the keys."""
    common = [
        *keys,
        *(n for n in theirs.columns if n in ours.columns and n not in keys),
    ]
    left, right = rows_of(ours, common), rows_of(theirs, common)
    assert len(left) == len(right)
    for mines, others in zip(left, right, strict=True):
        if mines == others:
            continue
        for name, mine, other in zip(common, mines, others, strict=True):
            if isinstance(mine, str) and isinstance(other, float):
                mine = float(mine)  # a text that it takes for a number
            if isinstance(mine, float) and isinstance(other, float):
                tolerance = HALF_A_CENTIMETRE if "dist" in name else 1e-7
                assert abs(mine - other) <= tolerance * 1.000001, (name, others)
            else:
                assert mine == other, (name, others)


def rows_of(frame: pd.DataFrame, columns: list[str]) -> list[tuple[Any, ...]]:
    values = [[plain(value) for value in frame[name].tolist()] for name in columns]
    return sorted(zip(*values, strict=True), key=lambda row: str(row[:2]))


def plain(value: Any) -> Any:
    """A value as both can have it: numbers as floats, clock times with two digits."""
    if pd.isna(value):
        return None
    if isinstance(value, str):
        text = value.strip()
        if len(text) == len("1:23:45") and text[1] == ":":
            return f"0{text}"
        return text or None
    return float(value)
