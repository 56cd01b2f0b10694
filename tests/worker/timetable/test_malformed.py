"""Every odd feed either loads exactly, or is refused in one sentence."""

import codecs
import csv
import io
import random
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from worker.errors import PermanentError
from worker.policy.timetable import TIMETABLE
from worker.timetable.archive import open_archive
from worker.timetable.files import COMPACT, SIMPLE
from worker.timetable.sync import SyncResult

Loader = psycopg.Connection[Any]
Load = Callable[..., SyncResult]
Zipped = Callable[..., Path]

FILES = [
    "agency.txt", "calendar.txt", "calendar_dates.txt", "routes.txt", "shapes.txt",
    "stop_times.txt", "stops.txt", "trips.txt",
]  # fmt: skip
NAMED = re.compile(r"\.txt|\.zip")


def loads_exactly_or_is_refused(
    archive: Path, load: Load, loader: Loader, oracle: SimpleNamespace
) -> str:
    """The sentence of a refusal; blank when it was loaded and every row came back."""
    before = oracle.fingerprint(loader)
    try:
        result = load(archive)
    except PermanentError as error:
        loader.rollback()
        assert oracle.fingerprint(loader) == before
        sentence = str(error)
        assert "\n" not in sentence
        return sentence
    assert not result.skipped  # one of so few rows is too many
    with zipfile.ZipFile(archive) as opened:
        contents = {name: opened.read(name) for name in opened.namelist()}
    for file in sorted({*SIMPLE, *COMPACT} & {n for n, c in contents.items() if c}):
        difference = oracle.difference(loader, archive, file, as_csv(contents[file]))
        assert not difference, f"{file}: {difference}"
    return ""


def as_csv(content: bytes) -> str:
    """What the csv module reads, in the form that PostgreSQL, the judge, reads too.

    A line that is not UTF-8 is Latin-1, missing cells are blank, and blank ones beyond
    the header are none.
    """
    lines = []
    for line in content.removeprefix(codecs.BOM_UTF8).splitlines(keepends=True):
        try:
            lines.append(line.decode())
        except UnicodeDecodeError:
            lines.append(line.decode("latin-1"))
    rows = [row for row in csv.reader(io.StringIO("".join(lines), newline="")) if row]
    width = len(rows[0])
    rows = [row for row in rows if any(row) or len(row) > 1 or width == 1]
    assert not any(any(row[width:]) for row in rows)
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    writer.writerows([*row[:width], *[""] * (width - len(row))] for row in rows)
    return text.getvalue()


def test_every_malformed_feed_loads_exactly_or_is_refused(
    transit_data: Path,
    zipped: Zipped,
    load: Load,
    loader: Loader,
    oracle: SimpleNamespace,
    small_feed: dict[str, str],
) -> None:
    load(zipped(small_feed))
    outcomes: dict[str, str] = {}
    for path in sorted((transit_data / "malformed").glob("*/*")):
        try:
            members = open_archive(path, TIMETABLE).members
        except PermanentError as error:
            outcomes[path.name] = str(error)
            continue
        contents = {
            name: b"".join(member.chunks(1 << 20)) for name, member in members.items()
        }
        outcomes[path.name] = loads_exactly_or_is_refused(
            zipped(contents, f"{path.stem}.zip"),
            load,
            loader,
            oracle,
        )

    refused = {name for name, sentence in outcomes.items() if sentence}
    for name in refused:
        assert NAMED.search(outcomes[name]) or name in outcomes[name]
    assert refused == {
        "au-sydney-entrances",
        "bad_date_format",
        "contains_null",
        "duplicate_schedule_id",
        "duplicate_stop_sequence",
        "empty_file",
        "example-nested-two-feeds.zip",
        "example-nested-zip.zip",
        "invalid.zip",
        "missing_agency",
        "missing_calendar",
        "missing_column",
        "missing_routes",
        "missing_stop_times",
        "missing_stops",
        "missing_trips",
        "missing_weekday_column",
        "negative_stop_sequence",
        "undefined_stop",
        "unknown_format.zip",
        "upgrade_translations",
        "utf16",
    }


PIECES = [
    b'"', b",", b"\n", b"\r\n", b"\r", b"\0", b"\xff", b" ", b"-", b":", b"9", b"\\",
    b"\t", b"x", b'"a, ""b"""', "Zo\u00eb".encode(), b"", b"1e5", b".", b"\xef\xbb\xbf",
]  # fmt: skip


@st.composite
def faults(draw: st.DrawFn) -> tuple[str, int, bytes, str, int]:
    """A file, where in it, what, in which way, and how much: what feeds have had."""
    return (
        draw(st.sampled_from(FILES)),
        draw(st.integers(0, 2**16)),
        draw(st.sampled_from(PIECES)),
        draw(st.sampled_from(["insert", "replace", "delete", "line twice", "shuffle"])),
        draw(st.integers(1, 30)),
    )


@settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(mutations=st.lists(faults(), min_size=1, max_size=3))
def test_every_mutated_feed_loads_exactly_or_is_refused(
    mutations: list[tuple[str, int, bytes, str, int]],
    small_feed: dict[str, str],
    zipped: Zipped,
    load: Load,
    loader: Loader,
    oracle: SimpleNamespace,
) -> None:
    files = {name: text.encode() for name, text in small_feed.items()}
    for name, *fault in mutations:
        files[name] = mutated(files[name], *fault)

    sentence = loads_exactly_or_is_refused(zipped(files), load, loader, oracle)

    event("refused" if sentence else "loaded")
    assert not sentence or NAMED.search(sentence), sentence


def mutated(content: bytes, where: int, piece: bytes, way: str, many: int) -> bytes:
    raw = bytearray(content)
    at = where % (len(raw) + 1)
    if way == "insert":
        raw[at:at] = piece
    elif way == "replace":
        raw[at : at + len(piece) + 1] = piece
    elif way == "delete":
        del raw[at : at + many]
    else:
        head, *lines = content.splitlines(keepends=True) or [b""]
        if way == "shuffle":
            random.Random(where).shuffle(lines)
        elif lines:
            lines.append(lines[where % len(lines)])
        raw = bytearray(b"".join([head, *lines]))
    return bytes(raw)
