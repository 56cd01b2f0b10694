"""A CSV file as blocks of whole rows, with the position of every field.

A regular block (every field quoted or none, every row complete) is located by numpy
alone. Any other block goes through the csv module and is written again with control
characters for separators, so that what follows sees one kind of block.
"""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from worker.errors import PermanentError
from worker.timetable.locate import (
    NEWLINE,
    PAD,
    Bytes,
    Ints,
    Mask,
    all_quoted,
    never_quoted,
    starts_after,
)
from worker.timetable.pieces import whole_rows
from worker.timetable.skipped import Skips

_FIELD_END, _ROW_END = 0x1F, 0x1E
_UNSTORABLE = ("\0", chr(_FIELD_END), chr(_ROW_END))


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """Whole rows of one file.

    ``starts`` and ``ends`` are row by column, offsets into ``data`` without quotes;
    ``lines`` are the line numbers on which the rows start.
    """

    file: str
    columns: dict[str, int]
    data: Bytes
    starts: Ints
    ends: Ints
    lines: Ints

    def __len__(self) -> int:
        return len(self.starts)

    def text(self, column: str, row: int) -> str:
        """One field as text; blank when the file has no such column."""
        index = self.columns.get(column)
        if index is None:
            return ""
        start, end = self.starts[row, index], self.ends[row, index]
        return self.data[start:end].tobytes().decode()

    def texts(self, column: str) -> list[str]:
        """A whole column as text; all blank when the file has no such column."""
        index = self.columns.get(column)
        if index is None:
            return [""] * len(self)
        raw = self.data.tobytes()
        starts, ends = self.starts[:, index].tolist(), self.ends[:, index].tolist()
        return [raw[a:b].decode() for a, b in zip(starts, ends, strict=True)]

    def take(self, rows: Mask | Ints) -> "Block":
        """Only ``rows``, in their order."""
        return Block(
            file=self.file,
            columns=self.columns,
            data=self.data,
            starts=self.starts[rows],
            ends=self.ends[rows],
            lines=self.lines[rows],
        )


def read_blocks(
    file: str, chunks: Iterable[bytes], skips: Skips, *, block_bytes: int
) -> Iterator[Block]:
    """The rows below the header of ``file``, in blocks of about ``block_bytes``.

    The first block may be empty: it tells the columns. A file of no bytes yields
    nothing. Raises PermanentError for a header or a row that cannot be read at all.
    """
    pieces = whole_rows(file, chunks, block_bytes)
    first = next(pieces, None)
    if first is None:
        return
    columns, rest, line = _header(file, first)
    yield _empty(file, columns)
    for raw in _with_first(rest, pieces):
        text = _utf8(file, raw, line, skips)
        block = _regular(file, columns, text, line)
        if block is None:
            block = _through_csv(file, columns, text, line, skips)
            line += raw.count(b"\n") or raw.count(b"\r")
        else:
            line += len(block)
        yield block


