"""The worker's command line: run it, take one step of it, see it, mend it."""

import json
import os
import sys
from typing import Annotated
from urllib.parse import urlsplit

import typer

from worker import celeryconfig, env
from worker.policy import POLICY, Pool

RUN, STEP, SEE, MEND = "Run", "One step, without Celery", "See", "Mend"

door = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="The Celery workers of a Sydney transit app.",
)
Json = Annotated[bool, typer.Option("--json", help="JSON on stdout, nothing else.")]


def main() -> object:
    """Read the command line, run what it says, give back the exit code."""
    return door(prog_name="python -m worker", standalone_mode=True)


def _become_celery(*arguments: str) -> None:
    """Replace this process by Celery's, so that it is the one that gets SIGTERM."""
    settings = env.settings()
    settings.policy()  # a wrong POLICY_SET is said here, in one sentence
    settings.needed_redis_url()
    command = [sys.executable, "-m", "celery", "-A", "worker.app", *arguments]
    os.execve(sys.executable, command, env.for_celery())


def _add_pool(pool: Pool) -> None:
    @door.command(
        pool.name, rich_help_panel=RUN, help=f"Serve {', '.join(pool.queues)}."
    )
    def run() -> None:
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
    if json_:
        typer.echo(json.dumps({"applied": applied}))
    else:
        typer.echo("\n".join(applied) or "nothing to apply: up to date", err=True)
