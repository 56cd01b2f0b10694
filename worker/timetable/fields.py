"""Columns of a block as numbers: integers, decimals and clock times.

Eight characters at a time, as 64-bit words: one gather reads a whole field, shifts
drop what does not belong to it, three multiplications turn eight digits into a number
(https://lemire.me/blog/2018/10/03/quickly-parsing-eight-digits/). A field of an
unusual form is read again by Python, alone.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final

import numpy as np

from worker.timetable.blocks import Block
from worker.timetable.hashing import Words, gather, head
from worker.timetable.locate import Ints, Mask

BLANK: Final = np.iinfo(np.int64).min
"""The number that stands for a blank field."""

_ZEROS = np.uint64(0x3030303030303030)
_CARRY = np.uint64(0x0606060606060606)
_HIGH = np.uint64(0xF0F0F0F0F0F0F0F0)
_DOTS = np.uint64(0x2E2E2E2E2E2E2E2E)
_ONES = np.uint64(0x0101010101010101)
_TOPS = np.uint64(0x8080808080808080)
_U = np.uint64
_CLOCK = re.compile(r"([0-9]{1,4}):([0-5][0-9]):([0-5][0-9])")
_INTEGER = re.compile(r"[+-]?[0-9]{1,15}")
_LIMIT: Final = 1 << 53


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """A column's values, BLANK where blank, and which of them cannot be read."""

    values: Ints
    bad: Mask


def integers(block: Block, column: str) -> Column:
    """Whole numbers, at most 15 digits; all blank when there is no such column."""
    index = block.columns.get(column)
    if index is None:
        return _all_blank(len(block))
    starts, ends = block.starts[:, index], block.ends[:, index]
    sizes = ends - starts
    digits = head(gather(block.data, starts), np.clip(sizes, 0, 8))
    digits, odd = _digits(digits, np.clip(sizes, 0, 8))
    values = _number(digits)
    odd |= sizes > 8
    values[sizes == 0] = BLANK
    return _patched(block, index, values, odd & (sizes > 0), _integer)