def _with_first(first: bytes, others: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from others


def _header(file: str, piece: bytes) -> tuple[dict[str, int], bytes, int]:
    """The columns by name, what follows the header, and the line it starts on."""
    ends = [end for end in (piece.find(b"\n"), piece.find(b"\r")) if end >= 0]
    end = min(ends, default=len(piece))
    line = piece[:end]
    after = end + (2 if piece[end : end + 2] == b"\r\n" else 1)
    if b"\0" in line:
        raise PermanentError(f"{file}:1: the header holds a NUL character")
    try:
        names = next(csv.reader([line.decode("utf-8", "replace")], strict=True), [])
    except csv.Error as error:
        raise PermanentError(f"{file}:1: the header cannot be read: {error}") from error
    columns: dict[str, int] = {}
    for index, name in enumerate(name.strip().strip("\ufeff") for name in names):
        name = name or f"column_{index + 1}"
        if name in columns:
            raise PermanentError(f"{file}:1: the column {name} is there twice")
        columns[name] = index
    if not columns:
        raise PermanentError(f"{file}:1: there is no header")
    return columns, piece[after:], 2


def _utf8(file: str, raw: bytes, line: int, skips: Skips) -> bytes:
    """``raw`` as UTF-8; lines that are not are taken for Latin-1, with a warning."""
    if raw.isascii():
        return raw
    try:
        raw.decode()
    except UnicodeDecodeError:
        return b"".join(
            _line_as_utf8(file, each, line + offset, skips)
            for offset, each in enumerate(raw.splitlines(keepends=True))
        )
    return raw


def _line_as_utf8(file: str, raw: bytes, line: int, skips: Skips) -> bytes:
    try:
        raw.decode()
    except UnicodeDecodeError:
        skips.warn_of_row(file, line, "latin-1", "is not UTF-8, read as Latin-1")
        return raw.decode("latin-1").encode()
    return raw


def _empty(file: str, columns: dict[str, int]) -> Block:
    none = np.empty((0, len(columns)), np.int64)
    return Block(
        file=file,
        columns=columns,
        data=np.zeros(2 * PAD, np.uint8),
        starts=none,
        ends=none,
        lines=none[:, 0],
    )


def _padded(raw: bytes, last: int) -> Bytes:
    end = b"" if raw.endswith(bytes([last])) else bytes([last])
    pad = bytes(PAD)
    return np.frombuffer(b"".join((pad, raw, end, pad)), np.uint8)


def _regular(file: str, columns: dict[str, int], raw: bytes, line: int) -> Block | None:
    """The block as numpy finds it, or None when some row needs the csv module."""
    if b"\0" in raw or b"\x1f" in raw or b"\x1e" in raw:
        return None
    data = _padded(raw, NEWLINE)
    newline = data == NEWLINE
    rows = int(np.count_nonzero(newline))
    locate = all_quoted if b'"' in raw else never_quoted
    found = locate(data, newline, rows, len(columns))
    if found is None:
        return None
    starts, ends = found
    return Block(
        file=file,
        columns=columns,
        data=data,
        starts=starts,
        ends=ends,
        lines=np.arange(line, line + rows, dtype=np.int64),
    )


def _through_csv(
    file: str, columns: dict[str, int], raw: bytes, line: int, skips: Skips
) -> Block:
    """The block as the csv module reads it, row by row."""
    width = len(columns)
    reader = csv.reader(io.StringIO(raw.decode(), newline=""), strict=True)
    kept: list[str] = []
    lines: list[int] = []
    at = line
    try:
        for cells in reader:
            here, at = at, line + reader.line_num
            cells = _fitted(file, here, cells, width, skips)
            if cells:
                kept.append(chr(_FIELD_END).join(cells))
                lines.append(here)
    except csv.Error as error:
        raise PermanentError(f"{file}:{at}: cannot be read: {error}") from error
    if not kept:
        return _empty(file, columns)
    data = _padded((chr(_ROW_END).join(kept)).encode(), _ROW_END)
    marks = np.flatnonzero((data == _FIELD_END) | (data == _ROW_END))
    return Block(
        file=file,
        columns=columns,
        data=data,
        starts=starts_after(marks).reshape(len(kept), width),
        ends=marks.reshape(len(kept), width),
        lines=np.array(lines, np.int64),
    )


def _fitted(
    file: str, line: int, cells: list[str], width: int, skips: Skips
) -> list[str]:
    """The row in the header's width; empty when it is no row, or cannot be one."""
    if not any(cells) and len(cells) <= 1 < width:
        return []
    if len(cells) < width:
        skips.warn_of_row(file, line, "cells", f"has {len(cells)} of {width} cells")
        cells = cells + [""] * (width - len(cells))
    if len(cells) > width:
        if any(cells[width:]):
            reason = f"has {len(cells)} cells, the header has {width}"
            skips.add(file, line, reason, kind="cells")
            return []
        cells = cells[:width]
    if any(bad in cell for cell in cells for bad in _UNSTORABLE):
        skips.add(file, line, "holds a NUL or separator control character")
        return []
    return cells
