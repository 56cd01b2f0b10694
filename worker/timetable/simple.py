"""Files kept row by row: checked, typed, unknown columns gathered in ``extra``."""

import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import repeat

from worker.errors import PermanentError
from worker.timetable import hashing
from worker.timetable.archive import Archive
from worker.timetable.blocks import Block
from worker.timetable.building import Building
from worker.timetable.calendars import service_date
from worker.timetable.files import File, Kind
from worker.timetable.keys import KeyTable
from worker.timetable.overlap import Overlap
from worker.timetable.patterns import NULL
from worker.timetable.sink import copy_text

Row = dict[str, str]
Accept = Callable[[Row, int], bool]
"""Given a row and its line, whether to load it; it notes by itself why not."""

OTHER_TABLE = "other_rows"
_WHOLE = re.compile(r"[+-]?[0-9]{1,9}")
_CLOCK = re.compile(r"([0-9]{1,4}):([0-5][0-9]):([0-5][0-9])")


def stored(kind: Kind, text: str) -> str | None:
    """A value as COPY text, NULL when blank, None when it is not of its kind."""
    if kind == "text":
        return copy_text(text)
    text = text.strip()
    if not text:
        return NULL
    if kind == "whole":
        return str(int(text)) if _WHOLE.fullmatch(text) else None
    if kind == "date":
        return text if service_date(text) else None
    if kind == "clock":
        match = _CLOCK.fullmatch(text)
        if match is None:
            return None
        hours, minutes, seconds = map(int, match.groups())
        return str(hours * 3600 + minutes * 60 + seconds)
    try:
        number = float(text)
    except ValueError:
        return None
    return repr(number) if math.isfinite(number) and "_" not in text else None


def extra_columns(block: Block, file: File) -> list[str]:
    """The columns of the block that the file's row does not know."""
    return [name for name in block.columns if name not in file.columns]


def extra_json(names: Sequence[str], values: Sequence[str]) -> str:
    """Unknown columns as COPY text of a JSON object of those that are not blank."""
    found = {name: value for name, value in zip(names, values, strict=True) if value}
    return copy_text(json.dumps(found, ensure_ascii=False)) if found else NULL


def encoded(
    block: Block, file: File, columns: Sequence[str]
) -> Iterator[list[str] | str]:
    """Per row the stored ``columns`` and ``extra``, or the reason to leave it out."""
    texts = {name: block.texts(name) for name in columns if name in block.columns}
    extra = extra_columns(block, file)
    extra_texts = [block.texts(name) for name in extra]
    values: list[Sequence[str | None]] = [
        [stored(file.columns[name], text) for text in texts[name]]
        if name in texts
        else list(repeat(NULL, len(block)))
        for name in columns
    ]
    extras: Iterator[Sequence[str]] = (
        zip(*extra_texts, strict=True) if extra else repeat((), len(block))
    )
    required = [i for i, name in enumerate(columns) if name in file.required]
    rows_of_values = zip(*values, strict=True) if columns else repeat((), len(block))
    for at, (row, more) in enumerate(zip(rows_of_values, extras, strict=True)):
        if None in row:
            name = columns[row.index(None)]
            yield f"{name} '{texts[name][at]}' is not a {_words(file.columns[name])}"
            continue
        blank = next((columns[i] for i in required if row[i] == NULL), None)
        if blank is not None:
            yield f"{blank} is blank"
            continue
        yield [*(value or "" for value in row), extra_json(extra, more)]


def load_simple(
    building: Building,
    archive: Archive,
    file: File,
    accept: Accept | None = None,
    *,
    keys: KeyTable | None = None,
    rename: Callable[[str], str] | None = None,
) -> None:
    """Load one file of ``files.SIMPLE``; a repeated key or a bad row is left out.

    ``keys``: those that count as there already, by default those of all bundles.
    ``rename`` changes the first column.
    """
    building.check_columns(archive, file)
    overlap = Overlap(file.name) if keys is not None else building.overlap(file)
    overlap.begin()
    keys = building.key_table(file) if keys is None else keys
    key = len(keys)
    if file.key:
        for block in building.blocks(archive, file.name, count=False):
            keys.add(hashing.hashes(block, *file.key))
    repeated = keys.repeated() if file.key else set()
    columns = list(file.columns)
    dropped: list[int] = []
    for block in building.blocks(archive, file.name):
        texts = {name: block.texts(name) for name in columns} if accept else {}
        lines: list[str] = []
        first = key
        originals = _originals(block, file, keys, first, repeated)
        for at, values in enumerate(encoded(block, file, columns)):
            key = first + at
            line = int(block.lines[at])
            overlap.add(values)
            original = originals.get(key)
            if isinstance(values, str):
                building.skips.add(file.name, line, values, kind=values.split(" ")[0])
            elif original is not None and not overlap.is_earlier(original):
                reason = f"{_key_of(file, block, at)} is there twice"
                building.skips.add(file.name, line, reason, kind="twice")
                continue
            elif accept and not accept({n: texts[n][at] for n in columns}, line):
                pass
            elif original is not None:
                overlap.compare(key, original, line, _key_of(file, block, at))
                continue
            else:
                number = f"{key}\t" if file.numbered else ""
                values[0] = rename(values[0]) if rename else values[0]
                lines.append(number + "\t".join(values) + "\n")
                continue
            dropped.append(key)
        key = first + len(block)
        building.sink.write(file.table, lines)
        building.rows[file.name] += len(lines)
    keys.drop(dropped)
    overlap.tell(building.skips)
    building.check_skipped(file.name)


def load_other(building: Building, archive: Archive, name: str) -> None:
    """Keep the rows of a file that GTFS does not know; what is no CSV is left out."""
    skips = building.skips
    try:
        for block in building.blocks(archive, name):
            names = list(block.columns)
            columns = [block.texts(column) for column in names]
            lines = [
                f"{copy_text(name)}\t{line}\t{extra_json(names, values)}\n"
                for line, *values in zip(block.lines.tolist(), *columns, strict=True)
            ]
            building.sink.write(OTHER_TABLE, lines)
            building.rows[name] += len(lines)
    except PermanentError as error:
        skips.warn(f"{error}; the rest of the file is left out")
    if skips.counts[name]:
        first = skips.first[name]
        skips.warn(f"{name}:{first.line}: {first.reason} (and such rows are left out)")
        skips.forget(name)


def _originals(
    block: Block, file: File, keys: KeyTable, first: int, repeated: set[int]
) -> dict[int, int]:
    """Of the block's rows whose key is there before: the row that was first."""
    there = [key for key in range(first, first + len(block)) if key in repeated]
    if not there:
        return {}
    found = keys.find(hashing.hashes(block, *file.key))
    return {key: int(found[key - first]) for key in there}


def _key_of(file: File, block: Block, at: int) -> str:
    return ", ".join(f"{name} {block.text(name, at)}" for name in file.key)


def _words(kind: Kind) -> str:
    return {
        "text": "text",
        "whole": "whole number",
        "number": "number",
        "clock": "time HH:MM:SS",
        "date": "date YYYYMMDD",
    }[kind]
