"""The progress of a sync for a person who waits for it."""

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from worker.timetable.building import Progress, Step


class Bar:
    """A progress bar on stderr with rows per second and the time that is left.

    Silent where stderr is no terminal.
    """

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._bar = RichProgress(
            TextColumn("{task.description:<14}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%  {task.fields[rate]:>12,.0f} rows/s"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("starting", total=None, rate=0.0)
        self._stage = ""
        self._began = 0.0

    def __enter__(self) -> Progress:
        self._bar.start()
        return self._show

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def _show(self, step: Step) -> None:
        now = time.monotonic()
        if step.stage != self._stage:
            self._stage, self._began = step.stage, now
        spent = now - self._began
        self._bar.update(
            self._task,
            description=step.stage,
            completed=step.done_bytes,
            total=step.total_bytes or None,
            rate=step.rows / spent if spent else 0.0,
        )
