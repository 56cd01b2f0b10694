"""A pool: one ``celery worker``, its parent and its prefork children."""

from collections import deque
from math import inf
from typing import TYPE_CHECKING

from simpy import Environment, Event

from simulation.engine.broker import Broker
from simulation.engine.message import Message
from worker.policy import Pool as PoolRow

if TYPE_CHECKING:
    from simulation.engine.child import Child


class Pool:
    """Takes messages for its children; its single parent hands them out one by one.

    With ``worker_disable_prefetch`` (``prefetch`` 0) a message leaves the broker only
    when a child is free. With prefetch it is reserved early: nobody sees it in the
    queue, and no other pool can take it.
    """

    def __init__(
        self,
        env: Environment,
        broker: Broker,
        row: PoolRow,
        *,
        parent_s: float,
        prefetch: int = 0,
    ) -> None:
        self.row = row
        self.queues = deque(row.queues)
        self.waiting_since = env.now
        self._env = env
        self._broker = broker
        self._parent_s = parent_s
        self._parent_free_at = -inf
        self._prefetch = prefetch
        self._reserved: deque[Message] = deque()
        self._idle: deque[tuple[Child, Event]] = deque()
        broker.serve(self)

    @property
    def reserved(self) -> int:
        """Messages taken from the broker that no child has yet."""
        return len(self._reserved)

    def wants(self, queue: str) -> bool:
        """Whether it would take a message of ``queue`` now."""
        return queue in self.row.queues and (
            bool(self._idle) or len(self._reserved) < self._prefetch
        )

    def accept(self, message: Message) -> None:
        """Give the message to the child that has been idle longest, or reserve it."""
        if self._idle:
            self._idle.popleft()[1].succeed(message)
        else:
            self._reserved.append(message)

    def next_message(self, child: "Child") -> Event:
        """An event that succeeds with the child's next message."""
        arrival = Event(self._env)
        if self._reserved:
            arrival.succeed(self._reserved.popleft())
            self._top_up()
            return arrival
        message = self._broker.pop(self.queues)
        if message is None:
            if not self._idle:
                self.waiting_since = self._env.now
            self._idle.append((child, arrival))
        else:
            arrival.succeed(message)
            self._top_up()
        return arrival

    def withdraw(self, child: "Child") -> None:
        """Hand nothing more to a child that waits for its next message."""
        self._idle = deque(entry for entry in self._idle if entry[0] is not child)

    def handing_over_s(self) -> float:
        """Seconds until the parent, which is single-threaded, has handed one over."""
        now = self._env.now
        self._parent_free_at = max(now, self._parent_free_at) + self._parent_s
        return self._parent_free_at - now

    def _top_up(self) -> None:
        while len(self._reserved) < self._prefetch:
            message = self._broker.pop(self.queues)
            if message is None:
                return
            self._reserved.append(message)
