"""One prefork process: takes a message, spends its time, leaves one record."""

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from simpy import Event

from simulation.engine.message import Message
from simulation.engine.pool import Pool
from simulation.engine.processor import Processor
from simulation.tables import Demand
from worker.records import Outcome

if TYPE_CHECKING:
    from simulation.engine.world import World

Steps = Generator[Event, Any, Any]


class Child:
    """A process of a pool, replaced as Celery does: after a task, never in it."""

    def __init__(
        self,
        world: "World",
        pool: Pool,
        processor: Processor,
        *,
        name: str,
        rivals: int,
    ) -> None:
        self.name = self._place = name
        self._env = world.env
        self._pool = pool
        self._broker = world.broker
        self._processor = processor
        self._rivals = rivals  # children that may want the same cores
        self._machine = world.tables.machine
        self._streams = world.tables.streams
        self._behaviours = world.behaviours
        self._journal = world.journal
        self.busy = False
        self._dismissed = False
        self._tasks_done = 0
        self._peak_rss_mib = 0.0
        self._tried = set(self._streams) if world.tables.warm else set()
        self._lives = 0
        self._env.process(self.working())

    def dismiss(self) -> None:
        """Take no further message: what scaling in does."""
        self._dismissed = True
        self._pool.withdraw(self)

    def working(self) -> Steps:
        """Work until dismissed: the life of a child, and of those that replace it."""
        env = self._env
        while not self._dismissed:
            message: Message = yield self._pool.next_message(self)
            self.busy = True
            stream = self._streams[message.task.name]
            # A message that found the child idle; one that waited has met a child
            # whose ``between_s`` holds all that lies between two tasks.
            lag_s = (
                stream.lag(message.number, message.attempt)
                if message.enqueued_at == env.now
                else 0.0
            )
            yield env.timeout(self._pool.handing_over_s() + lag_s)
            if env.now > message.expires_at:
                self._journal.leave(message, self.name, None, env.now, Outcome.EXPIRED)
                self.busy = False
                continue
            started_at = env.now
            self._behaviours.begin(message)
            demand = stream.demand(
                message.number,
                message.attempt,
                message.units,
                cold=message.task.name not in self._tried,
            )
            self._tried.add(message.task.name)
            demand = self._behaviours.hampered(message, demand)
            outcome = yield from self.spend(message, demand)
            self.leave(message, started_at, demand, outcome)
            self.busy = False
            if self.outgrew(demand) or outcome is Outcome.KILLED:
                yield env.timeout(self._machine.respawn_s)
                self._begin_anew()
            elif self._machine.between_s:
                yield env.timeout(self._machine.between_s)

    def spend(self, message: Message, demand: Demand) -> Steps:
        """Wait for the outside, then compute; stop at a limit. Returns the outcome.

        A soft limit is an exception that the task cleans up after and raises again. A
        task that is deaf to it (``demand.deaf``) runs into the hard limit, which kills
        the child.
        """
        env = self._env
        row = message.task
        limit_s = row.time_limit_s if demand.deaf else row.soft_time_limit_s
        stopped = Outcome.KILLED if demand.deaf else Outcome.TIMED_OUT
        if demand.io_s >= limit_s:
            yield env.timeout(limit_s)
            return stopped
        deadline = env.now + limit_s
        yield env.timeout(demand.io_s)
        piece = self._processor.work(demand.cpu_s)
        slowest_s = self._processor.slowest_s(demand.cpu_s, self._rivals)
        if env.now + slowest_s <= deadline:
            yield piece
        else:
            yield piece | env.timeout(deadline - env.now)
            if not piece.triggered:
                self._processor.withdraw(piece)
                return stopped
        return Outcome.FAILED if demand.fails else Outcome.SUCCEEDED

    def leave(
        self, message: Message, started_at: float, demand: Demand, outcome: Outcome
    ) -> None:
        """Close the attempt: its record, what follows from it, and perhaps a retry."""
        if outcome is not Outcome.SUCCEEDED and self._retries(message, outcome):
            closed = Outcome.RETRIED if outcome is Outcome.FAILED else outcome
            self._journal.leave(
                message, self.name, started_at, self._env.now, closed, demand
            )
            again = Message(
                task=message.task,
                number=message.number,
                enqueued_at=self._env.now,
                attempt=message.attempt + 1,
                units=message.units,
                portions=message.portions,
            )
            self._broker.publish_later(again, self._countdown_s(message))
            self._behaviours.abandon(message)
            return
        self._journal.leave(
            message, self.name, started_at, self._env.now, outcome, demand
        )
        if outcome is Outcome.SUCCEEDED:
            self._behaviours.complete(message, started_at, self._env.now)
        else:
            self._behaviours.abandon(message)

    def outgrew(self, demand: Demand) -> bool:
        """Whether the child is replaced after this task: by count or by peak memory."""
        self._tasks_done += 1
        self._peak_rss_mib = max(self._peak_rss_mib, demand.rss_mib)
        row = self._pool.row
        return (
            self._tasks_done >= row.max_tasks_per_child
            or self._peak_rss_mib > row.max_memory_per_child_mib
        )

    def _begin_anew(self) -> None:
        """Another process in the same place: it has opened nothing yet."""
        self._lives += 1
        self.name = f"{self._place}/{self._lives}"
        self._tasks_done = 0
        self._peak_rss_mib = 0.0
        self._tried.clear()

    def _retries(self, message: Message, outcome: Outcome) -> bool:
        if message.attempt >= message.task.max_retries:
            return False
        return outcome is Outcome.FAILED or (
            outcome is Outcome.TIMED_OUT and message.task.ack == "late"
        )

    def _countdown_s(self, message: Message) -> float:
        """Celery's backoff: doubled each time, capped, then full jitter.

        https://github.com/celery/celery/blob/main/celery/utils/time.py
        """
        row = message.task
        longest_s: float = min(
            row.retry_backoff_max_s, row.retry_backoff_s * 2**message.attempt
        )
        jitter = self._streams[row.name].jitter(message.number, message.attempt)
        return longest_s * jitter
