"""Every odd feed either loads exactly, or is refused in one sentence."""

import random
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg

from worker.errors import PermanentError
from worker.policy.timetable import TIMETABLE
from worker.timetable.archive import open_archive
from worker.timetable.files import COMPACT, SIMPLE
from worker.timetable.sync import SyncResult

Loader = psycopg.Connection[Any]
Load = Callable[..., SyncResult]
Zipped = Callable[..., Path]

UNJUDGED = re.compile(r"cells \(first such row|Latin-1")
MUTATIONS = 60
NAMED = re.compile(r"\.txt")


def loads_exactly_or_is_refused(
    archive: Path, load: Load, loader: Loader, oracle: SimpleNamespace
) -> str:
    """The sentence of a refusal; blank when it was loaded and every row came back.

    PostgreSQL's CSV reader, the judge, cannot read rows of another width than the
    header's, nor Latin-1: those feeds are not judged.
    """
    before = oracle.fingerprint(loader)
    try:
        result = load(archive)
    except PermanentError as error:
        loader.rollback()
        assert oracle.fingerprint(loader) == before
        sentence = str(error)
        assert "\n" not in sentence
        return sentence
    if not result.skipped and not any(map(UNJUDGED.search, result.warnings)):
        with zipfile.ZipFile(archive) as opened:
            files = {name for name in opened.namelist() if opened.read(name)}
        for file in sorted(files & {*SIMPLE, *COMPACT}):
            try:
                difference = oracle.difference(loader, archive, file)
            except psycopg.errors.BadCopyFileFormat:
                loader.rollback()  # blank cells beyond the header
            else:
                assert not difference
    return ""


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


def test_every_mutated_feed_loads_exactly_or_is_refused(
    small_feed: dict[str, str],
    zipped: Zipped,
    load: Load,
    loader: Loader,
    oracle: SimpleNamespace,
) -> None:
    load(zipped(small_feed))
    refused = 0
    for seed in range(MUTATIONS):
        archive = zipped(mutated(small_feed, random.Random(seed)), f"{seed}.zip")
        sentence = loads_exactly_or_is_refused(archive, load, loader, oracle)
        refused += bool(sentence)
        assert not sentence or NAMED.search(sentence), f"seed {seed}: {sentence}"

    assert 0 < refused < MUTATIONS


def mutated(feed: dict[str, str], chance: random.Random) -> dict[str, bytes]:
    """The feed with one to three faults of the kinds that feeds have had."""
    files = {name: text.encode() for name, text in feed.items()}
    for _ in range(chance.randint(1, 3)):
        name = chance.choice(sorted(files))
        raw = bytearray(files[name])
        at = chance.randrange(len(raw) + 1)
        piece = chance.choice(
            [b'"', b",", b"\n", b"\r\n", b"\0", b"\xff", b" ", b"-", b":", b"9", b"\\",
             b"\t", b"x", b'"a, ""b"""', "Zoë".encode(), b"", b"1e5", b"."]
        )  # fmt: skip
        kind = chance.choice(["insert", "replace", "delete", "line twice", "shuffle"])
        if kind == "insert":
            raw[at:at] = piece
        elif kind == "replace":
            raw[at : at + len(piece) + 1] = piece
        elif kind == "delete":
            del raw[at : at + chance.randint(1, 30)]
        else:
            head, *lines = bytes(raw).splitlines(keepends=True) or [b""]
            if kind == "shuffle":
                chance.shuffle(lines)
            elif lines:
                lines.append(chance.choice(lines))
            raw = bytearray(b"".join([head, *lines]))
        files[name] = bytes(raw)
    return files
