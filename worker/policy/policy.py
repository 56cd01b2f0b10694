"""The policy as one value, the rules between its rows, and a way to vary it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, get_type_hints

from worker.errors import PolicyError
from worker.policy.alarms import ALARMS, Alarm
from worker.policy.broker import BROKER, Broker
from worker.policy.database import DATABASE, Database
from worker.policy.feeds import (
    FEEDS,
    QUOTA,
    REALTIME,
    Feed,
    Quota,
    RealtimeLimits,
    check_plan,
)
from worker.policy.notifications import MATCHING, PUSH, Matching, Push
from worker.policy.objectives import OBJECTIVES, Objective
from worker.policy.pools import POOLS, SERVICES, Pool, Service
from worker.policy.recording import RECORDING, UPKEEP_STEPS, Recording, UpkeepStep
from worker.policy.tasks import TASKS, Every, Task
from worker.policy.timetable import BUNDLES, TIMETABLE, Bundle, TimetableLimits


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """Everything the worker obeys; rows by name. Made once, varied by ``vary``."""

    tasks: Mapping[str, Task]
    pools: Mapping[str, Pool]
    services: Mapping[str, Service]
    broker: Broker
    database: Database
    feeds: Mapping[str, Feed]
    quota: Quota
    realtime: RealtimeLimits
    bundles: Mapping[str, Bundle]
    timetable: TimetableLimits
    matching: Matching
    push: Push
    recording: Recording
    upkeep: Mapping[str, UpkeepStep]
    objectives: Mapping[str, Objective]
    alarms: Mapping[str, Alarm]

    def __post_init__(self) -> None:
        for rule in _RULES:
            rule(self)

    @property
    def queues(self) -> tuple[str, ...]:
        """Every queue that a pool serves, in the order of the pools."""
        served = (queue for pool in self.pools.values() for queue in pool.queues)
        return tuple(dict.fromkeys(served))

    def pool_of(self, task: str) -> Pool:
        """The pool that serves the task's queue."""
        queue = self.tasks[task].queue
        return next(pool for pool in self.pools.values() if queue in pool.queues)


def vary(policy: Policy, path: str, value: object) -> Policy:
    """A copy with the number at ``path`` replaced and every rule checked again.

    ``path`` is dotted, such as ``pools.bg.children``; a text value is read as the
    type that is there. Raises PolicyError when there is no such path, when the value
    is of the wrong type, or when a rule does not hold.
    """
    return _varied(policy, path.split("."), value, path)  # type: ignore[no-any-return]


def apply_settings(policy: Policy, settings: Iterable[str]) -> Policy:
    """The policy varied by ``PATH=VALUE`` texts, one after the other."""
    for setting in settings:
        path, equals, value = setting.partition("=")
        if not equals or not path:
            raise PolicyError(
                f"'{setting}' is not PATH=VALUE; write for example "
                "--set pools.bg.children=4"
            )
        policy = vary(policy, path.strip(), value.strip())
    return policy


def _varied(node: Any, steps: list[str], value: object, path: str) -> Any:
    step, rest = steps[0], steps[1:]
    if isinstance(node, Mapping):
        if step not in node:
            raise _no_such_path(path, step, sorted(node))
        changed = (
            _varied(node[step], rest, value, path)
            if rest
            else _read(node[step], type(node[step]), value, path)
        )
        return {**node, step: changed}
    names = [name.name for name in fields(node)] if is_dataclass(node) else []
    if step not in names:
        raise _no_such_path(path, step, names)
    here = getattr(node, step)
    if rest:
        changed = _varied(here, rest, value, path)
    else:
        changed = _read(here, get_type_hints(type(node))[step], value, path)
    return replace(node, **{step: changed})


def _read(here: object, declared: object, value: object, path: str) -> object:
    if not isinstance(value, str) or isinstance(here, str):
        if type(here) is float and type(value) is int:
            return float(value)
        if type(value) is not type(here) and here is not None:
            raise _wrong_type(path, here, value)
        return value
    try:
        if isinstance(here, bool):
            return {"true": True, "false": False}[value.lower()]
        if isinstance(here, int):
            return int(value)
        if isinstance(here, float):
            return float(value)
        if isinstance(here, Every):
            return Every(period_s=int(value))
        if isinstance(here, tuple) and all(isinstance(each, str) for each in here):
            return tuple(part.strip() for part in value.split(",") if part.strip())
    except (ValueError, KeyError):
        raise _wrong_type(path, here, value) from None
    raise PolicyError(
        f"{path} is not a single number or text; its parts can be set: "
        f"{', '.join(_names_in(here)) or 'none'}"
    )


