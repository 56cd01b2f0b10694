"""The commands that a platform starts: the pools, beat, migrate."""

import os
import sys
from urllib.parse import urlsplit

from worker import env
from worker.cli.door import RUN, Json, door, say
from worker.operate.show import Table
from worker.policy import POLICY, Pool


def _become_celery(*arguments: str) -> None:
    """Replace this process by Celery's, so that it is the one that gets SIGTERM."""
    from worker.clients import redis

    settings = env.settings()
    # What is wrong is said here in one sentence, not by Celery in a hundred attempts;
    # a platform starts us again.
    policy = settings.policy()
    with redis.connect(settings.needed_redis_url(), policy=policy) as broker:
        broker.ping()
    command = [sys.executable, "-m", "celery", "-A", "worker.app", *arguments]
    os.execve(sys.executable, command, env.for_celery())


def _add_pool(pool: Pool) -> None:
    @door.command(
        pool.name, rich_help_panel=RUN, help=f"Serve {', '.join(pool.queues)}."
    )
    def run() -> None:
        from worker import celeryconfig

        row = env.settings().policy().pools[pool.name]
        _become_celery("worker", *celeryconfig.worker_arguments(row))


for _pool in POLICY.pools.values():
    _add_pool(_pool)


@door.command(rich_help_panel=RUN)
def beat() -> None:
    """Send each tick when it is due; holds no state, two of it do no harm."""
    _become_celery("beat")


@door.command(rich_help_panel=RUN)
def migrate(json_: Json = False) -> None:
    """Bring the database up to date, as its owner."""
    from worker import migrate as migrations
    from worker.clients import postgres

    settings = env.settings()
    url = settings.migration_database_url()
    login = urlsplit(settings.needed_database_url()).username or ""
    with postgres.connect_as_owner(url, settings.policy()) as owner:
        applied = migrations.migrate(owner, settings.policy(), login=login)
    rows = [(name,) for name in applied] or [("nothing: it is up to date",)]
    say({"applied": applied}, json_, Table(columns=("applied",), rows=rows))
