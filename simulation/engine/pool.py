"""A pool: one ``celery worker``, its parent and its prefork children."""

from collections import deque
from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING

from simpy import Environment, Event, Timeout

from simulation.engine.broker import Broker
from simulation.engine.message import Message
from simulation.engine.processor import Processor
from worker.policy import Pool as PoolRow

if TYPE_CHECKING:
    from simulation.engine.child import Child

Drop = Callable[[Message, str], None]
"""Told of a message that was too old, and of the pool that dropped it."""


class Pool:
    """Takes messages for its children; its single parent hands them out one by one.

    With ``worker_disable_prefetch`` (``prefetch`` 0) a message leaves the broker only
    when a child is free. Else up to ``prefetch`` messages a child are unacknowledged:
    those reserved, which nobody sees in the queue and no other pool can take, and those
    that children work at and will acknowledge late. A held retry does not count.

    A retry whose countdown lasts is taken like any message and held, unacknowledged,
    until it is due; then it goes before what waits in the broker.
    """

    def __init__(
        self,
        env: Environment,
        broker: Broker,
        row: PoolRow,
        *,
        drop: Drop,
        processor: Processor,
        parent_s: float,
        prefetch: int = 0,
    ) -> None:
        self.row = row
        self.processor = processor
        self.queues = deque(row.queues)
        self.children: list[Child] = []
        self.waiting_since = env.now
        self.unacknowledged = 0
        self.taking = True
        self.parent_s = parent_s
        self._env = env
        self._broker = broker
        self._drop = drop
        self._parent_free_at = -inf
        self._prefetch = prefetch
        self._due: deque[Message] = deque()
        self._countdown: set[Message] = set()
        self._reserved: deque[Message] = deque()
        self._idle: deque[tuple[Child, Event]] = deque()
        broker.serve(self)

    @property
    def reserved(self) -> int:
        """Messages taken from the broker that no child has yet."""
        return len(self._reserved) + len(self._due) + len(self._countdown)

    def wants(self, queue: str) -> bool:
        """Whether it would take a message of ``queue`` now."""
        if not self._idle and not (self._prefetch and self._has_room):
            return False
        return queue in self.queues and self.taking

    def accept(self, message: Message) -> None:
        """Give the message to the child that has been idle longest, or keep it."""
        self.waiting_since = self._env.now
        if not self._usable(message):
            return
        self.unacknowledged += 1
        if self._idle:
            self._idle.popleft()[1].succeed(message)
        else:
            self._reserved.append(message)

    def take(self) -> Message | None:
        """A message for a child that is free now; None when none waits."""
        if not self.taking:
            return None
        if self._due:
            return self._due.popleft()
        if self._reserved:
            message: Message | None = self._reserved.popleft()
        else:
            message = self._fetch()
        if message is not None and self._prefetch:
            self._top_up()
        return message

    def wait(self, child: "Child") -> Event:
        """An event that succeeds with the child's next message."""
        arrival = Event(self._env)
        if not self._idle:
            self.waiting_since = self._env.now
        self._idle.append((child, arrival))
        return arrival

    def leave(self, child: "Child") -> None:
        """Forget that a child waits."""
        self._idle = deque(each for each in self._idle if each[0] is not child)

    def refill(self) -> None:
        """Take what waits in the broker, as far as there is room."""
        while self._idle:
            message = self.take()
            if message is None:
                break
            self._idle.popleft()[1].succeed(message)
        self._top_up()

    def acknowledge(self) -> None:
        """One message less is unacknowledged: perhaps there is room for another."""
        self.unacknowledged -= 1
        if self._prefetch:
            self._top_up()

    def handing_over_s(self) -> float:
        """Seconds until the parent, which is single-threaded, has handed one over."""
        now = self._env.now
        self._parent_free_at = max(now, self._parent_free_at) + self.parent_s
        return self._parent_free_at - now

    def abandoned(self) -> list[Message]:
        """Take out every message that no child has: the worker goes."""
        left = [*self._due, *self._reserved, *self._countdown]
        self._due.clear()
        self._reserved.clear()
        self._countdown.clear()
        self.unacknowledged = 0
        return left

    @property
    def _has_room(self) -> bool:
        return self.unacknowledged < self._prefetch * len(self.children)

    def _fetch(self) -> Message | None:
        """The broker's next message that is neither too old nor due later."""
        while True:
            message = self._broker.pop(self.queues)
            if message is None:
                return None
            if self._usable(message):
                self.unacknowledged += 1
                return message

    def _top_up(self) -> None:
        while self.taking and self._has_room:
            message = self._fetch()
            if message is None:
                return
            self._reserved.append(message)

    def _usable(self, message: Message) -> bool:
        """Whether a message just taken can be worked at: one that is too old is
        dropped (a child's turn is the second point), one with a countdown is held.
        """
        now = self._env.now
        if now > message.expires_at:
            self._drop(message, self.row.name)
            return False
        if message.due_at <= now:
            return True
        self._countdown.add(message)
        timer = Timeout(self._env, message.due_at - now)
        assert timer.callbacks is not None
        timer.callbacks.append(lambda _: self._fall_due(message))
        return False

    def _fall_due(self, message: Message) -> None:
        if message not in self._countdown:
            return  # its worker has gone meanwhile, and the message with it
        self._countdown.remove(message)
        self.unacknowledged += 1
        if self._idle:
            self._idle.popleft()[1].succeed(message)
        else:
            self._due.append(message)
