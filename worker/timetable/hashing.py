"""Columns of a block as 128-bit hashes, eight characters at a time."""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from worker.timetable.blocks import Block
from worker.timetable.locate import PAD, Bytes, Ints

Words = npt.NDArray[np.uint64]

_U = np.uint64
_LANES = (_U(0x9E3779B97F4A7C15), _U(0xC2B2AE3D27D4EB4F))
_SPREAD = (_U(0xFF51AFD7ED558CCD), _U(0xC4CEB9FE1A85EC53))


def spread(words: Words, lane: int) -> Words:
    """Each word mixed so that every bit of it moves every bit of the result."""
    mixed = words ^ (words >> _U(32))
    mixed = mixed * _SPREAD[lane]
    mixed ^= mixed >> _U(29)
    mixed *= _LANES[lane]
    mixed ^= mixed >> _U(32)
    return mixed


def hashes(block: Block, *columns: str) -> tuple[Words, Words]:
    """128 bits per row of the values of ``columns``; a missing column is blank."""
    one, two = (np.zeros(len(block), np.uint64) for _ in _LANES)
    for column in columns:
        index = block.columns.get(column)
        if index is None:
            one, two = spread(one, 0), spread(two, 1)
        else:
            _mix(block, index, index, one, two)
    return one, two


def hash_texts(texts: Sequence[str]) -> tuple[Words, Words]:
    """The hashes of values, as :func:`hashes` finds them in a block."""
    raw = [text.encode() for text in texts]
    data = np.frombuffer(bytes(PAD) + b"".join(raw) + bytes(PAD), np.uint8)
    ends = PAD + np.cumsum([len(each) for each in raw], dtype=np.int64)[:, None]
    starts = np.roll(ends, 1, axis=0)
    starts[:1] = PAD
    block = Block(
        file="",
        columns={"text": 0},
        data=data,
        starts=starts,
        ends=ends,
        lines=ends[:, 0],
    )
    return hashes(block, "text")


def run_hashes(block: Block, columns: Iterable[str]) -> tuple[Words, Words]:
    """As :func:`hashes`, but neighbors are hashed as one piece, separators and all.

    Faster; equal values may differ in hash where one block is quoted and one is not.
    The names count too: the same text below other names is something else.
    """
    present = {block.columns[name]: name for name in columns if name in block.columns}
    indexes = sorted(present)
    named = hash_texts([",".join(present[index] for index in indexes)])
    one, two = (np.repeat(lane, len(block)) for lane in named)
    first = 0
    for at, index in enumerate(indexes):
        if at + 1 == len(indexes) or indexes[at + 1] != index + 1:
            _mix(block, indexes[first], index, one, two)
            first = at + 1
    return one, two


def _mix(block: Block, first: int, last: int, one: Words, two: Words) -> None:
    """Mix the bytes from column ``first`` to ``last`` into both lanes, in place."""
    starts = block.starts[:, first]
    sizes = block.ends[:, last] - starts
    for lane, words in enumerate((one, two)):
        words[:] = spread(words ^ (sizes.astype(np.uint64) + _U(1)), lane)
    runs = windows(block.data)
    for offset in range(0, int(sizes.max(initial=0)), 8):
        # A hash must not depend on the other rows of its block: only rows that reach
        # this far are mixed once more.
        more = slice(None) if (sizes > offset).all() else np.flatnonzero(sizes > offset)
        left = np.minimum(sizes[more] - offset, 8)
        word = head(runs[starts[more] + offset], left)
        for lane, words in enumerate((one, two)):
            words[more] = spread(words[more] ^ word, lane)


def windows(data: Bytes) -> npt.NDArray[np.void]:
    """Every run of eight bytes, as an array that shares the block's memory."""
    return np.ndarray((len(data) - 7,), dtype="V8", buffer=data.data, strides=(1,))


def gather(data: Bytes, at: Ints) -> Words:
    """The eight bytes from each offset on, as one word."""
    return windows(data)[at].view("<u8")


def head(words: Words | npt.NDArray[np.void], sizes: Ints) -> Words:
    """The first ``sizes`` (0 to 8) characters, moved to the high end, zeros below."""
    shift = ((8 - sizes) << 3).astype(np.uint64)
    return words.view("<u8") << shift
