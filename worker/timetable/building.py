"""A version while it is built: what its bundles share, and how far it has come."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from worker.errors import PermanentError
from worker.policy.timetable import TimetableLimits
from worker.timetable import heap
from worker.timetable.ahead import one_ahead
from worker.timetable.archive import Archive
from worker.timetable.blocks import Block, read_blocks
from worker.timetable.files import File
from worker.timetable.keys import KeyTable
from worker.timetable.overlap import Overlap
from worker.timetable.sink import Sink
from worker.timetable.skipped import Skips

Progress = Callable[["Step"], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """How far a sync is: its stage, rows of it done, bytes of all done and to do."""

    stage: str
    rows: int
    done_bytes: int
    total_bytes: int


def ignore_progress(step: Step) -> None:
    """Tell nobody."""


@dataclass(kw_only=True)
class Building:
    """What is shared by the bundles of one version."""

    sink: Sink
    limits: TimetableLimits
    progress: Progress = ignore_progress
    skips: Skips = field(default_factory=Skips)
    rows: Counter[str] = field(default_factory=Counter)
    read_rows: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=dict)
    keys: dict[str, KeyTable] = field(default_factory=dict)
    overlaps: dict[str, Overlap] = field(default_factory=dict)
    total_bytes: int = 0
    done_bytes: int = 0

    def key_table(self, file: File) -> KeyTable:
        """The keys of ``file`` over all bundles so far."""
        return self.keys.setdefault(file.name, KeyTable())

    def overlap(self, file: File) -> Overlap:
        """What the rows of ``file`` say, over all bundles so far."""
        return self.overlaps.setdefault(file.name, Overlap(file.name))

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage; the time of a stage that is entered twice adds up."""
        began = time.perf_counter()
        try:
            yield
        finally:
            heap.give_back()
            spent = time.perf_counter() - began
            self.seconds[name] = self.seconds.get(name, 0.0) + spent

    @contextmanager
    def judged_alone(self) -> Iterator[None]:
        """Count what one bundle leaves out apart, then add it to the whole.

        The rows of another must not outweigh its own, nor be forgotten when a file of
        its is read again.
        """
        whole, self.skips = self.skips, Skips()
        self.read_rows.clear()
        try:
            yield
        finally:
            whole.absorb(self.skips)
            self.skips = whole

    def blocks(
        self, archive: Archive, name: str, *, count: bool = True
    ) -> Iterator[Block]:
        """The blocks of a file; with ``count`` its rows and bytes are progress."""
        member = archive.members[name]
        size = self.limits.block_bytes
        skips = self.skips if count else Skips()
        rows = 0
        share = max(1, member.size)
        chunks = one_ahead(member.chunks(size))
        for block in read_blocks(name, chunks, skips, block_bytes=size):
            yield block
            if count:
                rows += len(block)
                self.done_bytes += min(size, share)
                self.read_rows[name] += len(block)
                self.progress(
                    Step(
                        stage=name.removesuffix(".txt"),
                        rows=rows,
                        done_bytes=min(self.done_bytes, self.total_bytes),
                        total_bytes=self.total_bytes,
                    )
                )

    def is_empty(self, archive: Archive, file: File) -> bool:
        """Whether ``file`` is there and has not even a header."""
        return next(self.blocks(archive, file.name, count=False), None) is None

    def check_columns(self, archive: Archive, file: File) -> None:
        """Raise PermanentError when ``file`` is empty or lacks a required column."""
        first = next(self.blocks(archive, file.name, count=False), None)
        if first is None:
            raise PermanentError(f"{file.name}:1: is empty")
        missing = [name for name in file.required if name not in first.columns]
        if missing:
            raise PermanentError(
                f"{file.name}:1: lacks the required column {', '.join(missing)}"
            )

    def check_skipped(self, name: str) -> None:
        """Raise PermanentError when too many rows of the file were left out."""
        rows = self.read_rows[name]
        self.skips.check(name, rows, self.limits.max_skipped_fraction)
