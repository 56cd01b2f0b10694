"""A file's bytes in pieces that end where a row ends."""

import codecs
from collections.abc import Iterable, Iterator

import numpy as np

from worker.errors import PermanentError
from worker.timetable.locate import NEWLINE, QUOTE

_MAX_ROW_BYTES = 1 << 22


def whole_rows(file: str, chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Pieces that end where a row ends, however quotes and chunks fall."""
    held: list[bytes] = []
    held_bytes = 0
    first = True
    for chunk in chunks:
        if first:
            chunk = _without_mark(file, chunk)
            first = False
        held.append(chunk)
        held_bytes += len(chunk)
        if held_bytes < size:
            continue
        piece = b"".join(held)
        cut = _last_row_end(piece)
        if cut:
            yield piece[:cut]
        elif held_bytes > size + _MAX_ROW_BYTES:
            raise PermanentError(
                f"{file}: no row ends within {held_bytes} bytes; a quote is not closed"
            )
        held = [piece[cut:]]
        held_bytes = len(held[0])
    if held_bytes:
        yield b"".join(held)


def _without_mark(file: str, chunk: bytes) -> bytes:
    if chunk.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise PermanentError(f"{file}:1: is UTF-16, GTFS is UTF-8")
    return chunk.removeprefix(codecs.BOM_UTF8)


def _last_row_end(piece: bytes) -> int:
    """Where the last whole row ends; 0 when none does."""
    cut = piece.rfind(b"\n") + 1
    data = np.frombuffer(piece, np.uint8)
    quoted = data[:cut] == QUOTE
    if np.count_nonzero(quoted) % 2 == 0:
        return cut
    quotes = np.flatnonzero(quoted)
    newlines = np.flatnonzero(data == NEWLINE)
    outside = newlines[np.searchsorted(quotes, newlines) % 2 == 0]
    return int(outside[-1]) + 1 if len(outside) else 0
