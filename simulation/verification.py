"""The engine beside queueing theory, each with a confidence interval."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from simulation import theory
from simulation.engine import World
from simulation.engine.behaviours import Behaviours
from simulation.engine.recorded import task_records
from simulation.gauges import depth, instants
from simulation.layout import Layout
from simulation.replications import Estimate, until_precise
from simulation.tables import Floats, Machine, Stream, Tables
from simulation.workload import stream
from worker.policy import POLICY, Pool, Task
from worker.records import Outcome, TaskRecord

Order = Literal["priority", "round_robin"]
FOREVER = 10**9
CONFIDENCE = 0.999
"""Of each interval: stopping once precise makes intervals a little too short."""
PRECISE = 0.20
"""Half-width, as a share of the mean, beyond which an interval decides nothing."""
WARM_UP = 0.2


@dataclass(frozen=True, kw_only=True, slots=True)
class Arrivals:
    """What comes to a system: messages of one class."""

    task: str
    per_s: float
    service: Callable[[np.random.Generator, int], Floats]
    batch: int = 1
    queue: str = "q"


@dataclass(frozen=True, kw_only=True, slots=True)
class System:
    """A queueing system with what theory says of it.

    ``cores`` shares the service among children (processor sharing); None leaves each
    child a core of its own.
    """

    name: str
    metric: str
    expected: float
    arrivals: tuple[Arrivals, ...]
    figure: Callable[[list[TaskRecord]], float]
    children: int = 1
    cores: float | None = None
    order: Order = "round_robin"


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """Theory beside the engine: mean over replications and its interval."""

    metric: str
    run: str
    theory: float
    predicted: float
    interval: tuple[float, float]
    verdict: Literal["within", "outside", "inconclusive"]

    def as_json(self) -> dict[str, Any]:
        """The check under the names of the run-folder contract."""
        error = (self.predicted - self.theory) / self.theory if self.theory else 0.0
        return {
            "metric": self.metric,
            "run": self.run,
            "theory": self.theory,
            "predicted": self.predicted,
            "interval": list(self.interval),
            "relative_error": error,
            "threshold": PRECISE,
            "verdict": self.verdict,
        }


def exponential(mean_s: float) -> Callable[[np.random.Generator, int], Floats]:
    """Service times with coefficient of variation 1."""
    return lambda rng, size: rng.exponential(mean_s, size)


def constant(mean_s: float) -> Callable[[np.random.Generator, int], Floats]:
    """Service times without variation."""
    return lambda _, size: np.full(size, mean_s)


def two_point(low_s: float, high_s: float, share: float) -> Callable[..., Floats]:
    """``high_s`` with probability ``share``, else ``low_s``."""
    return lambda rng, size: np.where(rng.random(size) < share, high_s, low_s)


def _mean_wait(records: list[TaskRecord]) -> float:
    return float(np.mean([record.wait_s for record in records]))


def _mean_sojourn(records: list[TaskRecord]) -> float:
    return float(np.mean([record.sojourn_s for record in records]))


def _wait_of(task: str) -> Callable[[list[TaskRecord]], float]:
    return lambda records: _mean_wait([r for r in records if r.task == task])


def _beyond(wait_s: float) -> Callable[[list[TaskRecord]], float]:
    return lambda records: float(np.mean([r.wait_s > wait_s for r in records]))


def _systems() -> tuple[System, ...]:
    # One service in ten takes 5.5 s, the others 1 s: its mean and its second moment.
    law, mean_s, second = two_point(1.0, 5.5, 0.1), 1.45, 0.9 + 0.1 * 5.5**2
    urgent, patient = theory.priority_waits_s((0.3, 0.3), (1.0, 1.0), (2.0, 2.0))
    both = (
        Arrivals(task="urgent", per_s=0.3, service=exponential(1.0), queue="a"),
        Arrivals(task="patient", per_s=0.3, service=exponential(1.0), queue="b"),
    )

    def one(per_s: float, service: Callable[..., Floats], batch: int = 1) -> Any:
        return (Arrivals(task="job", per_s=per_s, service=service, batch=batch),)

    return (
        System(name="M/M/1, rho 0.7", metric="mean_wait_s",
               expected=theory.mmc_wait_s(0.7, 1.0, 1),
               arrivals=one(0.7, exponential(1.0)), figure=_mean_wait),
        System(name="M/M/4, rho 0.8", metric="mean_wait_s", children=4,
               expected=theory.mmc_wait_s(3.2, 1.0, 4),
               arrivals=one(3.2, exponential(1.0)), figure=_mean_wait),
        System(name="M/M/4, rho 0.8", metric="share_waiting_beyond_1_s", children=4,
               expected=theory.mmc_wait_beyond(3.2, 1.0, 4, 1.0),
               arrivals=one(3.2, exponential(1.0)), figure=_beyond(1.0)),
        System(name="M/D/1, rho 0.8", metric="mean_wait_s",
               expected=theory.mg1_wait_s(0.8, 1.0, 1.0),
               arrivals=one(0.8, constant(1.0)), figure=_mean_wait),
        System(name="M/G/1, rho 0.58", metric="mean_wait_s",
               expected=theory.mg1_wait_s(0.4, mean_s, second),
               arrivals=one(0.4, law), figure=_mean_wait),
        System(name="M/M/1 priorities, urgent", metric="mean_wait_s", expected=urgent,
               arrivals=both, figure=_wait_of("urgent"), order="priority"),
        System(name="M/M/1 priorities, patient", metric="mean_wait_s",
               expected=patient, arrivals=both, figure=_wait_of("patient"),
               order="priority"),
        System(name="M/G/1-PS, rho 0.58", metric="mean_sojourn_s", children=60,
               cores=1.0, expected=theory.ps_sojourn_s(0.4, mean_s),
               arrivals=one(0.4, law), figure=_mean_sojourn),
        System(name="M^[5]/M/1, rho 0.6", metric="mean_wait_s",
               expected=theory.batch_wait_s(0.12, 5, 1.0, 2.0),
               arrivals=one(0.12, exponential(1.0), batch=5), figure=_mean_wait),
    )  # fmt: skip


SYSTEMS: tuple[System, ...] = _systems()


def verify(
    *,
    messages: int = 4_000,
    most: int = 40,
    seed: int = 1,
    step: Callable[[str], None] = lambda _: None,
) -> list[Check]:
    """Every system beside theory, then Little's law and conservation.

    Each is replicated until its interval is ``PRECISE``, at most ``most`` times.
    ``step`` is told what is being checked.
    """

    def estimate(system: System, figure: Callable[[World], float]) -> Estimate:
        step(f"{system.metric} of {system.name}")
        return until_precise(
            lambda replication: figure(world_of(system, messages, replication, seed)),
            relative=PRECISE,
            fewest=10,
            most=most,
            confidence=CONFIDENCE,
        )

    def figured(system: System) -> Callable[[World], float]:
        return lambda world: system.figure(settled(world))

    checks = [
        _check(
            system.metric,
            system.name,
            system.expected,
            estimate(system, figured(system)),
        )
        for system in SYSTEMS
    ]
    system = SYSTEMS[1]
    checks.append(_check("L / (lambda W)", system.name, 1.0, estimate(system, _little)))
    return [
        *checks,
        _check(
            "published less done and inside",
            system.name,
            0.0,
            estimate(system, lambda world: float(_unaccounted(world))),
        ),
    ]


def world_of(system: System, messages: int, replication: int, seed: int = 1) -> World:
    """One replication of a system, run to its end."""
    rng = stream(seed, replication, system.name)
    ticks: list[tuple[float, str]] = []
    streams: dict[str, Stream] = {}
    total = sum(each.per_s * each.batch for each in system.arrivals)
    end = messages / total
    for each in system.arrivals:
        at = np.cumsum(rng.exponential(1 / each.per_s, int(2 * each.per_s * end) + 50))
        at = np.repeat(at[at < end], each.batch)
        ticks += [(float(moment), each.task) for moment in at]
        streams[each.task] = _stream(each, rng, max(1, len(at)), system.cores)
    ticks.sort()
    tables = Tables.of(
        ticks,
        streams,
        Machine(v_eff=system.cores or float(FOREVER), respawn_s=0.0),
        start_at=0.0,
        end_at=end,
    )
    world = World(_layout(system), tables, behaviours=lambda _: Behaviours())
    world.run()
    return world


def settled(world: World) -> list[TaskRecord]:
    """Attempts that came after the warm-up."""
    tables = world.tables
    begin = tables.start_at + WARM_UP * tables.duration_s
    return [
        record
        for record in task_records(world.journal, world.layout)
        if record.enqueued_at >= begin
    ]


def _stream(
    each: Arrivals, rng: np.random.Generator, size: int, cores: float | None
) -> Stream:
    service_s = each.service(rng, size)
    nothing = np.zeros(size)
    return Stream(
        io_s=nothing if cores else service_s,
        cpu_s=service_s if cores else nothing,
        rss_mib=nothing,
        luck=nothing,
        chance=np.ones(size),
    )


def _layout(system: System) -> Layout:
    queues = tuple(dict.fromkeys(each.queue for each in system.arrivals))
    tasks: Mapping[str, Task] = {
        each.task: Task(
            name=each.task, queue=each.queue, tick=None, expires_s=FOREVER,
            soft_time_limit_s=FOREVER, time_limit_s=FOREVER + 1, max_retries=0,
            ack="early", reason="A class of customers of queueing theory.",
        )
        for each in system.arrivals
    }  # fmt: skip
    pool = Pool(
        name="servers", queues=queues, children=system.children,
        max_tasks_per_child=FOREVER, max_memory_per_child_mib=FOREVER,
        reason="The servers of queueing theory.",
    )  # fmt: skip
    return Layout(
        tasks=tasks,
        pools={"servers": pool},
        vcpu={"servers": 1.0},
        broker=replace(POLICY.broker, queue_order=system.order),
    )


def _little(world: World) -> float:
    """Mean depth, watched at instants, over arrival rate times mean wait."""
    records = settled(world)
    tables = world.tables
    begin = tables.start_at + WARM_UP * tables.duration_s
    at = instants(begin, tables.end_at, 0.25)
    watched = float(depth(task_records(world.journal, world.layout), at).mean())
    rate = len(records) / (tables.end_at - begin)
    return watched / (rate * _mean_wait(records))


def _unaccounted(world: World) -> int:
    """Messages published that are neither done nor inside: 0, or some were lost."""
    done = sum(line.outcome in set(Outcome) for line in world.journal.lines)
    return world.broker.published - done - world.inside


def _check(metric: str, run: str, expected: float, estimate: Estimate) -> Check:
    low, high = estimate.interval
    verdict: Literal["within", "outside", "inconclusive"] = "within"
    if not low <= expected <= high:
        verdict = "outside"
    elif not estimate.precise:
        verdict = "inconclusive"
    return Check(
        metric=metric,
        run=run,
        theory=expected,
        predicted=estimate.mean,
        interval=estimate.interval,
        verdict=verdict,
    )
