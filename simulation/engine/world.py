"""The whole model: beat, broker, pools and children, and the outside."""

from collections import Counter
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

from simpy import Environment, Event

from simulation.engine.beat import beat
from simulation.engine.behaviours import Behaviours
from simulation.engine.broker import Broker, Order
from simulation.engine.child import Child
from simulation.engine.journal import Journal
from simulation.engine.message import Message, Portion
from simulation.engine.outside import Outside
from simulation.engine.pool import Pool
from simulation.engine.processor import Processor
from simulation.engine.publisher import publisher
from simulation.layout import Layout
from simulation.tables import Tables


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What a run of the model left; ``published`` counts messages, retries too.

    ``inside`` were unfinished at the end: in a list, reserved, with a child, or waiting
    for their countdown.
    """

    tables: Tables
    journal: Journal
    published: int
    inside: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Growth:
    """From ``at`` to ``until`` a pool has ``children`` more: what a scaling rule added.

    A child that is dismissed leaves at once when idle, else after its task.
    """

    at: float
    pool: str
    children: int
    until: float = inf


class World:
    """Everything that children share: the clock, the broker, the cores, the journal."""

    def __init__(
        self,
        layout: Layout,
        tables: Tables,
        *,
        prefetch: int = 0,
        order: Order = "round_robin",
        growth: Sequence[Growth] = (),
        behaviours: "Callable[[World], Behaviours] | None" = None,
    ) -> None:
        self.env = Environment(initial_time=tables.start_at)
        self.tables = tables
        self.layout = layout
        self.broker = Broker(self.env, order=order)
        self.journal = Journal()
        self.behaviours = behaviours(self) if behaviours else self._transit_app()
        self._published: Counter[str] = Counter()
        self._pools: list[Pool] = []
        self._children: list[Child] = []
        shared = (
            Processor(self.env, tables.machine.v_eff)
            if tables.machine.v_eff is not None
            else None
        )
        for row in layout.pools.values():
            pool = Pool(
                self.env,
                self.broker,
                row,
                parent_s=tables.machine.parent_s,
                prefetch=prefetch * row.children,
            )
            processor = shared or Processor(self.env, layout.vcpu[row.name])
            rivals = layout.children if shared else row.children
            self._pools.append(pool)
            more = [each for each in growth if each.pool == row.name]
            most = rivals + sum(each.children for each in (growth if shared else more))

            def hire(
                count: int, pool: Pool = pool, cores: Processor = processor,
                rivals: int = most,
            ) -> list[Child]:  # fmt: skip
                first = len(self._children)
                for number in range(first, first + count):
                    name = f"{pool.row.name}-{number}"
                    child = Child(self, pool, cores, name=name, rivals=rivals)
                    self._children.append(child)
                return self._children[first:]

            hire(row.children)
            for each in more:
                self.env.process(self._grow(each, hire))

    def publish(
        self, task: str, portions: tuple[Portion, ...] = (), *, units: int = 0
    ) -> None:
        """Publish a message of ``task`` now; its ``units`` are those of its portions,
        or notifications that belong to no onset.
        """
        message = Message(
            task=self.layout.tasks[task],
            number=self._published[task],
            enqueued_at=self.env.now,
            units=units + sum(riders for _, riders in portions),
            portions=portions,
        )
        self._published[task] += 1
        self.broker.publish(message)

    def run(self) -> Result:
        """Run to the end of the tables; what is unfinished then stays inside."""
        self.env.process(beat(self.env, self.tables, self.publish))
        batch_size = self.layout.batch_size
        self.env.process(publisher(self.env, self.tables, self.publish, batch_size))
        self.env.run(until=self.tables.end_at)
        return Result(
            tables=self.tables,
            journal=self.journal,
            published=self.broker.published,
            inside=self.inside,
        )

    @property
    def inside(self) -> int:
        """Messages published and not done: wherever they are now."""
        return (
            self.broker.held
            + sum(pool.reserved for pool in self._pools)
            + sum(child.busy for child in self._children)
        )

    def _grow(
        self, growth: Growth, hire: Callable[[int], list[Child]]
    ) -> Generator[Event, Any, None]:
        yield self.env.timeout(growth.at - self.env.now)
        hired = hire(growth.children)
        if growth.until < inf:
            yield self.env.timeout(growth.until - self.env.now)
            for child in hired:
                child.dismiss()

    def _transit_app(self) -> Behaviours:
        return Outside(
            self.env,
            self.tables,
            self.journal,
            self.publish,
            batch_size=self.layout.batch_size,
            streams=self.layout.streams,
        )


def simulate(
    layout: Layout,
    tables: Tables,
    *,
    prefetch: int = 0,
    growth: Sequence[Growth] = (),
) -> Result:
    """Run the tables on a layout; ``prefetch`` messages reserved per child, ``growth``
    what is added on the way.
    """
    return World(layout, tables, prefetch=prefetch, growth=growth).run()
