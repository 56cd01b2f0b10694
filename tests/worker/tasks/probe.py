"""A Celery app with two rows more than the deployed one: a task that does as told.

Run by a real worker: ``celery -A probe worker`` with this folder on PYTHONPATH.
"""

import os
import signal
import sys
import time
from dataclasses import replace
from types import ModuleType
from typing import Any

from worker import env
from worker.app import make_app
from worker.errors import PermanentError, RateLimitedError, TransientError
from worker.policy import POLICY, Policy
from worker.records import Detail
from worker.tasks.shell import SLOT, Shell
from worker.tasks.world import World

RUNS = "probe:runs"

ROWS = {
    "probe_early": replace(
        POLICY.tasks["alert_matcher"],
        name="probe_early",
        tick=None,
        soft_time_limit_s=1,
        time_limit_s=3,
    ),
    "probe_late": replace(
        POLICY.tasks["apns_worker"],
        name="probe_late",
        soft_time_limit_s=4,
        time_limit_s=7,
        max_retries=2,
        retry_backoff_s=1,
        retry_backoff_max_s=1,
    ),
}


def act(world: World, what: str = "work") -> Detail:
    """Do ``what`` and leave a trace of having begun."""
    world.redis.rpush(RUNS, what)
    if what == "fail for now":
        raise TransientError("the other side is away")
    if what == "be told to wait":
        raise RateLimitedError("too many", retry_after_s=1)
    if what == "fail for good":
        raise PermanentError("this can never work")
    if what == "hold a bug":
        raise ZeroDivisionError("a bug")
    if what == "run out of memory":
        raise MemoryError
    if what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "take too long":
        time.sleep(30)
    if what == "never stop":
        _deaf_to_the_soft_limit(until=time.monotonic() + 30)
    return {"what": what}


def _deaf_to_the_soft_limit(*, until: float) -> None:
    while time.monotonic() < until:
        try:
            time.sleep(30)
        except Exception:
            continue


def policy() -> Policy:
    """The deployed policy and the probe's rows."""
    return replace(POLICY, tasks={**POLICY.tasks, **ROWS})


def probe_app(settings: env.Settings) -> Any:
    """An app of ``policy()``; each probe row's module holds its shell."""
    for name in ROWS:
        module = ModuleType(f"worker.tasks.{name}")
        module.__dict__[name] = Shell(
            name, act, SLOT if name == "probe_early" else None
        )
        sys.modules[module.__name__] = module
    return make_app(settings, policy())


if os.environ.get("PROBE_WORKER"):
    app = probe_app(env.settings())
