"""The worker's command line: run it, take one step of it, see it, mend it."""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from worker import celeryconfig, env
from worker.operate.show import Table, show
from worker.policy import POLICY, Pool
from worker.tasks.world import World, world

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


@door.command(rich_help_panel=STEP)
def decode(file: Path, json_: Json = False) -> None:
    """Count what a GTFS-Realtime FILE.pb or FILE.pb.gz holds; needs no server."""
    from worker.realtime import census

    counted = census.count(file).as_json()
    _say(counted, json_, Table(columns=("what", file.name), rows=list(counted.items())))


@door.command(rich_help_panel=STEP)
def poll(
    once: Annotated[
        bool, typer.Option("--once", help="Ask every feed, due or not, one time.")
    ] = False,
    json_: Json = False,
) -> None:
    """Ask the realtime feeds that are due, and store what is new."""
    from worker.tasks.gtfs_rt_poller import tick

    polled = tick(_world()).run(everything=once)
    _say_rows([asdict(row) for row in polled], json_)


def _world() -> World:
    """The world of one step: messages are only hints, so none is published."""
    settings = env.settings()
    return world(settings.policy(), settings, lambda _task, *_arguments: None)


def _say(value: Any, as_json: bool, *tables: Table) -> None:
    if as_json:
        typer.echo(json.dumps(value, default=str))
    else:
        show(*tables)


def _say_rows(rows: Sequence[dict[str, Any]], as_json: bool) -> None:
    columns = tuple(rows[0]) if rows else ("nothing was due",)
    _say(rows, as_json, Table(columns=columns, rows=[tuple(r.values()) for r in rows]))
