"""Queue layouts as policies: the brief's question 1, A to D, and ours.

All have as many children as ours and our limits, so that they differ in queues alone.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from simulation.demands import MATCH, POLL, PUSH, SYNC
from worker.policy import Policy, Pool


@dataclass(frozen=True, kw_only=True, slots=True)
class NamedLayout:
    """A way to queue: ``of`` makes it from a policy."""

    name: str
    title: str
    of: Callable[[Policy], Policy]


def _queued(
    policy: Policy, queues: Mapping[str, str], pools: Mapping[str, tuple[str, ...]]
) -> Policy:
    """The policy with tasks moved to ``queues`` (others to the first pool's last queue)
    and its children shared out evenly over ``pools``.
    """
    children = sum(pool.children for pool in policy.pools.values())
    heaviest = max(policy.pools.values(), key=lambda p: p.max_memory_per_child_mib)
    elsewhere = next(iter(pools.values()))[-1]
    share, spare = divmod(children, len(pools))
    rows = {
        name: Pool(
            name=name,
            queues=served,
            children=max(1, share + (number < spare)),
            max_tasks_per_child=heaviest.max_tasks_per_child,
            max_memory_per_child_mib=heaviest.max_memory_per_child_mib,
            reason="A layout of the brief's question 1, with as many children as ours.",
        )
        for number, (name, served) in enumerate(pools.items())
    }
    tasks = {
        name: replace(task, queue=queues.get(name, elsewhere))
        for name, task in policy.tasks.items()
    }
    return replace(policy, tasks=tasks, pools=rows)


def _one_queue(policy: Policy) -> Policy:
    return _queued(policy, {}, {"all": ("celery",)})


def _two_queues(policy: Policy) -> Policy:
    return _queued(policy, {POLL: "high"}, {"all": ("high", "low")})


def _three_queues(policy: Policy) -> Policy:
    queues = {POLL: "critical", SYNC: "batch"}
    pools = {"front": ("critical", "normal"), "back": ("batch", "normal")}
    return _queued(policy, queues, pools)


def _queue_per_task(policy: Policy) -> Policy:
    queues = {name: name for name in (POLL, MATCH, PUSH, SYNC)}
    pools = {name: (name,) for name in (POLL, PUSH, SYNC)}
    return _queued(policy, queues, {MATCH: (MATCH, "rest"), **pools})


LAYOUTS: dict[str, NamedLayout] = {
    layout.name: layout
    for layout in (
        NamedLayout(name="A", title="one queue, one pool", of=_one_queue),
        NamedLayout(name="B", title="high and low, all children serve both",
                    of=_two_queues),
        NamedLayout(name="C", title="critical, normal, batch on two mixed pools",
                    of=_three_queues),
        NamedLayout(name="D", title="a queue and a child a task", of=_queue_per_task),
        NamedLayout(name="ours", title="critical apart; normal and batch together",
                    of=lambda policy: policy),
    )
}  # fmt: skip
