"""The shapes of one bundle by number: a new id is written as soon as it is met."""

from dataclasses import dataclass

import numpy as np

from worker.timetable import hashing
from worker.timetable.blocks import Block
from worker.timetable.keys import ABSENT, Interned
from worker.timetable.locate import Ints
from worker.timetable.sink import Sink, copy_text


@dataclass(kw_only=True, slots=True)
class ShapeKeys:
    """Gives each shape id of the bundle its key.

    ``elsewhere`` are the shapes of earlier bundles: an id of theirs is written with
    the bundle's name behind it, because the two may differ.
    """

    sink: Sink
    bundle: str
    known: Interned
    elsewhere: list[Interned]

    def keys(self, block: Block, *, add: bool = True) -> Ints:
        """Each row's key; ABSENT where shape_id is blank, or new and not ``add``."""
        result = np.full(len(block), ABSENT)
        index = block.columns.get("shape_id")
        if index is None:
            return result
        some = np.flatnonzero(block.starts[:, index] < block.ends[:, index])
        chosen = block if len(some) == len(block) else block.take(some)
        keys, new = self.known.keys(hashing.hashes(chosen, "shape_id"), add=add)
        if new:
            fresh = chosen.take(np.array(new, np.int64))
            self._write(keys[new].tolist(), fresh)
        result[some] = keys
        return result

    def _write(self, keys: list[int], fresh: Block) -> None:
        hashed = hashing.hashes(fresh, "shape_id")
        taken = np.zeros(len(fresh), np.bool_)
        for table in self.elsewhere:
            taken |= table.keys(hashed, add=False)[0] != ABSENT
        self.sink.write(
            "shape_ids",
            [
                f"{key}\t{copy_text(f'{shape}@{self.bundle}' if twice else shape)}\n"
                for key, shape, twice in zip(
                    keys, fresh.texts("shape_id"), taken.tolist(), strict=True
                )
            ],
        )
