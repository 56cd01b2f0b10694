"""One prefork process: takes a message, spends its time, leaves one record."""

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from simpy import Event, Interrupt, Timeout

from simulation.engine.message import Message
from simulation.engine.pool import Pool
from simulation.engine.settling import Stop
from simulation.tables import Demand
from worker.records import Outcome

if TYPE_CHECKING:
    from simulation.engine.world import World

Steps = Generator[Event, Any, Any]


class Child:
    """A process of a pool, replaced as Celery does: after a task, never in it.

    ``high_water_mib`` is the highest memory of this child and those that replaced it.
    """

    def __init__(
        self,
        world: "World",
        pool: Pool,
        *,
        name: str,
        rivals: int,
    ) -> None:
        self.name = self._place = name
        self.message: Message | None = None
        self.high_water_mib = 0.0
        self._env = world.env
        self._pool = pool
        self._processor = pool.processor
        self._rivals = rivals  # children that may want the same cores
        self._machine = world.tables.machine
        self._streams = world.tables.streams
        self._behaviours = world.behaviours
        self._settling = world.settling
        self._lost_s = world.layout.broker.child_lost_s
        self._arrival: Event | None = None
        self._piece: Event | None = None
        self._started_at: float | None = None
        self._dismissed = False
        self._lives = 0
        self._tasks_done = 0
        self._peak_rss_mib = 0.0
        self._tried = set(self._streams) if world.tables.warm else set()
        pool.children.append(self)
        self._life = self._env.process(self.working())

    def dismiss(self) -> None:
        """Take no further message: what scaling in does."""
        self._dismissed = True
        if self._arrival is not None and not self._arrival.triggered:
            self._pool.leave(self)

    def working(self) -> Steps:
        """Work until dismissed: the life of a child, and of those that replace it."""
        back_at = self._env.now
        while not self._dismissed:
            try:
                if back_at > self._env.now:
                    yield Timeout(self._env, back_at - self._env.now)
                yield from self._serving()
            except Interrupt as interrupt:
                cause: tuple[Stop, float] = interrupt.cause  # type: ignore[assignment]
                stop, back_at = cause
                self._drop_everything(stop)

    def stop(self, how: Stop, back_at: float) -> None:
        """End with its worker; the child of the next worker starts at ``back_at``."""
        if self._life.is_alive:
            self._life.interrupt((how, back_at))

    def _serving(self) -> Steps:
        env, pool = self._env, self._pool
        while not self._dismissed:
            message = pool.take()
            if message is None:
                self._arrival = pool.wait(self)
                message = yield self._arrival
                self._arrival = None
            self.message = message
            stream = self._streams[message.task.name]
            handing_s = pool.handing_over_s() if pool.parent_s else 0.0
            if message.enqueued_at == env.now:
                # It found the child idle; one that waited has met a child whose
                # ``between_s`` holds all that lies between two tasks.
                handing_s += stream.lag(message.number, message.attempt)
            if handing_s:
                yield Timeout(env, handing_s)
            started_at = env.now
            if started_at > message.expires_at:
                self.message = None
                pool.acknowledge()
                self._settling.drop(message, self.name)
                continue
            self._started_at = started_at
            late = message.task.ack == "late"
            if not late:
                pool.acknowledge()
            self._behaviours.begin(message)
            name = message.task.name
            cold = name not in self._tried
            demand = stream.demand(
                message.number, message.attempt, message.units, cold=cold
            )
            if cold:
                self._tried.add(name)
            demand = self._behaviours.hampered(message, demand)
            if late:
                self._settling.watch(message)
            outcome = yield from self.spend(message, demand)
            if late:
                pool.acknowledge()
            self.message = self._started_at = None
            self._settling.finish(message, self.name, started_at, demand, outcome)
            replaced, pause_s = self._recovery(demand, outcome)
            if pause_s:
                yield Timeout(env, pause_s)
            if replaced:
                self._begin_anew()

    def spend(self, message: Message, demand: Demand) -> Steps:
        """Wait for the outside, then compute; stop at a limit. Returns the outcome.

        A soft limit is an exception that the task cleans up after and raises again. A
        task that is deaf to it (``demand.deaf``) runs into the hard limit, which kills
        the child. A child that dies is missed by its parent only some seconds later.
        """
        env, row = self._env, message.task
        limit_s = row.time_limit_s if demand.deaf else row.soft_time_limit_s
        io_s = demand.io_s
        if io_s >= limit_s:
            yield Timeout(env, limit_s)
            return Outcome.TIMED_OUT
        deadline = env.now + limit_s
        if io_s:
            yield Timeout(env, io_s)
        if demand.cpu_s:
            self._piece = piece = self._processor.work(demand.cpu_s)
            slowest_s = self._processor.slowest_s(demand.cpu_s, self._rivals)
            if env.now + slowest_s <= deadline:
                yield piece
            else:
                yield piece | Timeout(env, deadline - env.now)
            self._piece = None
            if not piece.triggered:
                self._processor.withdraw(piece)
                return Outcome.TIMED_OUT
        if demand.lethal:
            yield Timeout(env, self._lost_s)
            return Outcome.KILLED
        return Outcome.FAILED if demand.fails else Outcome.SUCCEEDED

    def outgrew(self, demand: Demand) -> bool:
        """Whether the child is replaced after this task: by count or by peak memory."""
        self._tasks_done += 1
        if demand.rss_mib > self._peak_rss_mib:
            self._peak_rss_mib = demand.rss_mib
            self.high_water_mib = max(self.high_water_mib, demand.rss_mib)
        row = self._pool.row
        return (
            self._tasks_done >= row.max_tasks_per_child
            or self._peak_rss_mib > row.max_memory_per_child_mib
        )

    def _recovery(self, demand: Demand, outcome: Outcome) -> tuple[bool, float]:
        """Whether another process replaces it, and seconds until one is ready again."""
        machine = self._machine
        died = outcome is Outcome.KILLED
        stopped = demand.deaf and outcome is Outcome.TIMED_OUT
        if not (self.outgrew(demand) or stopped or died):
            return False, machine.between_s
        # A dead child was replaced while its parent had not missed it yet.
        return True, max(0.0, machine.respawn_s - (self._lost_s if died else 0.0))

    def _begin_anew(self) -> None:
        """Another process in the same place: it has opened nothing yet."""
        self._lives += 1
        self.name = f"{self._place}/{self._lives}"
        self._tasks_done = 0
        self._peak_rss_mib = 0.0
        self._tried.clear()

    def _drop_everything(self, stop: Stop) -> None:
        """Its worker is gone: close what was under way, and free the core."""
        if self._piece is not None:
            self._processor.withdraw(self._piece)
            self._piece = None
        if self._arrival is not None:
            self._pool.leave(self)
            if self._arrival.triggered:  # handed over at this very instant
                self.message = self._arrival.value
            self._arrival = None
        message, self.message = self.message, None
        started_at, self._started_at = self._started_at, None
        name = self.name
        self._begin_anew()
        if message is None:
            return
        if started_at is None:
            self._settling.give_back(message, stop)
        else:
            self._settling.cut_short(message, name, started_at, stop)
