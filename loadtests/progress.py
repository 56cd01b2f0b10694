"""What is being done: a bar on a terminal, plain lines elsewhere; always on stderr."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

EVERY_S = 10.0
"""Between two plain lines of one step."""
DRAWN_EVERY_S = 4.0
"""Between two pictures of a bar: each takes a millisecond, as a reading of all gauges
does."""


class Steps:
    """Says steps, and how far the long ones are."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._began_at = time.monotonic()

    def say(self, text: str) -> None:
        """One step, with the seconds since the first."""
        passed_s = time.monotonic() - self._began_at
        self._console.print(f"{passed_s:6.1f} s  {text}", markup=False, highlight=False)

    @contextmanager
    def bar(self, title: str, total_s: float) -> Iterator[Callable[[float, str], None]]:
        """A step of known length: call what is given with seconds done and a remark."""
        if not self._console.is_terminal:
            yield self._plain(title, total_s)
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[remark]}"),
            TimeRemainingColumn(),
        )
        # By nobody else between two calls: rich would draw ten times a second, 11 ms of
        # a core in each, eight times the recorder, which does not count them.
        with Progress(
            *columns, console=self._console, transient=True, auto_refresh=False
        ) as progress:
            yield self._drawn(progress, title, total_s)

    def _drawn(
        self, progress: Progress, title: str, total_s: float
    ) -> Callable[[float, str], None]:
        task, drawn_at = progress.add_task(title, total=total_s, remark=""), 0.0

        def tell(done_s: float, remark: str) -> None:
            nonlocal drawn_at
            if time.monotonic() - drawn_at >= DRAWN_EVERY_S:
                drawn_at = time.monotonic()
                progress.update(task, completed=done_s, remark=remark, refresh=True)

        return tell

    def _plain(self, title: str, total_s: float) -> Callable[[float, str], None]:
        said_at = time.monotonic()
        self.say(f"{title}: {total_s:.0f} s")

        def tell(done_s: float, remark: str) -> None:
            nonlocal said_at
            if time.monotonic() - said_at >= EVERY_S:
                said_at = time.monotonic()
                self.say(f"{title}: {done_s:.0f} of {total_s:.0f} s, {remark}")

        return tell
