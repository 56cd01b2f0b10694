"""Queueing systems whose answer is known: what the engines are held against."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from simulation import theory
from simulation.layout import Layout
from simulation.tables import Floats, Machine, Stream, Tables
from simulation.workload import stream
from worker.policy import POLICY, Pool, Task

FOREVER = 10**9
Order = Literal["priority", "round_robin"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """Attempts of a run as columns, in order of their arrival, epoch seconds."""

    tasks: tuple[str, ...]
    task: Any
    enqueued_at: Floats
    started_at: Floats
    finished_at: Floats
    end_at: float

    @property
    def wait_s(self) -> Floats:
        """Enqueued to started."""
        return self.started_at - self.enqueued_at

    def since(self, begin: float) -> "Seen":
        """Those that came at ``begin`` or later."""
        kept = self.enqueued_at >= begin
        return replace(
            self,
            task=self.task[kept],
            enqueued_at=self.enqueued_at[kept],
            started_at=self.started_at[kept],
            finished_at=self.finished_at[kept],
        )


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
    figure: Callable[[Seen], float]
    children: int = 1
    cores: float | None = None
    order: Order = "round_robin"


def exponential(mean_s: float) -> Callable[[np.random.Generator, int], Floats]:
    """Service times with coefficient of variation 1."""
    return lambda rng, size: rng.exponential(mean_s, size)


def constant(mean_s: float) -> Callable[[np.random.Generator, int], Floats]:
    """Service times without variation."""
    return lambda _, size: np.full(size, mean_s)


def two_point(low_s: float, high_s: float, share: float) -> Callable[..., Floats]:
    """``high_s`` with probability ``share``, else ``low_s``."""
    return lambda rng, size: np.where(rng.random(size) < share, high_s, low_s)


def mean_wait(seen: Seen) -> float:
    """Mean seconds from enqueued to started."""
    return float(seen.wait_s.mean())


def mean_sojourn(seen: Seen) -> float:
    """Mean seconds from enqueued to finished."""
    return float((seen.finished_at - seen.enqueued_at).mean())


def wait_of(task: str) -> Callable[[Seen], float]:
    """Mean wait of one class."""
    return lambda seen: float(seen.wait_s[seen.task == seen.tasks.index(task)].mean())


def beyond(wait_s: float) -> Callable[[Seen], float]:
    """Share of waits longer than ``wait_s``."""
    return lambda seen: float((seen.wait_s > wait_s).mean())


def little(seen: Seen) -> float:
    """Mean depth, watched at instants, over arrival rate times mean wait."""
    begin = float(seen.enqueued_at[0])
    at = np.arange(begin, seen.end_at, 0.25)
    here = np.searchsorted(seen.enqueued_at, at, side="right")
    gone = np.searchsorted(np.sort(seen.started_at), at, side="right")
    rate = len(seen.enqueued_at) / (seen.end_at - begin)
    return float((here - gone).mean() / (rate * mean_wait(seen)))


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
               arrivals=one(0.7, exponential(1.0)), figure=mean_wait),
        System(name="M/M/4, rho 0.8", metric="mean_wait_s", children=4,
               expected=theory.mmc_wait_s(3.2, 1.0, 4),
               arrivals=one(3.2, exponential(1.0)), figure=mean_wait),
        System(name="M/M/4, rho 0.8", metric="share_waiting_beyond_1_s", children=4,
               expected=theory.mmc_wait_beyond(3.2, 1.0, 4, 1.0),
               arrivals=one(3.2, exponential(1.0)), figure=beyond(1.0)),
        System(name="M/D/1, rho 0.8", metric="mean_wait_s",
               expected=theory.mg1_wait_s(0.8, 1.0, 1.0),
               arrivals=one(0.8, constant(1.0)), figure=mean_wait),
        System(name="M/G/1, rho 0.58", metric="mean_wait_s",
               expected=theory.mg1_wait_s(0.4, mean_s, second),
               arrivals=one(0.4, law), figure=mean_wait),
        System(name="M/M/1 priorities, urgent", metric="mean_wait_s", expected=urgent,
               arrivals=both, figure=wait_of("urgent"), order="priority"),
        System(name="M/M/1 priorities, patient", metric="mean_wait_s",
               expected=patient, arrivals=both, figure=wait_of("patient"),
               order="priority"),
        System(name="M/G/1-PS, rho 0.58", metric="mean_sojourn_s", children=60,
               cores=1.0, expected=theory.ps_sojourn_s(0.4, mean_s),
               arrivals=one(0.4, law), figure=mean_sojourn),
        System(name="M^[5]/M/1, rho 0.6", metric="mean_wait_s",
               expected=theory.batch_wait_s(0.12, 5, 1.0, 2.0),
               arrivals=one(0.12, exponential(1.0), batch=5), figure=mean_wait),
    )  # fmt: skip


SYSTEMS: tuple[System, ...] = _systems()


def draw(
    system: System, messages: int, replication: int, seed: int = 1
) -> tuple[Layout, Tables]:
    """One replication of a system: about so many messages."""
    rng = stream(seed, replication, system.name)
    streams: dict[str, Stream] = {}
    moments, codes = [], []
    total = sum(each.per_s * each.batch for each in system.arrivals)
    end = messages / total
    for code, each in enumerate(system.arrivals):
        at = np.cumsum(rng.exponential(1 / each.per_s, int(2 * each.per_s * end) + 50))
        at = np.repeat(at[at < end], each.batch)
        moments.append(at)
        codes.append(np.full(len(at), code))
        streams[each.task] = _stream(each, rng, max(1, len(at)), system.cores)
    at = np.concatenate(moments)
    order = np.argsort(at, kind="stable")
    return _layout(system), Tables(
        start_at=0.0,
        end_at=end,
        tick_at=at[order],
        tick_task=np.concatenate(codes)[order],
        ticking=tuple(each.task for each in system.arrivals),
        streams=streams,
        machine=Machine(v_eff=system.cores or float(FOREVER), respawn_s=0.0),
    )


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
