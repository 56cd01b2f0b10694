"""Rows that could not be loaded: where, why, how many; and how many are too many."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from worker.errors import PermanentError

_SHOWN_PER_REASON = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Skip:
    """One row left out: its file, the line it starts on (the header is 1), and why."""

    file: str
    line: int
    reason: str


@dataclass(kw_only=True, slots=True)
class Skips:
    """The rows left out so far. ``shown`` holds the first few of each reason, ``kinds``
    how many there are of each, by file; ``odd`` the kinds of rows that were warned of.
    """

    shown: list[Skip] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    first: dict[str, Skip] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    kinds: Counter[tuple[str, str]] = field(default_factory=Counter)
    odd: set[tuple[str, str]] = field(default_factory=set)

    def add(self, file: str, line: int, reason: str, kind: str | None = None) -> None:
        """Leave one row out; reasons of one ``kind`` are shown a few times only."""
        skip = Skip(file=file, line=line, reason=reason)
        self.counts[file] += 1
        if file not in self.first or line < self.first[file].line:
            self.first[file] = skip
        key = (file, kind or reason)
        self.kinds[key] += 1
        if self.kinds[key] <= _SHOWN_PER_REASON:
            self.shown.append(skip)

    def add_rows(
        self, file: str, lines: Sequence[int], reason: Callable[[int], str], kind: str
    ) -> None:
        """Leave rows out by the lines they start on; ``reason`` of the n-th is asked
        for the first few only.
        """
        for at, line in enumerate(lines[:_SHOWN_PER_REASON]):
            self.add(file, line, reason(at), kind=kind)
        more = len(lines[_SHOWN_PER_REASON:])
        self.counts[file] += more
        if more:
            self.kinds[(file, kind)] += more

    def absorb(self, other: "Skips") -> None:
        """Add what was left out elsewhere."""
        self.shown += other.shown
        self.counts.update(other.counts)
        self.kinds.update(other.kinds)
        self.first = {**other.first, **self.first}
        for warning in other.warnings:
            self.warn(warning)

    def by_reason(self) -> dict[str, dict[str, int]]:
        """How many rows are left out, by file and kind of reason."""
        found: dict[str, dict[str, int]] = {}
        for (file, kind), count in self.kinds.items():
            found.setdefault(file, {})[kind] = count
        return found

    def warn(self, warning: str) -> None:
        """Note what a person should know although the rows are loaded."""
        if warning not in self.warnings:
            self.warnings.append(warning)

    def warn_of_row(self, file: str, line: int, kind: str, what: str) -> None:
        """Note an odd row that is loaded all the same; of each ``kind`` the first one:
        a feed may hold millions of them.
        """
        if (file, kind) not in self.odd:
            self.odd.add((file, kind))
            self.warn(f"{file}:{line}: {what} (the first such row)")

    def forget(self, file: str) -> None:
        """Drop what was noted of ``file``, which is about to be read again."""
        self.shown = [skip for skip in self.shown if skip.file != file]
        self.counts.pop(file, None)
        self.first.pop(file, None)
        for key in [key for key in self.kinds if key[0] == file]:
            del self.kinds[key]

    def check(self, file: str, rows: int, max_fraction: float) -> None:
        """Raise PermanentError when too many of ``rows`` of ``file`` were left out."""
        skipped = self.counts[file]
        if skipped > max_fraction * rows:
            first = self.first[file]
            raise PermanentError(
                f"{file}:{first.line}: {first.reason} ({skipped} of {rows} rows would "
                f"be left out, more than {max_fraction:.1%})"
            )
