"""Where the fields of regular rows lie, found by numpy alone."""

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

PAD = 64
"""Bytes around the rows, so that a window of 8 bytes may reach over both ends."""

COMMA, NEWLINE, RETURN, QUOTE = 0x2C, 0x0A, 0x0D, 0x22


def never_quoted(
    data: Bytes, newline: Mask, rows: int, width: int
) -> tuple[Ints, Ints] | None:
    """Where fields start and end when there is no quote at all."""
    marks = np.flatnonzero((data == COMMA) | newline)
    if len(marks) != rows * width:
        return None
    ends = marks.reshape(rows, width)
    at_end = newline[ends]
    if not at_end[:, -1].all() or at_end[:, :-1].any():
        return None
    starts = starts_after(marks).reshape(rows, width)
    returns = int(np.count_nonzero(data == RETURN))
    if returns:
        if returns != rows or (data[ends[:, -1] - 1] != RETURN).any():
            return None
        ends[:, -1] -= 1
    if width == 1 and (starts == ends).any():
        return None
    return starts, ends


def all_quoted(
    data: Bytes, newline: Mask, rows: int, width: int
) -> tuple[Ints, Ints] | None:
    """Where fields start and end when each is quoted and holds no quote."""
    quotes = np.flatnonzero(data == QUOTE)
    if len(quotes) != 2 * rows * width:
        return None
    pairs = quotes.reshape(rows, 2 * width)
    opening, closing = pairs[:, ::2], pairs[:, 1::2]
    between = closing[:, :-1]
    if (opening[:, 1:] - between != 2).any() or (data[between + 1] != COMMA).any():
        return None
    last = closing[:, -1]
    gap = 2 if newline[last[0] + 1] else 3
    whole = newline[last + gap - 1].all() and opening[0, 0] == PAD
    if not whole or (opening[1:, 0] - last[:-1] != gap).any():
        return None
    if gap == 3 and (data[last + 1] != RETURN).any():
        return None
    return opening + 1, closing


def starts_after(marks: Ints) -> Ints:
    """Where fields start that end at ``marks``, one after the other."""
    starts = np.empty_like(marks)
    starts[0] = PAD
    starts[1:] = marks[:-1] + 1
    return starts
