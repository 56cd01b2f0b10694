"""The whole model: beat, broker, pools and children, and the outside."""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any

from simpy import Environment, Event, Timeout

from simulation.engine.beat import beat
from simulation.engine.behaviours import Behaviours
from simulation.engine.broker import Broker
from simulation.engine.child import Child
from simulation.engine.disruptions import disrupt
from simulation.engine.journal import Journal
from simulation.engine.message import Message, Portion
from simulation.engine.outside import Outside
from simulation.engine.pool import Pool
from simulation.engine.processor import Processor
from simulation.engine.publisher import publisher
from simulation.engine.settling import Settling
from simulation.layout import Layout
from simulation.tables import Tables, Window
from worker.errors import UsageError
from worker.policy import Pool as PoolRow

_ELSEWHERE = ("nsw_down", "nsw_slow", "apns_slow", "beat_down")
"""Windows that the outside and beat look after."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What a run of the model left; ``published`` counts messages, retries too.

    ``redelivered`` messages were handed out a second time. ``inside`` were unfinished
    at the end: in a list, hidden, reserved, with a child, or waiting for their
    countdown. So published + redelivered = lines of the journal + inside.
    ``high_water_mib``: child -> the highest memory of any process in its place.
    """

    tables: Tables
    journal: Journal
    published: int
    inside: int
    redelivered: int = 0
    high_water_mib: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Growth:
    """What a scaling rule adds at ``at``, ready ``cold_start_s`` later: ``children`` of
    a pool, which leave at ``until``: at once when idle, else after their task. As a
    ``replica`` they have a parent and cores of their own.
    """

    at: float
    pool: str
    children: int
    until: float = inf
    cold_start_s: float = 0.0
    replica: bool = False

    @property
    def ready_at(self) -> float:
        """When the first of it can take a message."""
        return self.at + self.cold_start_s

    def __post_init__(self) -> None:
        if self.children < 1 or not 0 <= self.cold_start_s < inf:
            raise UsageError(
                f"growth of pool {self.pool} by {self.children} children after "
                f"{self.cold_start_s} s adds nothing"
            )


class World:
    """Everything that children share: the clock, the broker, the cores, the journal."""

    def __init__(
        self,
        layout: Layout,
        tables: Tables,
        *,
        growth: Sequence[Growth] = (),
        behaviours: "Callable[[World], Behaviours] | None" = None,
    ) -> None:
        self.env = Environment(initial_time=tables.start_at)
        self.tables = tables
        self.layout = layout
        self.broker = Broker(self.env, layout.broker)
        self.journal = Journal()
        self.behaviours = behaviours(self) if behaviours else self._transit_app()
        self.settling = Settling(
            self.env, self.broker, self.journal, self.behaviours, tables.streams
        )
        self.children: list[Child] = []
        self._tasks = layout.tasks
        self._published = dict.fromkeys(layout.tasks, 0)
        self._pools: list[Pool] = []
        cores = tables.machine.v_eff
        self._shared = None if cores is None else Processor(self.env, cores)
        added = sum(each.children for each in growth)
        for row in layout.workers:
            self._start(row, row.children, added)
        for each in growth:
            if each.pool not in layout.pools:
                raise UsageError(f"there is no pool {each.pool} to grow")
            self.env.process(self._grow(each, added))

    def publish(
        self,
        task: str,
        portions: tuple[Portion, ...] = (),
        born_at: float = 0.0,
        *,
        units: int = 0,
    ) -> bool:
        """Publish a message of ``task`` now; False when it is lost on the way. Its
        ``units`` are those of its portions, or notifications that belong to no onset.
        """
        row, now = self._tasks[task], self.env.now
        number = self._published[task]
        self._published[task] = number + 1
        if portions:
            units += sum(riders for _, riders in portions)
        expires_at = now + row.expires_s
        message = Message(row, number, now, expires_at, units, portions, born_at)
        return self.broker.publish(message)

    def run(self) -> Result:
        """Run to the end of the tables; what is unfinished then stays inside."""
        for window in self.tables.windows:
            if window.kind not in _ELSEWHERE:
                self.env.process(
                    disrupt(
                        self.env,
                        window,
                        self.broker,
                        self._named(window),
                        self.settling,
                    )
                )
        self.env.process(beat(self.env, self.tables, self.layout.tasks, self.publish))
        batch_size = self.layout.batch_size
        self.env.process(publisher(self.env, self.tables, self.publish, batch_size))
        self.env.run(until=self.tables.end_at)
        return Result(
            tables=self.tables,
            journal=self.journal,
            published=self.broker.published,
            inside=self.inside,
            redelivered=self.settling.redelivered,
            high_water_mib={
                child.name: child.high_water_mib for child in self.children
            },
        )

    @property
    def inside(self) -> int:
        """Messages published and not done: wherever they are now."""
        return (
            self.broker.held
            + sum(pool.reserved for pool in self._pools)
            + sum(child.message is not None for child in self.children)
        )

    def _named(self, window: Window) -> list[Pool]:
        """The worker processes that a window is about."""
        if window.pool and window.pool not in self.layout.pools:
            raise UsageError(f"window {window.kind} names no pool: {window.pool}")
        return [p for p in self._pools if window.pool in ("", p.row.name)]

    def _start(self, row: PoolRow, children: int, added: int) -> None:
        """Start a worker process; ``added``: children that may come later."""
        pool = Pool(
            self.env,
            self.broker,
            row,
            drop=self.settling.drop,
            processor=self._shared or Processor(self.env, self.layout.vcpu[row.name]),
            parent_s=self.tables.machine.parent_s,
            prefetch=self.layout.prefetch,
        )
        self._pools.append(pool)
        self._hire(pool, children, added)

    def _hire(self, pool: Pool, children: int, added: int) -> None:
        here = self.layout.children if self._shared else pool.row.children
        for _ in range(children):
            name = f"{pool.row.name}-{len(self.children)}"
            self.children.append(Child(self, pool, name=name, rivals=here + added))

    def _grow(self, growth: Growth, added: int) -> Generator[Event, Any, None]:
        yield Timeout(self.env, max(0.0, growth.ready_at - self.env.now))
        row = self.layout.pools[growth.pool]
        first = len(self.children)
        if growth.replica:
            self._start(row, growth.children, added)
        else:
            pool = next(pool for pool in self._pools if pool.row is row)
            self._hire(pool, growth.children, added)
        hired = self.children[first:]
        if growth.until < inf:
            yield Timeout(self.env, max(0.0, growth.until - self.env.now))
            for child in hired:
                child.dismiss()

    def _transit_app(self) -> Behaviours:
        return Outside(self.env, self.tables, self.layout, self.journal, self.publish)


def simulate(
    layout: Layout, tables: Tables, *, growth: Sequence[Growth] = ()
) -> Result:
    """Run the tables on a layout; ``growth`` is what is added on the way."""
    return World(layout, tables, growth=growth).run()
