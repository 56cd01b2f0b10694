"""The shared processor: children in their CPU phase divide the cores equally."""

from heapq import heappop, heappush

from simpy import Environment, Event, Timeout


class Processor:
    """Processor sharing on ``cores`` effective cores, by virtual time.

    ``n`` children in their CPU phase each run at ``min(1, cores / n)``. Virtual time
    is the service that each of them has had so far, so that a piece of work of
    ``cpu_s`` ends when virtual time has grown by ``cpu_s``, whoever comes and goes:
    one heap, one live timer, O(log n) a change.
    """

    def __init__(self, env: Environment, cores: float) -> None:
        self._env = env
        self._cores = cores
        self._heap: list[tuple[float, int, Event]] = []
        self._busy = 0
        self._served = 0.0
        self._seen_at = env.now
        self._pieces = 0
        self._timer = 0

    @property
    def busy(self) -> int:
        """Children in their CPU phase now."""
        return self._busy

    def work(self, cpu_s: float) -> Event:
        """An event that succeeds once ``cpu_s`` seconds of a core have been given."""
        self._advance()
        self._pieces += 1
        done = Event(self._env)
        heappush(self._heap, (self._served + cpu_s, self._pieces, done))
        self._busy += 1
        self._rearm()
        return done

    def withdraw(self, piece: Event) -> None:
        """Take back work whose child was stopped by a limit; no-op when it is done."""
        if piece.triggered:
            return
        self._advance()
        self._heap = [entry for entry in self._heap if entry[2] is not piece]
        self._heap.sort()
        self._busy -= 1
        self._rearm()

    def slowest_s(self, cpu_s: float, children: int) -> float:
        """The longest that ``cpu_s`` can take beside ``children`` busy ones."""
        return cpu_s * max(1.0, children / self._cores)

    def _rate(self) -> float:
        return min(1.0, self._cores / self._busy) if self._busy else 0.0

    def _advance(self) -> None:
        now = self._env.now
        self._served += (now - self._seen_at) * self._rate()
        self._seen_at = now

    def _rearm(self) -> None:
        self._timer += 1
        if not self._heap:
            return
        left = max(0.0, self._heap[0][0] - self._served) / self._rate()
        version = self._timer
        timer = Timeout(self._env, left)
        assert timer.callbacks is not None
        timer.callbacks.append(lambda _: self._due(version))

    def _due(self, version: int) -> None:
        if version != self._timer:
            return
        # The timer was set for the first piece: virtual time is what that needs, to the
        # last bit, where adding up seconds of the epoch would let it run ahead.
        self._served = max(self._served, self._heap[0][0])
        self._seen_at = self._env.now
        while self._heap and self._heap[0][0] <= self._served:
            heappop(self._heap)[2].succeed()
            self._busy -= 1
        self._rearm()
