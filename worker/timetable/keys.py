"""From a text id to a small integer, by its 128-bit hash: vectorised and compact."""

from collections.abc import Iterable

import numpy as np

from worker.timetable.blocks import Ints
from worker.timetable.fields import Words

ABSENT = -1
Hashes = tuple[Words, Words]


class KeyTable:
    """Ids in the order of addition; the key of an id is its position.

    Holds 16 bytes an id, and 24 more once it has been searched.
    """

    def __init__(self) -> None:
        self._parts: list[Hashes] = []
        self._sorted: tuple[Words, Words, Ints] | None = None
        self._size = 0
        self._dropped: list[int] = []

    def __len__(self) -> int:
        return self._size

    def add(self, ids: Hashes) -> None:
        """Give the next keys to ``ids``; an id that is there already gets one more."""
        self._parts.append(ids)
        self._size += len(ids[0])
        self._sorted = None

    def find(self, ids: Hashes) -> Ints:
        """The first key of each id, or ABSENT."""
        one, two, keys = self._index()
        if not len(one):
            return np.full(len(ids[0]), ABSENT)
        heads, runs = _runs(ids)
        ids = ids[0][heads], ids[1][heads]
        at = np.searchsorted(one, ids[0])
        at[at == len(one)] = 0
        found = (one[at] == ids[0]) & (two[at] == ids[1])
        return np.where(found, keys[at], ABSENT)[runs]

    def drop(self, keys: Iterable[int]) -> None:
        """Let ``keys`` not be found any more: their rows are left out."""
        self._dropped.extend(keys)
        self._sorted = None

    def repeated(self) -> set[int]:
        """The keys whose id had been added before (and was not dropped)."""
        one, two, keys = self._index()
        same = (one[1:] == one[:-1]) & (two[1:] == two[:-1])
        return set(keys[1:][same].tolist())

    def _index(self) -> tuple[Words, Words, Ints]:
        if self._sorted is None:
            empty = np.empty(0, np.uint64)
            one = np.concatenate([part[0] for part in self._parts] or [empty])
            two = np.concatenate([part[1] for part in self._parts] or [empty])
            self._parts = [(one, two)]
            order = np.argsort(one, kind="stable")
            if self._dropped:
                order = order[~np.isin(order, self._dropped)]
            self._sorted = one[order], two[order], order
        return self._sorted


class Interned:
    """Ids met one after the other; a new one gets the next key at once."""

    def __init__(self, first: int = 1) -> None:
        self._keys: dict[tuple[int, int], int] = {}
        self._first = first

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def next(self) -> int:
        """The key that the next new id will get."""
        return self._first + len(self._keys)

    def keys(self, ids: Hashes, *, add: bool = True) -> tuple[Ints, list[int]]:
        """The key of each id, and the positions at which new ids came first.

        Without ``add`` an unknown id has the key ABSENT.
        """
        heads, runs = _runs(ids, unique=True)
        one, two = ids[0][heads].tolist(), ids[1][heads].tolist()
        keys: list[int] = []
        new: list[int] = []
        for position, pair in zip(
            heads.tolist(), zip(one, two, strict=True), strict=True
        ):
            key = self._keys.get(pair, ABSENT)
            if key == ABSENT and add:
                key = self._keys[pair] = self.next
                new.append(position)
            keys.append(key)
        return np.array(keys, np.int64)[runs], new


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
