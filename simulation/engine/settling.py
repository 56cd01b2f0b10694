"""What becomes of a message: acknowledged, tried again, handed out again, or lost."""

from collections.abc import Mapping
from typing import Literal

from simpy import Environment, Timeout

from simulation.demands import PUSH
from simulation.engine.behaviours import Behaviours
from simulation.engine.broker import Broker
from simulation.engine.journal import Journal
from simulation.engine.message import Message
from simulation.tables import Demand, Stream
from worker.records import Outcome

Stop = Literal["terminated", "killed"]
"""How a worker leaves: it gives back what it has taken, or it can give back nothing."""


class Settling:
    """The broker's and Celery's rules on messages that children have had.

    Early acknowledgement: the message is gone once a child has it. Late: it is gone
    when its attempt has ended, however that was, and returns when the worker dies; but
    Redis hands it out again, done or not, once the visibility timeout is over. A child
    that dies is a retry (``task_retry_on_worker_lost``); a limit is none. Retries end
    with the row's ``max_retries``, which is 0 where the next tick is the retry.

    ``redelivered`` counts messages that exist a second time because of that.
    """

    def __init__(
        self,
        env: Environment,
        broker: Broker,
        journal: Journal,
        behaviours: Behaviours,
        streams: Mapping[str, Stream],
    ) -> None:
        self.redelivered = 0
        self._env = env
        self._broker = broker
        self._journal = journal
        self._behaviours = behaviours
        self._streams = streams
        self._open: set[Message] = set()  # watched: still in some child's hands

    def drop(self, message: Message, worker: str) -> None:
        """It was too old when taken."""
        self._journal.leave(message, worker, None, self._env.now, Outcome.EXPIRED)
        self._behaviours.abandon(message)

    def watch(self, message: Message) -> None:
        """Hand it out again if it is still under way when its visibility ends."""
        visible_s = self._broker.row.visibility_timeout_s
        if message.task.time_limit_s <= visible_s:
            return
        self._open.add(message)
        wait_s = visible_s + self._luck(message) * self._broker.row.restore_interval_s
        timer = Timeout(self._env, wait_s)
        assert timer.callbacks is not None
        timer.callbacks.append(lambda _: self._overdue(message))

    def finish(
        self,
        message: Message,
        worker: str,
        started_at: float,
        demand: Demand,
        outcome: Outcome,
    ) -> None:
        """Close the attempt: its record, what follows from it, and perhaps a retry."""
        now = self._env.now
        again = None
        if self._open:
            self._open.discard(message)
        if not self._broker.reachable:
            outcome = self._out_of_reach(message, outcome)
        elif outcome is Outcome.FAILED or outcome is Outcome.KILLED:
            again = self._retry(message, outcome)
        if again is not None and outcome is Outcome.FAILED:
            outcome = Outcome.RETRIED
        self._journal.leave(message, worker, started_at, now, outcome, demand)
        if again is not None:
            self._behaviours.retry(message)
            self._broker.publish(again)
        elif outcome is Outcome.SUCCEEDED:
            self._behaviours.complete(message, started_at, now)
        else:
            self._behaviours.abandon(message)

    def cut_short(
        self, message: Message, worker: str, started_at: float, stop: Stop
    ) -> None:
        """Its worker left in the middle of the attempt, which nobody closes."""
        self._open.discard(message)
        self._journal.leave(message, worker, started_at, self._env.now, Outcome.LOST)
        self._behaviours.abandon(message)
        if message.task.ack == "late":
            self.redelivered += 1
            self.give_back(message.redelivered(), stop)

    def give_back(self, message: Message, stop: Stop) -> None:
        """Return an unacknowledged message to its queue, when its worker can."""
        if stop == "terminated":
            self._broker.restore(message)
        else:
            self._broker.restore_later(message, self._luck(message))

    def _retry(self, message: Message, outcome: Outcome) -> Message | None:
        row = message.task
        if message.retries >= row.max_retries:
            return None
        if outcome is Outcome.KILLED:
            return message.again(self._env.now, row.retry_backoff_s)
        return message.again(self._env.now, self._countdown_s(message))

    def _countdown_s(self, message: Message) -> float:
        """Celery's backoff: doubled each time, capped, then full jitter.

        https://github.com/celery/celery/blob/main/celery/utils/time.py
        """
        row = message.task
        longest_s: float = min(
            row.retry_backoff_max_s, row.retry_backoff_s * 2**message.retries
        )
        return longest_s * self._luck(message)

    def _out_of_reach(self, message: Message, outcome: Outcome) -> Outcome:
        """The link is cut: what a task writes to Redis fails, and so does its ack."""
        if message.task.ack == "late":
            self.redelivered += 1
            self._broker.restore_later(message.redelivered(), self._luck(message))
        if message.task.name != PUSH and outcome is Outcome.SUCCEEDED:
            self._behaviours.sever(message, self._env.now)
            return Outcome.FAILED
        return outcome

    def _overdue(self, message: Message) -> None:
        if message in self._open:
            self.redelivered += 1
            self._broker.restore(message.redelivered())

    def _luck(self, message: Message) -> float:
        stream = self._streams[message.task.name]
        return stream.jitter(message.number, message.attempt)
