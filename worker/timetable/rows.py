"""Numeric rows as columns, cut into groups: the rows of one trip, or of one shape.

A group may straddle blocks: its rows are held back until the next group begins. Files
whose groups are scattered are sorted through a spool on disk.
"""

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import IO

import numpy as np

from worker.errors import PermanentError
from worker.timetable.locate import Ints

Rows = dict[str, Ints]
"""Columns of the same length; ``group`` names the trip or shape, ``seq`` the order."""

MAX_GROUP_ROWS = 400_000
"""A longer trip or shape is refused: its rows are held in memory together."""

_SPOOL_ROWS = 150_000


class ScatteredError(Exception):
    """A group came back after it had ended: the file must be sorted first."""


def rows_of(rows: Rows) -> int:
    """How many rows there are."""
    return len(rows["group"])


def take(rows: Rows, which: Ints | slice) -> Rows:
    """Some of the rows, in the order of ``which``."""
    return {name: column[which] for name, column in rows.items()}


def whole_groups(pieces: Iterable[Rows], groups: int) -> Iterator[Rows]:
    """The rows again, cut between groups, each group in the order of ``seq``.

    ``groups`` is one above the highest group. Raises ScatteredError when a group's
    rows are not together.
    """
    ended = np.zeros(groups, np.bool_)
    held: Rows | None = None
    for piece in pieces:
        if not rows_of(piece):
            continue
        rows = _joined(held, piece) if held else piece
        group = rows["group"]
        cut = int(np.searchsorted(group[::-1] != group[-1], True))
        last = len(group) - cut
        held = take(rows, slice(last, None))
        if cut > MAX_GROUP_ROWS:
            raise PermanentError(f"more than {MAX_GROUP_ROWS} rows belong to one id")
        if last:
            yield _ordered(take(rows, slice(0, last)), ended)
    if held:
        yield _ordered(held, ended)


def gathered(pieces: Iterable[Rows], groups: int, expected_rows: int) -> Iterator[Rows]:
    """Scattered rows, brought together by group through files on disk."""
    parts = max(1, expected_rows // _SPOOL_ROWS + 1)
    with ExitStack() as stack:
        spools: list[IO[bytes]] = [
            stack.enter_context(tempfile.TemporaryFile()) for _ in range(parts)
        ]
        counts = [0] * parts
        for piece in pieces:
            part_of = piece["group"] * parts // max(1, groups)
            for part in np.unique(part_of).tolist():
                chosen = take(piece, np.flatnonzero(part_of == part))
                for column in chosen.values():
                    np.save(spools[part], column)
                counts[part] += 1
            names = list(piece)
        for spool, count in zip(spools, counts, strict=True):
            if not count:
                continue
            spool.seek(0)
            loaded = [{name: np.load(spool) for name in names} for _ in range(count)]
            rows = {
                name: np.concatenate([each[name] for each in loaded]) for name in names
            }
            del loaded
            yield take(rows, np.lexsort((rows["seq"], rows["group"])))


def heads(rows: Rows) -> Ints:
    """Where each group begins."""
    group = rows["group"]
    changed = np.ones(len(group), np.bool_)
    changed[1:] = group[1:] != group[:-1]
    return np.flatnonzero(changed)


def _joined(one: Rows, two: Rows) -> Rows:
    return {name: np.concatenate((one[name], two[name])) for name in one}


def _ordered(rows: Rows, ended: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Rows:
    first = heads(rows)
    ids = rows["group"][first]
    if ended[ids].any() or len(np.unique(ids)) < len(ids):
        raise ScatteredError
    ended[ids] = True
    same = rows["group"][1:] == rows["group"][:-1]
    if (same & (rows["seq"][1:] < rows["seq"][:-1])).any():
        run = np.repeat(np.arange(len(first)), np.diff(np.append(first, rows_of(rows))))
        rows = take(rows, np.lexsort((rows["seq"], run)))
    return rows
