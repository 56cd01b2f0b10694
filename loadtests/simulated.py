"""An event loop whose time jumps to the next thing that is due: hours in seconds."""

import asyncio
import selectors


class SimulatedLoop(asyncio.SelectorEventLoop):
    """A loop in simulated time: whoever sleeps is woken at once, in the right order.

    For code that waits through asyncio alone. ``time`` begins at 0 seconds.
    """

    def __init__(self) -> None:
        self.now_s = 0.0
        super().__init__(_Jumps(self))

    def time(self) -> float:
        """Simulated seconds."""
        return self.now_s


class _Jumps(selectors.DefaultSelector):
    """Waits for nobody: time that would pass in waiting has passed."""

    def __init__(self, loop: SimulatedLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(
        self, timeout: float | None = None
    ) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready now; without any, ``timeout`` is over."""
        ready = super().select(0)
        if not ready and timeout:
            self._loop.now_s += timeout
        return ready
