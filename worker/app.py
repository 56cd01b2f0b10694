"""The Celery app: importing this module makes it, as ``celery -A worker.app`` asks."""

import time
from datetime import datetime
from importlib import import_module
from typing import Any

from celery import Celery
from celery.signals import before_task_publish, setup_logging, worker_ready
from kombu.exceptions import OperationalError

from worker import celeryconfig, env
from worker.errors import TransientError
from worker.policy import Policy
from worker.reliability import replacement, watchdog
from worker.tasks.shell import Shell
from worker.tasks.world import Publish, one_per_process, world
from worker.telemetry import gauges, logs, signals


def make_app(settings: env.Settings, policy: Policy) -> Celery:
    """A Celery app that obeys ``policy``: every row's task, route and tick."""
    app = Celery("worker", set_as_current=True)
    address = settings.needed_redis_url() if settings.redis_url else None
    app.conf.update(celeryconfig.settings(policy, address))

    here = one_per_process(lambda: world(policy, settings, publisher(app)))
    for name in policy.tasks:
        shell: Shell = getattr(import_module(f"worker.tasks.{name}"), name)
        shell.register(app, here)
    for beside_the_tasks in (signals.connect, gauges.install, watchdog.install):
        beside_the_tasks(app, policy, lambda: here().redis)
    replacement.install(app, policy)
    return app


def publisher(app: Celery) -> Publish:
    """A way to publish a task's message; a broker that is away is a TransientError."""

    def publish(task: str, *args: object) -> None:
        try:
            app.tasks[task].apply_async(args=args)
        except OperationalError as error:
            raise TransientError(f"{task} could not be published: {error}") from None

    return publish


@before_task_publish.connect
def _stamp(headers: dict[str, Any] | None = None, **_: object) -> None:
    """Say on every message since when it may run: queue wait is measured from it."""
    if headers is not None:
        eta = headers.get("eta")
        due_at = datetime.fromisoformat(eta).timestamp() if eta else 0.0
        headers["enqueued_at"] = max(time.time(), due_at)


@worker_ready.connect
def _catch_up(**_: object) -> None:
    """Find at once what waited while no worker ran, not at the next tick."""
    app.tasks["upkeep"].apply_async()


@setup_logging.connect
def _log(**_: object) -> None:
    """Log our way; being connected, it also keeps Celery from its own."""
    logs.configure(_settings.log_level)


_settings = env.settings()
app = make_app(_settings, _settings.policy())