def _names_in(node: object) -> list[str]:
    if isinstance(node, Mapping):
        return sorted(node)
    return [name.name for name in fields(node)] if is_dataclass(node) else []


def _no_such_path(path: str, step: str, names: list[str]) -> PolicyError:
    known = ", ".join(names) if names else "nothing below it"
    return PolicyError(f"the policy has no '{path}': '{step}' is not one of {known}")


def _wrong_type(path: str, here: object, value: object) -> PolicyError:
    return PolicyError(
        f"{path} is {here!r}, a {type(here).__name__}; {value!r} cannot be read as one"
    )


def _every_queue_is_served(policy: Policy) -> None:
    served = [queue for pool in policy.pools.values() for queue in pool.queues]
    for task in policy.tasks.values():
        if task.queue not in served:
            raise PolicyError(
                f"tasks.{task.name}.queue is '{task.queue}', which no pool serves; "
                f"the pools serve {', '.join(served)}"
            )


def _hidden_longer_than_any_run(policy: Policy) -> None:
    needed = max(task.time_limit_s for task in policy.tasks.values()) + max(
        task.longest_countdown_s for task in policy.tasks.values()
    )
    if policy.broker.visibility_timeout_s <= needed:
        raise PolicyError(
            f"broker.visibility_timeout_s {policy.broker.visibility_timeout_s} must "
            f"exceed the longest hard limit and countdown together, {needed} s: "
            "otherwise a running task is started a second time"
        )


def _ticks_expire_within_their_period(policy: Policy) -> None:
    for task in policy.tasks.values():
        if isinstance(task.tick, Every) and task.expires_s > task.tick.period_s:
            raise PolicyError(
                f"tasks.{task.name}.expires_s {task.expires_s} exceeds its period "
                f"{task.tick.period_s}: stale ticks would pile up"
            )


def _late_ack_only_with_bounded_retries(policy: Policy) -> None:
    for task in policy.tasks.values():
        if task.ack == "late" and task.max_retries < 1:
            raise PolicyError(
                f"tasks.{task.name} acknowledges late but max_retries is 0: a killed "
                "child's message would be a failure at once"
            )


def _senders_claim_is_short(policy: Policy) -> None:
    limit = policy.tasks["apns_worker"].time_limit_s
    if limit > 15:
        raise PolicyError(
            f"tasks.apns_worker.time_limit_s {limit} exceeds 15: a killed sender "
            "would keep its riders waiting for longer than a poll period"
        )


def _services_outlive_a_soft_shutdown(policy: Policy) -> None:
    for pool in policy.pools:
        service = policy.services.get(pool)
        if service and service.draining_s < policy.broker.soft_shutdown_s + 10:
            raise PolicyError(
                f"services.{pool}.draining_s {service.draining_s} leaves less than "
                f"10 s beyond the soft shutdown of {policy.broker.soft_shutdown_s} s"
            )


def _feeds_keep_the_plan(policy: Policy) -> None:
    check_plan(policy.feeds, policy.quota, policy.realtime)


_RULES = (
    _every_queue_is_served,
    _hidden_longer_than_any_run,
    _ticks_expire_within_their_period,
    _late_ack_only_with_bounded_retries,
    _senders_claim_is_short,
    _services_outlive_a_soft_shutdown,
    _feeds_keep_the_plan,
)

POLICY = Policy(
    tasks=TASKS,
    pools=POOLS,
    services=SERVICES,
    broker=BROKER,
    database=DATABASE,
    feeds=FEEDS,
    quota=QUOTA,
    realtime=REALTIME,
    bundles=BUNDLES,
    timetable=TIMETABLE,
    matching=MATCHING,
    push=PUSH,
    recording=RECORDING,
    upkeep=UPKEEP_STEPS,
    objectives=OBJECTIVES,
    alarms=ALARMS,
)
"""The numbers as deployed."""
