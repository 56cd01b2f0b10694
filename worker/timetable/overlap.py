"""Rows whose key an earlier bundle of the same version holds: the same, or others."""

from array import array
from collections.abc import Sequence

from worker.errors import PermanentError
from worker.timetable.skipped import Skips

REFUSED = "routes.txt"
"""Trips of both bundles would run on the one route that is kept, in its mode."""


class Overlap:
    """What the rows of one file say, by their key, over all bundles.

    A row that an earlier bundle brought too is kept once; where the two differ the
    earlier one is kept, and a person is told.
    """

    def __init__(self, file: str) -> None:
        self._file = file
        self._contents = array("q")
        self._before = 0
        self._differ = 0
        self._first = ""

    def begin(self) -> None:
        """A bundle begins: all rows so far are of earlier ones."""
        self._before = len(self._contents)
        self._differ, self._first = 0, ""

    def add(self, values: Sequence[str]) -> None:
        """The next row, as it is stored."""
        self._contents.append(hash(tuple(values)))

    def is_earlier(self, key: int) -> bool:
        """Whether the row with this key is of an earlier bundle."""
        return 0 <= key < self._before

    def compare(self, key: int, original: int, line: int, what: str) -> None:
        """Judge the row ``key`` beside the earlier ``original`` of the same id.

        Raises PermanentError when the two are different routes.
        """
        if self._contents[key] == self._contents[original]:
            return
        if self._file == REFUSED:
            raise PermanentError(
                f"{self._file}:{line}: {what} is another route in an earlier bundle"
            )
        self._first = self._first or f"{self._file}:{line}: {what}"
        self._differ += 1

    def tell(self, skips: Skips) -> None:
        """Warn of the rows of this bundle that differ from earlier ones."""
        if self._differ:
            skips.warn(
                f"{self._first} differs from the row of an earlier bundle, which is "
                f"kept ({self._differ} such rows)"
            )
