"""The queue diagram, drawn from the policy in plain characters."""

import textwrap
from collections.abc import Iterable

from worker.policy import Policy, Pool

_WIDTH = 72


def queues(policy: Policy) -> str:
    """Who publishes, which queues there are, which pool serves them with what."""
    ticked = [task.name for task in policy.tasks.values() if task.tick is not None]
    lines = [
        *_box("beat: sends each tick with its slot; holds no state", _wrapped(ticked)),
        _centered("|"),
        _centered("v"),
        *_box("Redis: broker and cache (noeviction)", _wrapped(policy.queues)),
    ]
    for pool in policy.pools.values():
        lines += [_centered("|"), _centered("v")]
        lines += _box(_headline(pool), _served(policy, pool))
    return "\n".join(line.rstrip() for line in lines)


def _headline(pool: Pool) -> str:
    children = "1 child" if pool.children == 1 else f"{pool.children} children"
    return f"pool {pool.name}: {children}, prefork"


def _served(policy: Policy, pool: Pool) -> list[str]:
    lines = []
    for queue in pool.queues:
        names = (task.name for task in policy.tasks.values() if task.queue == queue)
        lines += _wrapped([f"{queue}: {', '.join(names)}"])
    return lines


def _wrapped(names: Iterable[str]) -> list[str]:
    return textwrap.wrap(", ".join(names), _WIDTH - 6)


def _box(title: str, lines: list[str]) -> list[str]:
    inside = _WIDTH - 4
    edge = f"+{'-' * (_WIDTH - 2)}+"
    rows = [title, *(f"  {line}" for line in lines)]
    return [edge, *(f"| {row:<{inside}} |" for row in rows), edge]


def _centered(mark: str) -> str:
    return " " * (_WIDTH // 2) + mark
