"""What of a policy the engines need: tasks, pools, cores, batches."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from worker.policy import Policy, Pool, Task


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """Rows of a policy by name. ``vcpu``: cores of the service that runs each pool,
    read only where the pools do not share one machine. ``batch_size`` pushes travel in
    one message, ``streams`` of them at a time.
    """

    tasks: Mapping[str, Task]
    pools: Mapping[str, Pool]
    vcpu: Mapping[str, float]
    batch_size: int
    streams: int

    @classmethod
    def of(cls, policy: Policy) -> Self:
        """The layout that a policy describes; a pool without service has one vCPU."""
        services = policy.services
        return cls(
            tasks=policy.tasks,
            pools=policy.pools,
            vcpu={
                name: services[name].vcpu if name in services else 1.0
                for name in policy.pools
            },
            batch_size=policy.push.batch_size,
            streams=policy.push.streams,
        )

    @property
    def children(self) -> int:
        """Children of all pools."""
        return sum(pool.children for pool in self.pools.values())
