"""What of a policy the engines need: tasks, pools, broker, cores, batches."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from worker.errors import UsageError
from worker.policy import POLICY, Policy, Pool, Task
from worker.policy.broker import Broker
from worker.policy.feeds import RealtimeLimits
from worker.policy.notifications import Push


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """Rows of a policy by name.

    ``vcpu``: cores of the service that runs each pool, read only where the pools do
    not share one machine. ``prefetch``: Celery's multiplier, 0 where prefetching is
    disabled, as it is. ``replicas``: services that run the same pool; one where none
    is named.
    """

    tasks: Mapping[str, Task]
    pools: Mapping[str, Pool]
    vcpu: Mapping[str, float]
    prefetch: int = 0
    replicas: Mapping[str, int] = field(default_factory=dict)
    broker: Broker = POLICY.broker
    realtime: RealtimeLimits = POLICY.realtime
    push: Push = POLICY.push

    def __post_init__(self) -> None:
        served = {queue for pool in self.pools.values() for queue in pool.queues}
        for task in self.tasks.values():
            if task.queue not in served:
                raise UsageError(
                    f"no pool serves {task.queue}, the queue of {task.name}"
                )
        unknown = set(self.replicas) - set(self.pools)
        if unknown or any(count < 1 for count in self.replicas.values()):
            raise UsageError(
                f"replicas {dict(self.replicas)} must name pools "
                f"({', '.join(self.pools)}) and be 1 or more"
            )
        if self.prefetch < 0:
            raise UsageError(f"prefetch {self.prefetch} is a multiplier, 0 or more")

    @classmethod
    def of(cls, policy: Policy, *, replicas: Mapping[str, int] | None = None) -> Self:
        """The layout that a policy describes; a pool without service has one vCPU."""
        services = policy.services
        return cls(
            tasks=policy.tasks,
            pools=policy.pools,
            vcpu={
                name: services[name].vcpu if name in services else 1.0
                for name in policy.pools
            },
            replicas=replicas or {},
            broker=policy.broker,
            realtime=policy.realtime,
            push=policy.push,
        )

    @property
    def batch_size(self) -> int:
        """Pushes that travel in one message."""
        return self.push.batch_size

    @property
    def streams(self) -> int:
        """Pushes of a message that are on their way at a time."""
        return self.push.streams

    @property
    def workers(self) -> tuple[Pool, ...]:
        """The pools, each as often as it has replicas."""
        return tuple(
            pool
            for name, pool in self.pools.items()
            for _ in range(self.replicas.get(name, 1))
        )

    @property
    def children(self) -> int:
        """Children of all pools."""
        return sum(pool.children for pool in self.workers)
