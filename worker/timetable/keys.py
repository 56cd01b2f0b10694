"""From a text id to a small integer, by its 128-bit hash: vectorised and compact."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from worker.timetable.hashing import Words
from worker.timetable.locate import Ints

ABSENT = -1
Hashes = tuple[Words, Words]
Keys = npt.NDArray[np.int32]

_RECENT = 4096


class _Sorted:
    """Hashes with their keys, 20 bytes each, found by binary search."""

    def __init__(self) -> None:
        self._one = np.empty(0, np.uint64)
        self._two = np.empty(0, np.uint64)
        self._keys = np.empty(0, np.int32)

    def add(self, ids: Hashes, keys: Keys) -> None:
        one, two, both = *ids, keys
        if len(self._one):
            one = np.concatenate((self._one, one))
            two = np.concatenate((self._two, two))
            both = np.concatenate((self._keys, both))
        order = np.argsort(one, kind="stable")
        self._one, self._two, self._keys = one[order], two[order], both[order]

    def find(self, ids: Hashes) -> Ints:
        if not len(self._one):
            return np.full(len(ids[0]), ABSENT)
        at = np.searchsorted(self._one, ids[0])
        at[at == len(self._one)] = 0
        found = (self._one[at] == ids[0]) & (self._two[at] == ids[1])
        return np.where(found, self._keys[at], ABSENT).astype(np.int64)

    def drop(self, keys: list[int]) -> None:
        left = ~np.isin(self._keys, np.array(keys, np.int32))
        self._one, self._two = self._one[left], self._two[left]
        self._keys = self._keys[left]

    def repeated(self) -> Ints:
        same = (self._one[1:] == self._one[:-1]) & (self._two[1:] == self._two[:-1])
        again: Ints = self._keys[1:][same].astype(np.int64)
        return again


class KeyTable:
    """Ids in the order of addition; the key of an id is its position."""

    def __init__(self) -> None:
        self._sorted = _Sorted()
        self._waiting: tuple[list[Words], list[Words]] = ([], [])
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, ids: Hashes) -> None:
        """Give the next keys to ``ids``; an id that is there already gets one more."""
        for waiting, lane in zip(self._waiting, ids, strict=True):
            waiting.append(lane)
        self._size += len(ids[0])

    def find(self, ids: Hashes) -> Ints:
        """The first key of each id, or ABSENT."""
        heads, runs = _runs(ids)
        return self._index().find((ids[0][heads], ids[1][heads]))[runs]

    def drop(self, keys: Iterable[int]) -> None:
        """Let ``keys`` not be found any more: their rows are left out."""
        self._index().drop(list(keys))

    def repeated(self) -> set[int]:
        """The keys whose id had been added before (and was not dropped)."""
        return set(self._index().repeated().tolist())

    def _index(self) -> _Sorted:
        if self._waiting[0]:
            lanes = []
            for waiting in self._waiting:
                lanes.append(np.concatenate(waiting))
                waiting.clear()  # before the next lane is joined: memory is short
            keys = np.arange(self._size - len(lanes[0]), self._size, dtype=np.int32)
            self._sorted.add((lanes[0], lanes[1]), keys)
        return self._sorted


class Interned:
    """Ids met one after the other; a new one gets the next key at once."""

    def __init__(self, first: int = 1) -> None:
        self._sorted = _Sorted()
        self._recent: dict[tuple[int, int], int] = {}
        self._first = first
        self._size = 0

    def __len__(self) -> int:
        return self._size

    @property
    def next(self) -> int:
        """The key that the next new id will get."""
        return self._first + self._size

    def keys(self, ids: Hashes, *, add: bool = True) -> tuple[Ints, list[int]]:
        """The key of each id, and the positions at which new ids came first.

        Without ``add`` an unknown id has the key ABSENT.
        """
        heads, runs = _runs(ids, unique=True)
        one, two = ids[0][heads], ids[1][heads]
        keys = self._sorted.find((one, two))
        new: list[int] = []
        missing = np.flatnonzero(keys == ABSENT)
        pairs = zip(one[missing].tolist(), two[missing].tolist(), strict=True)
        for at, pair in zip(missing.tolist(), pairs, strict=True):
            key = self._recent.get(pair, ABSENT)
            if key == ABSENT and add:
                key = self._recent[pair] = self.next
                self._size += 1
                new.append(int(heads[at]))
            keys[at] = key
        if len(self._recent) > _RECENT:
            self._settle()
        return keys[runs], new

    def _settle(self) -> None:
        pairs = np.array(list(self._recent), np.uint64)
        keys = np.fromiter(self._recent.values(), np.int32, len(self._recent))
        self._sorted.add((pairs[:, 0], pairs[:, 1]), keys)
        self._recent = {}


def _runs(ids: Hashes, *, unique: bool = False) -> tuple[Ints, Ints]:
    """One position for each run of an id, and which of them each row belongs to.

    ``unique``: for each distinct id instead, where runs are short.
    """
    one, two = ids
    changed = np.ones(len(one), np.bool_)
    changed[1:] = (one[1:] != one[:-1]) | (two[1:] != two[:-1])
    heads = np.flatnonzero(changed)
    runs = np.cumsum(changed) - 1
    if unique and len(heads) > len(one) // 8:
        _, first, which = np.unique(one[heads], return_index=True, return_inverse=True)
        if (two[heads][first][which] == two[heads]).all():
            order = np.argsort(first)
            rank = np.empty_like(order)
            rank[order] = np.arange(len(order))
            return heads[first[order]], rank[which][runs]
    return heads, runs
