"""The made-up timetable is NSW's in form, and the same for the same seed."""

import csv
import io
import zipfile
from datetime import date
from pathlib import Path

import gtfs_kit
import pytest

from loadtests.rig.city import City
from loadtests.rig.feeds import synthetic_bundle
from loadtests.rig.scales import NSW, SMALL, Scale
from loadtests.rig.streamed_zip import StreamedZip

DAY = date(2026, 11, 24)
TINY = Scale(lines=9, trips_per_line=20, stops_per_trip=8, stops=120, shape_points=12)


def rows(path: Path, name: str) -> list[dict[str, str]]:
    with zipfile.ZipFile(path) as archive:
        return list(csv.DictReader(io.StringIO(archive.read(name).decode())))


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    synthetic_bundle(tmp_path / "tiny.zip", TINY, service_day=DAY)
    return tmp_path / "tiny.zip"


def test_the_archive_is_sound_for_a_reader_that_we_did_not_write(tiny: Path) -> None:
    with zipfile.ZipFile(tiny) as archive:
        assert archive.testzip() is None

    feed = gtfs_kit.read_feed(tiny, dist_units="m")

    assert len(feed.routes) == 9
    assert set(feed.stop_times.trip_id) == set(feed.trips.trip_id)
    assert set(feed.stop_times.stop_id) <= set(feed.stops.stop_id)
    assert set(feed.trips.shape_id) == set(feed.shapes.shape_id)
    assert set(feed.trips.service_id) <= set(feed.calendar.service_id)
    assert len(feed.get_active_services(DAY.strftime("%Y%m%d"))) == 2


def test_fields_are_quoted_lines_end_in_crlf_and_hours_pass_24(tiny: Path) -> None:
    with zipfile.ZipFile(tiny) as archive:
        lines = archive.read("stop_times.txt").split(b"\r\n")

    assert lines.pop() == b""
    assert all(line.startswith(b'"') and line.endswith(b'"') for line in lines)
    times = [row["departure_time"] for row in rows(tiny, "stop_times.txt")]
    assert any(time >= "25:00:00" for time in times)


def test_times_never_go_back_along_a_trip(tiny: Path) -> None:
    before: dict[str, str] = {}
    for row in rows(tiny, "stop_times.txt"):
        assert before.get(row["trip_id"], "") <= row["arrival_time"]
        assert row["arrival_time"] <= row["departure_time"]
        before[row["trip_id"]] = row["departure_time"]


def test_a_seed_makes_the_same_archive_and_another_seed_another(tmp_path: Path) -> None:
    def written(seed: int) -> bytes:
        path = tmp_path / f"{seed}.zip"
        synthetic_bundle(path, TINY, seed=seed, service_day=DAY)
        return path.read_bytes()

    assert written(1) == written(1)
    assert written(1) != written(2)


def test_the_complete_bundle_knows_trains_by_other_ids(tmp_path: Path) -> None:
    synthetic_bundle(
        tmp_path / "complete.zip", TINY, service_day=DAY, foreign_trains=True
    )
    synthetic_bundle(
        *(tmp_path / "trains.zip", TINY),
        service_day=DAY,
        modes=lambda feed: feed == "sydneytrains",
    )

    complete = {row["trip_id"] for row in rows(tmp_path / "complete.zip", "trips.txt")}
    trains = {row["trip_id"] for row in rows(tmp_path / "trains.zip", "trips.txt")}
    types = {row["route_type"] for row in rows(tmp_path / "trains.zip", "routes.txt")}

    assert types == {"2"}
    assert trains
    assert not trains & complete


def test_the_small_city_has_lines_for_eighty_riders_and_unique_ids() -> None:
    lines = list(City(SMALL).lines())
    trips = [trip.trip_id for line in lines for trip in line.trips]

    assert len({line.route_id for line in lines}) == SMALL.lines >= 80
    assert len(set(trips)) == len(trips)


def test_a_city_of_full_scale_has_new_south_wales_size() -> None:
    city = City(NSW)
    sample = [city.line(number) for number in range(0, NSW.lines, 50)]
    trips = sum(len(line.trips) for line in sample) * 50
    times = sum(len(t.arrivals) for line in sample for t in line.trips) * 50
    points = sum(len(line.patterns) for line in sample) * 50 * NSW.shape_points

    assert trips == pytest.approx(210_000, rel=0.05)
    assert times == pytest.approx(8_700_000, rel=0.05)
    assert points == pytest.approx(15_000_000, rel=0.05)


def test_an_archive_of_many_blocks_unpacks_to_what_was_added(tmp_path: Path) -> None:
    blocks = [bytes([n]) * 70_000 for n in range(9)]

    with StreamedZip(tmp_path / "z.zip") as archive:
        assert archive.add("a/b.txt", blocks) == 630_000
        archive.add("empty.txt", [])

    with zipfile.ZipFile(tmp_path / "z.zip") as archive:
        assert archive.read("a/b.txt") == b"".join(blocks)
        assert archive.read("empty.txt") == b""
