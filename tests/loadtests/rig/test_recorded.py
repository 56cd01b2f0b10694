"""Recorded files become today's: dates, times, weekdays; nothing else changes."""

import csv
import gzip
import io
import zipfile
from datetime import date, datetime
from pathlib import Path

import pytest
from google.transit.gtfs_realtime_pb2 import FeedEntity, FeedMessage

from loadtests.rig.clock import SYDNEY
from loadtests.rig.folder import RigError
from loadtests.rig.recorded import Recorded
from loadtests.rig.redate import (
    WEEKDAYS,
    busiest_day,
    redate_bundle,
    redate_rows,
    runs_on,
)
from loadtests.rig.rig import rig
from loadtests.rig.world import Outside
from worker.policy import POLICY
from worker.policy.feeds import FEEDS

TODAY = date(2026, 11, 24)


def archive(path: Path, **files: str) -> Path:
    with zipfile.ZipFile(path, "w") as out:
        for name, text in files.items():
            out.writestr(f"{name}.txt", text)
    return path


def snapshot(path: Path, timestamp: int, delay_s: int = 30) -> None:
    message = FeedMessage()
    message.header.gtfs_realtime_version = "1.0"
    message.header.timestamp = timestamp
    entity = message.entity.add(id="1")
    entity.trip_update.trip.trip_id = "T1"
    entity.trip_update.trip.route_id = "R1"
    entity.trip_update.trip.start_date = "20200901"
    stop = entity.trip_update.stop_time_update.add(stop_id="S1")
    stop.arrival.time = timestamp + 600
    stop.arrival.delay = delay_s
    path.write_bytes(gzip.compress(message.SerializeToString()))


@pytest.fixture
def static(tmp_path: Path) -> Path:
    return archive(
        tmp_path / "static.zip",
        routes="route_id,route_type\nR1,700\n",
        trips="route_id,service_id,trip_id\nR1,D,T1\n",
        calendar_dates="service_id,date,exception_type\nD,20200901,1\n",
    )


@pytest.fixture
def realtime(tmp_path: Path) -> Path:
    folder = tmp_path / "nsw_buses"
    folder.mkdir()
    for minute in (0, 1):
        at = datetime(2020, 9, 1, 8, minute, tzinfo=SYDNEY)
        snapshot(folder / f"TU{minute}.pb.gz", int(at.timestamp()), 30 + minute)
    return folder


def test_a_recorded_hour_is_the_same_hour_today_in_summer_too(
    static: Path, realtime: Path
) -> None:
    recorded = Recorded(static, realtime, today=TODAY)

    now = datetime.fromtimestamp(recorded.clock.now(), SYDNEY)
    outside = Outside(source=recorded, feeds=FEEDS)
    entity = FeedMessage.FromString(outside.publications["buses_trips"].body).entity[0]

    assert recorded.days == 2275
    assert (now.date(), now.hour, now.minute) == (TODAY, 8, 0)
    assert entity.trip_update.trip.start_date == "20261124"
    arrival = entity.trip_update.stop_time_update[0].arrival
    at = datetime.fromtimestamp(arrival.time, SYDNEY)
    assert (at.date(), at.hour, at.minute, arrival.delay) == (TODAY, 8, 10, 30)


def test_bodies_follow_each_other_and_begin_anew(static: Path, realtime: Path) -> None:
    recorded = Recorded(static, realtime, today=TODAY)
    feed, start = FEEDS["buses_trips"], recorded.clock.now()

    def delay(after_s: float) -> int:
        (entity,) = recorded.entities(feed, start + after_s)
        decoded = FeedEntity.FromString(entity.encoded)
        return decoded.trip_update.stop_time_update[0].arrival.delay

    assert [delay(s) for s in (0, 59, 61, 119, 121)] == [30, 30, 31, 31, 30]


