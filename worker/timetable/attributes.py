"""Untimed columns of trips and calls, stored once for each combination that occurs."""

from dataclasses import dataclass, field
from functools import partial

import numpy as np

from worker.errors import PermanentError
from worker.timetable import hashing
from worker.timetable.blocks import Block
from worker.timetable.building import Building
from worker.timetable.files import File
from worker.timetable.keys import Interned
from worker.timetable.locate import Ints, Mask
from worker.timetable.simple import encoded, extra_columns


@dataclass(kw_only=True, slots=True)
class Attributes:
    """The combinations of ``columns`` (and unknown ones) of ``file`` met so far.

    ``bad`` tells, by key, why a combination cannot be stored.
    """

    file: File
    columns: tuple[str, ...]
    table: str
    known: Interned = field(default_factory=Interned)
    bad: dict[int, str] = field(default_factory=dict)

    def keys(self, building: Building, block: Block) -> Ints:
        """The key of each row's combination; new ones are written."""
        names = [*self.columns, *extra_columns(block, self.file)]
        keys, new = self.known.keys(hashing.run_hashes(block, names))
        if len(self.known) > building.limits.attribute_combinations:
            raise PermanentError(
                f"{block.file}:{block.lines[0]}: the columns {', '.join(names)} have "
                f"more than {building.limits.attribute_combinations} combinations"
            )
        lines: list[str] = []
        fresh = encoded(block.take(np.array(new, np.int64)), self.file, self.columns)
        for key, values in zip(keys[new].tolist(), fresh, strict=True):
            if isinstance(values, str):
                self.bad[key] = values
            else:
                lines.append(f"{key}\t" + "\t".join(values) + "\n")
        building.sink.write(self.table, lines)
        return keys

    def leave_out(self, building: Building, block: Block, keys: Ints) -> Mask:
        """Note the rows whose combination is bad; where they are."""
        bad = np.zeros(len(keys), np.bool_)
        for key, reason in self.bad.items():
            here = keys == key
            if here.any():
                lines = block.lines[here].tolist()
                building.skips.add_rows(
                    block.file, lines, partial(_same, reason), kind=reason.split(" ")[0]
                )
                bad |= here
        return bad


def _same(reason: str, _at: int) -> str:
    return reason
