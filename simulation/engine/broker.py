"""The broker: lists of messages, and the pools that wait on them."""

from collections import deque
from typing import TYPE_CHECKING, Literal

from simpy import Environment, Timeout

from simulation.engine.message import Message

if TYPE_CHECKING:
    from simulation.engine.pool import Pool


Order = Literal["round_robin", "priority"]


class Broker:
    """Redis as kombu uses it: one list a queue, no preemption, first in first out."""

    def __init__(self, env: Environment, *, order: Order = "round_robin") -> None:
        self._env = env
        self._order = order
        self._countdowns = 0
        self._queues: dict[str, deque[Message]] = {}
        self._pools: list[Pool] = []
        self.published = 0

    def serve(self, pool: "Pool") -> None:
        """Let a pool take messages from its queues."""
        self._pools.append(pool)
        for queue in pool.queues:
            self._queues.setdefault(queue, deque())

    def publish(self, message: Message) -> None:
        """Hand the message to a pool that waits for its queue, else keep it."""
        self.published += 1
        self._place(message)

    def publish_later(self, message: Message, countdown_s: float) -> None:
        """Publish after ``countdown_s``: a retry with its backoff."""
        self.published += 1
        self._countdowns += 1
        timer = Timeout(self._env, countdown_s)
        assert timer.callbacks is not None
        timer.callbacks.append(lambda _: self._after_countdown(message))

    def pop(self, queues: "deque[str]") -> Message | None:
        """The next message as a blocking pop over ``queues`` finds it, or None.

        kombu's default ``round_robin``: the queue served goes to the end of the cycle,
        so no queue of a pool is preferred. ``priority`` leaves the cycle as it is.
        https://github.com/celery/kombu/blob/main/kombu/utils/scheduling.py
        """
        for queue in queues:
            waiting = self._queues[queue]
            if waiting:
                self._turn(queues, queue)
                return waiting.popleft()
        return None

    def depth(self, queue: str) -> int:
        """Messages waiting in the list: what LLEN shows."""
        return len(self._queues[queue])

    @property
    def held(self) -> int:
        """Messages waiting in any list, and those that wait for their countdown."""
        return self._countdowns + sum(len(queue) for queue in self._queues.values())

    def _turn(self, queues: "deque[str]", served: str) -> None:
        if self._order == "round_robin":
            queues.remove(served)
            queues.append(served)

    def _after_countdown(self, message: Message) -> None:
        self._countdowns -= 1
        message.enqueued_at = self._env.now
        self._place(message)

    def _place(self, message: Message) -> None:
        queue = message.task.queue
        ready = [pool for pool in self._pools if pool.wants(queue)]
        if ready:
            pool = min(ready, key=lambda pool: pool.waiting_since)
            self._turn(pool.queues, queue)
            pool.accept(message)
        else:
            self._queues[queue].append(message)
