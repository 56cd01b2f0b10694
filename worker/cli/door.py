"""What the worker's commands share: one typer app, one world, one way to answer."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker import env
from worker.operate.show import Table, show

if TYPE_CHECKING:  # a pool starts through here too: each command imports its own
    from worker.tasks.world import World

RUN, STEP, SEE, MEND = "Run", "One step, without Celery", "See", "Mend"

door = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="The Celery workers of a Sydney transit app.",
)
Json = Annotated[bool, typer.Option("--json", help="JSON on stdout, nothing else.")]


def one_step_world() -> "World":
    """The world of one step: messages are only hints, so none is published."""
    from worker.tasks.world import world

    settings = env.settings()
    return world(settings.policy(), settings, lambda _task, *_arguments: None)


def say(value: Any, as_json: bool, *tables: Table) -> None:
    """Print ``value`` as JSON, or the tables for a person."""
    if as_json:
        typer.echo(json.dumps(value, default=str))
    else:
        show(*tables)


def say_rows(rows: Sequence[dict[str, Any]], as_json: bool, *, none: str) -> None:
    """Print mappings of one shape; ``none`` is said where there are none."""
    if rows or as_json:
        table = [tuple(row.values()) for row in rows]
        say(rows, as_json, Table(columns=tuple(rows[0]) if rows else (), rows=table))
    else:
        typer.echo(none)
