import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from worker.errors import PermanentError
from worker.policy import POLICY, vary
from worker.policy.timetable import TIMETABLE
from worker.timetable.archive import open_archive

Zipped = Callable[..., Path]
FEED = {"stop_times.txt": "trip_id\nt\n", "stops.txt": "stop_id\ns\n"}


def read(path: Path, name: str, chunk_bytes: int = 100) -> bytes:
    return b"".join(open_archive(path, TIMETABLE).members[name].chunks(chunk_bytes))


def test_a_feed_in_a_nested_folder_is_found(zipped: Zipped) -> None:
    path = zipped({f"a/b/{name}": text for name, text in FEED.items()})

    assert read(path, "stops.txt") == b"stop_id\ns\n"


def test_stored_and_packed_members_are_read_alike(tmp_path: Path) -> None:
    text = "stop_id\n" + "s\n" * 5000
    path = tmp_path / "feed.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("trips.txt", "x\n")
        archive.writestr("stops.txt", text)
        archive.writestr("stop_times.txt", text, zipfile.ZIP_DEFLATED)

    assert read(path, "stops.txt") == read(path, "stop_times.txt") == text.encode()


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"../stops.txt": "", **FEED}, "names a file outside"),
        ({"/etc/stops.txt": "", **FEED}, "names a file outside"),
        ({"one/trips.txt": "", "two/trips.txt": ""}, "more than one feed: one, two"),
        ({"readme.md": ""}, "holds no feed, only readme.md"),
        ({"trips.txt": "0" * 2_000_000}, "unpacks more than 200-fold"),
    ],
    ids=["parent folder", "absolute", "two feeds", "no feed", "bomb"],
)
def test_an_archive_that_breaks_a_rule_is_refused(
    files: dict[str, str], sentence: str, zipped: Zipped
) -> None:
    with pytest.raises(PermanentError, match=sentence):
        open_archive(zipped(files), TIMETABLE)


def test_sizes_and_counts_are_capped(zipped: Zipped) -> None:
    path = zipped(FEED)

    for cap, sentence in (
        ("max_members", "more than 1"),
        ("max_file_bytes", "more than 1"),
        ("max_total_bytes", "unpacks to"),
    ):
        policy = vary(
            vary(POLICY, "timetable.max_archive_bytes", 1), f"timetable.{cap}", 1
        )
        with pytest.raises(PermanentError, match=sentence):
            open_archive(path, policy.timetable)


def test_a_member_that_lies_about_its_size_is_refused(zipped: Zipped) -> None:
    path = zipped({**FEED, "trips.txt": "trip_id\n" + "t\n" * 1000})
    raw = bytearray(path.read_bytes())
    at = raw.index(b"PK\x01\x02", raw.index(b"trips.txt") + 1)
    while raw[at + 46 : at + 55] != b"trips.txt":
        at = raw.index(b"PK\x01\x02", at + 1)
    struct.pack_into("<L", raw, at + 24, 500)
    path.write_bytes(raw)

    with pytest.raises(PermanentError, match="unpacks to more than the 500 bytes"):
        read(path, "trips.txt")


@pytest.mark.parametrize("cut", [10, 100, 180])
def test_a_truncated_archive_is_refused(cut: int, zipped: Zipped) -> None:
    path = zipped(FEED)
    path.write_bytes(path.read_bytes()[:cut])

    with pytest.raises(PermanentError, match="is not a readable zip"):
        open_archive(path, TIMETABLE)


def test_a_flipped_byte_is_noticed(zipped: Zipped) -> None:
    path = zipped({**FEED, "trips.txt": "".join(f"{n * n}\n" for n in range(999))})
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"trips.txt") + 200] ^= 0x55
    path.write_bytes(raw)

    with pytest.raises(PermanentError, match=r"trips.txt"):
        read(path, "trips.txt")