def decimals(block: Block, column: str, places: int) -> Column:
    """Decimal numbers times 10**``places``, rounded half away from zero.

    ``places`` is at most 7; all blank when there is no such column.
    """
    index = block.columns.get(column)
    if index is None:
        return _all_blank(len(block))
    starts, ends = block.starts[:, index], block.ends[:, index]
    sizes = ends - starts
    front = gather(block.data, starts)
    minus = (front & _U(0xFF)) == _U(0x2D)
    if minus.any():
        front = np.where(minus, front >> _U(8), front)
        starts = starts + minus
    left = ends - starts
    whole_digits, dotted = _before_dot(front, left)
    whole, odd = _digits(head(front, whole_digits), whole_digits)
    odd |= (left == 0) | (left == dotted) | ((left > 8) & ~dotted)
    values = _number(whole) * 10**places
    if dotted.any():
        fraction_digits = np.where(dotted, left - whole_digits - 1, 0)
        tail = gather(block.data, starts + whole_digits + 1)
        near = np.clip(fraction_digits, 0, 8)
        part, odd_part = _digits(head(tail, near), near)
        # Eight digits after the point, the missing ones zero: scaled by a table.
        part_value = _number(part) * _TENS[8 - near]
        values += (part_value + 10 ** (8 - places) // 2) // 10 ** (8 - places)
        odd |= odd_part
        far = fraction_digits > 8
        if far.any():
            rest = np.clip(fraction_digits - 8, 0, 8)
            beyond = np.minimum(starts + whole_digits + 9, len(block.data) - 8)
            _, odd_rest = _digits(head(gather(block.data, beyond), rest), rest)
            odd |= odd_rest | (fraction_digits > 16)
    values = np.where(minus, -values, values)
    values[sizes == 0] = BLANK
    return _patched(
        block, index, values, odd & (sizes > 0), lambda text: _decimal(text, places)
    )


def clocks(block: Block, column: str) -> Column:
    """Clock times as seconds, hours past 24 kept; [[H]H]H:MM:SS."""
    index = block.columns.get(column)
    if index is None:
        return _all_blank(len(block))
    starts, ends = block.starts[:, index], block.ends[:, index]
    sizes = ends - starts
    word = gather(block.data, ends - 8)
    short = sizes == 7
    if short.any():
        word = np.where(short, (word & ~_U(0xFF)) | _U(0x30), word)
    word = word ^ _U(0x30303A30303A3030)
    odd = ((sizes != 7) & (sizes != 8)) | _not_digits(word)
    odd |= (word & _U(0x0000FF0000FF0000)) != 0
    ten_minutes, ten_seconds = (word >> _U(24)) & _U(15), (word >> _U(48)) & _U(15)
    odd |= (ten_minutes > 5) | (ten_seconds > 5)
    values = (
        (word & _U(15)) * _U(36000)
        + ((word >> _U(8)) & _U(15)) * _U(3600)
        + ten_minutes * _U(600)
        + ((word >> _U(32)) & _U(15)) * _U(60)
        + ten_seconds * _U(10)
        + (word >> _U(56))
    ).astype(np.int64)
    values[sizes == 0] = BLANK
    return _patched(block, index, values, odd & (sizes > 0), _clock)


_TENS = 10 ** np.arange(9, dtype=np.int64)


def _digits(words: Words, sizes: Ints) -> tuple[Words, Mask]:
    """Characters as digits (zeros below), and where one of them is no digit."""
    shift = ((8 - sizes) << 3).astype(np.uint64)
    values = words ^ (_ZEROS << shift)
    return values, _not_digits(values)


def _not_digits(values: Words) -> Mask:
    odd: Mask = ((values | (values + _CARRY)) & _HIGH) != 0
    return odd


def _number(digits: Words) -> Ints:
    """Eight digits, the first in the lowest byte, as a number."""
    pairs = digits * _U(10) + (digits >> _U(8))
    pairs &= _U(0x00FF00FF00FF00FF)
    fours = pairs * _U(100) + (pairs >> _U(16))
    fours &= _U(0x0000FFFF0000FFFF)
    return ((fours * _U(10000) + (fours >> _U(32))) & _U(0xFFFFFFFF)).astype(np.int64)


def _before_dot(front: Words, left: Ints) -> tuple[Ints, Mask]:
    """How many of the first 8 characters stand before a dot, and where one is."""
    match = front ^ _DOTS
    found = (match - _ONES) & ~match & _TOPS
    lowest = found & (~found + _U(1))
    at = np.bitwise_count(lowest - _U(1)).astype(np.int64) >> 3
    dotted = (at < left) & (found != 0)
    return np.where(dotted, at, np.minimum(left, 8)), dotted


def _all_blank(rows: int) -> Column:
    return Column(values=np.full(rows, BLANK), bad=np.zeros(rows, np.bool_))


def _patched(
    block: Block,
    index: int,
    values: Ints,
    odd: Mask,
    read: Callable[[str], int | None],
) -> Column:
    """Values with the odd ones read again, one at a time, by ``read``."""
    if not odd.any():
        return Column(values=values, bad=odd)
    for row in np.flatnonzero(odd).tolist():
        start, end = block.starts[row, index], block.ends[row, index]
        text = block.data[start:end].tobytes().decode().strip()
        value = read(text) if text else int(BLANK)
        odd[row] = value is None
        values[row] = BLANK if value is None else value
    return Column(values=values, bad=odd)


def _integer(text: str) -> int | None:
    return int(text) if _INTEGER.fullmatch(text) else None


def _decimal(text: str, places: int) -> int | None:
    try:
        scaled = Decimal(text) * 10**places
    except (InvalidOperation, OverflowError):
        return None
    if not scaled.is_finite() or abs(scaled) > _LIMIT or "_" in text:
        return None
    return int(scaled.to_integral_value(rounding="ROUND_HALF_UP"))


def _clock(text: str) -> int | None:
    match = _CLOCK.fullmatch(text)
    if match is None:
        return None
    hours, minutes, seconds = map(int, match.groups())
    return hours * 3600 + minutes * 60 + seconds
