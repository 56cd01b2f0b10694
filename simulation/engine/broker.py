"""The broker: lists of messages, and the pools that wait on them."""

from collections import deque
from math import inf
from typing import TYPE_CHECKING

from simpy import Environment, Timeout

from simulation.engine.message import Message
from worker.policy.broker import Broker as BrokerRow

if TYPE_CHECKING:
    from simulation.engine.pool import Pool


class Broker:
    """Redis as kombu uses it: one list a queue, no preemption, first in first out.

    One blocking pop waits on all queues of a pool, and Redis serves the pool that has
    waited longest. ``reachable`` is False while the link is cut: nothing is published,
    nothing taken.
    """

    def __init__(self, env: Environment, row: BrokerRow) -> None:
        self.row = row
        self.reachable = True
        self.published = 0
        self._env = env
        self._in_turn = row.queue_order == "round_robin"
        self._hidden = 0
        self._queues: dict[str, deque[Message]] = {}
        self._pools: list[Pool] = []

    def serve(self, pool: "Pool") -> None:
        """Let a pool take messages from its queues."""
        self._pools.append(pool)
        for queue in pool.queues:
            self._queues.setdefault(queue, deque())

    def publish(self, message: Message) -> bool:
        """Hand the message to a pool that waits for its queue, else keep it; False,
        and the message is lost, while the link is cut.
        """
        if not self.reachable:
            return False
        self.published += 1
        queue = message.task.queue
        pool = self._ready(queue)
        if pool is None:
            self._queues[queue].append(message)
        else:
            if self._in_turn:
                _turn(pool.queues, queue)
            pool.accept(message)
        return True

    def restore(self, message: Message) -> None:
        """Put an unacknowledged message back, where it is the next to be taken.

        https://github.com/celery/kombu/blob/main/kombu/transport/redis.py
        """
        self._queues[message.task.queue].appendleft(message)
        pool = self._ready(message.task.queue)
        if pool is not None:
            pool.refill()

    def restore_later(self, message: Message, luck: float) -> None:
        """Restore what a dead worker held: hidden until the visibility timeout is over
        and the next sweep finds it.
        """
        row = self.row
        wait_s = row.visibility_timeout_s + luck * row.restore_interval_s
        self._hidden += 1
        timer = Timeout(self._env, wait_s)
        assert timer.callbacks is not None
        timer.callbacks.append(lambda _: self._uncover(message))

    def pop(self, queues: "deque[str]") -> Message | None:
        """The next message as a blocking pop over ``queues`` finds it, or None.

        ``priority`` takes the queues as they stand. With ``round_robin``, kombu's
        default, the queue served goes to the end, so none of a pool is preferred.
        https://github.com/celery/kombu/blob/main/kombu/utils/scheduling.py
        """
        if self.reachable:
            for queue in queues:
                waiting = self._queues[queue]
                if waiting:
                    if self._in_turn:
                        _turn(queues, queue)
                    return waiting.popleft()
        return None

    def cut(self) -> None:
        """Lose the link of everybody to the broker."""
        self.reachable = False

    def mend(self) -> None:
        """Everybody has reconnected: pools with room take what waits."""
        self.reachable = True
        for pool in self._pools:
            pool.refill()

    def depth(self, queue: str) -> int:
        """Messages waiting in the list: what LLEN shows."""
        return len(self._queues[queue])

    @property
    def held(self) -> int:
        """Messages waiting in any list, and those hidden by the visibility timeout."""
        return self._hidden + sum(len(queue) for queue in self._queues.values())

    def _ready(self, queue: str) -> "Pool | None":
        first, since = None, inf
        for pool in self._pools:
            if pool.waiting_since < since and pool.wants(queue):
                first, since = pool, pool.waiting_since
        return first

    def _uncover(self, message: Message) -> None:
        self._hidden -= 1
        self.restore(message)


def _turn(queues: "deque[str]", served: str) -> None:
    """The queue served goes to the end."""
    queues.remove(served)
    queues.append(served)