def test_the_bundle_is_moved_with_the_feeds(
    static: Path, realtime: Path, tmp_path: Path
) -> None:
    recorded = Recorded(static, realtime, today=TODAY)

    recorded.write_bundle("complete", "/v1/x/complete/gtfs", tmp_path / "out.zip")
    recorded.write_bundle(
        "trains", "/v1/gtfs/schedule/sydneytrains", tmp_path / "t.zip"
    )

    assert runs_on(tmp_path / "out.zip", TODAY)
    assert runs_on(tmp_path / "t.zip", TODAY)
    with zipfile.ZipFile(static) as old, zipfile.ZipFile(tmp_path / "out.zip") as new:
        assert new.read("trips.txt") == old.read("trips.txt")


def test_weekdays_turn_with_the_dates() -> None:
    header = f"service_id,{','.join(WEEKDAYS)},start_date,end_date"
    tuesdays = f"{header}\nS,0,1,0,0,0,0,0,20200901,20200930\n"

    moved = b"".join(redate_rows(io.StringIO(tuesdays), 2)).decode()

    (row,) = csv.DictReader(io.StringIO(moved))
    assert [d for d in WEEKDAYS if row[d] == "1"] == ["thursday"]
    assert (row["start_date"], row["end_date"]) == ("20200903", "20201002")


def test_without_snapshots_the_busiest_day_becomes_today(tmp_path: Path) -> None:
    path = archive(
        tmp_path / "s.zip",
        routes="route_id,route_type\nR1,700\n",
        calendar_dates=(
            "service_id,date,exception_type\nA,20200901,1\nA,20200902,1\nB,20200902,1\n"
        ),
    )

    assert busiest_day(path) == date(2020, 9, 2)
    recorded = Recorded(path, today=TODAY)

    assert recorded.days == (TODAY - date(2020, 9, 2)).days
    assert not recorded.replays


def test_an_archive_of_another_day_is_refused(realtime: Path, tmp_path: Path) -> None:
    other = archive(
        tmp_path / "other.zip",
        routes="route_id,route_type\nR1,700\n",
        calendar_dates="service_id,date,exception_type\nD,20210101,1\n",
    )

    with pytest.raises(RigError, match="no service on 2020-09-01"):
        Recorded(other, realtime, today=TODAY)


def test_nonsense_is_one_sentence(static: Path, tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "x.pb").write_bytes(b"<html>")
    (tmp_path / "text.zip").write_text("no zip")
    for kind in ("gz", "zip"):
        (tmp_path / kind).mkdir()
        (tmp_path / kind / f"x.pb.{kind}").write_bytes(b"\x1f\x8bPK")

    with pytest.raises(RigError, match="not a GTFS-Realtime message"):
        Recorded(static, tmp_path / "bad")
    for kind in ("gz", "zip"):
        with pytest.raises(RigError, match=f"x.pb.{kind} is a damaged archive"):
            Recorded(static, tmp_path / kind)
    with pytest.raises(RigError, match="not a readable zip"):
        redate_bundle(tmp_path / "text.zip", tmp_path / "out.zip", 1)


def test_true_bus_snapshots_match_their_timetable(transit_data: Path) -> None:
    recorded = Recorded(
        transit_data / "static" / "nsw_buses_2020-09-01_derived.zip",
        transit_data / "realtime" / "nsw_buses_2020-09-01",
        today=TODAY,
    )
    outside = Outside(source=recorded, feeds=FEEDS)
    body = outside.publications["buses_trips"].body

    message = FeedMessage.FromString(body)
    with zipfile.ZipFile(recorded.static) as given:
        text = io.StringIO(given.read("trips.txt").decode())
        known = {row["trip_id"] for row in csv.DictReader(text)}
    found = [e.trip_update.trip.trip_id in known for e in message.entity]

    assert len(message.entity) == 7_198
    assert len(body) > 8_000_000
    assert sum(found) / len(found) > 0.9
    assert len(outside.lines()) > 2_000


def test_recorded_timetables_are_written_before_anybody_waits_for_them(static):
    with rig(static=static, migrated=False) as up:
        written = {path.stem for path in up.folder.glob("*.zip")}

    assert written == set(POLICY.bundles)
