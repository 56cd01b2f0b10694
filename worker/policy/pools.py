"""The worker pools, and the services that the platform runs."""

from dataclasses import dataclass

from worker.errors import PolicyError


@dataclass(frozen=True, kw_only=True, slots=True)
class Pool:
    """One ``celery worker``: a parent and ``children`` prefork processes.

    ``queues`` in the order they are served. A child is replaced after
    ``max_tasks_per_child`` tasks, or after a task that left its peak memory above
    ``max_memory_per_child_mib``: neither stops a runaway, the time limits and the
    platform's memory limit do.
    """

    name: str
    queues: tuple[str, ...]
    children: int
    max_tasks_per_child: int
    max_memory_per_child_mib: int
    reason: str

    def __post_init__(self) -> None:
        if self.children < 1:
            raise PolicyError(f"pools.{self.name}: children {self.children} is below 1")
        if not self.queues:
            raise PolicyError(f"pools.{self.name}: serves no queue")
        if self.max_tasks_per_child < 1 or self.max_memory_per_child_mib < 1:
            raise PolicyError(f"pools.{self.name}: a child must be allowed to work")


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """One service of the platform: its command and what it may use.

    ``draining_s`` is the platform's patience between SIGTERM and SIGKILL.
    """

    name: str
    command: str
    memory_mib: int
    vcpu: float
    draining_s: int
    reason: str

    def __post_init__(self) -> None:
        if self.memory_mib < 1 or self.vcpu <= 0 or self.draining_s < 0:
            raise PolicyError(f"services.{self.name}: a limit is not positive")


POOLS: dict[str, Pool] = {
    pool.name: pool
    for pool in (
        Pool(
            name="rt",
            queues=("critical",),
            children=1,
            max_tasks_per_child=1000,
            max_memory_per_child_mib=180,
            reason="Realtime alone: nothing may stand before a poll. 1,000 = 4 hours.",
        ),
        Pool(
            name="bg",
            queues=("normal", "batch"),
            children=3,
            max_tasks_per_child=200,
            max_memory_per_child_mib=350,
            reason=(
                "Three children: one may sync, one may match, one is left to send."
            ),
        ),
    )
}

SERVICES: dict[str, Service] = {
    service.name: service
    for service in (
        Service(
            name="rt",
            command="python -m worker rt",
            memory_mib=512,
            vcpu=1.0,
            draining_s=30,
            reason="Longest task 13 s, soft shutdown 15 s, and some time to exit.",
        ),
        Service(
            name="bg",
            command="python -m worker bg",
            memory_mib=1280,
            vcpu=1.0,
            draining_s=60,
            reason=(
                "Every child at its recycling ceiling, and the parent. A sync is "
                "stopped, not waited for: it begins again by itself."
            ),
        ),
        Service(
            name="beat",
            command="python -m worker beat",
            memory_mib=256,
            vcpu=0.25,
            draining_s=10,
            reason="It holds no state: a restart costs at most one late tick.",
        ),
    )
}
