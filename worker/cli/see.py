"""What an operator looks at, and what he mends: status, checks, dead letters."""

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from worker import env
from worker.cli.door import MEND, SEE, Json, door, one_step_world, say, say_rows
from worker.operate import diagram, tables
from worker.operate.show import Table
from worker.policy import POLICY

if TYPE_CHECKING:
    from worker.operate.checks import Check

dead = typer.Typer(
    invoke_without_command=True, help="Show what failed for good, or replay it."
)
door.add_typer(dead, name="dead", rich_help_panel=MEND)


@door.command(rich_help_panel=SEE)
def status(json_: Json = False) -> None:
    """Freshness, queues, tasks, processes, alarms and dead letters, as they are now."""
    from worker.operate import status as now

    world = one_step_world()
    shown = now.every(
        world.redis,
        world.policy,
        world.settings.policy_set,
        service_now=world.now().timestamp(),
    )
    say({table.title: table.as_dicts() for table in shown}, json_, *shown)


@door.command("health", rich_help_panel=SEE)
def health_(json_: Json = False) -> None:
    """Is the work being done? Exit code 1 when something is not."""
    from worker.operate import health

    world = one_step_world()
    _answer(health.every(world.redis, world.policy), json_)


@door.command(rich_help_panel=SEE)
def check(json_: Json = False) -> None:
    """Can it work with these servers and settings? Exit code 1 when it cannot."""
    from worker.clients import postgres
    from worker.operate import checks

    settings = env.settings()
    subject = checks.Subject(
        policy=settings.policy(),
        policy_set=settings.policy_set,
        redis_url=_shown(settings, "redis_url"),
        database_url=_shown(settings, "database_url"),
        redis=lambda: one_step_world().redis,
        postgres=lambda role: postgres.connect(
            settings.needed_database_url(), role, settings.policy()
        ),
        given=settings.given(),
    )
    _answer(checks.every(subject), json_)


@door.command(rich_help_panel=SEE)
def table(name: str, json_: Json = False) -> None:
    """Print a generated table: the documents are filled with these."""
    if name == "queues":
        drawn = diagram.queues(POLICY)
        say(drawn, True) if json_ else typer.echo(f"```\n{drawn}\n```")
        return
    chosen = tables.table(name, POLICY, environment=_environment())
    say(chosen.as_dicts(), json_, chosen)


@dead.callback()
def dead_(
    context: typer.Context,
    task: Annotated[str | None, typer.Option(help="Of this task alone.")] = None,
    json_: Json = False,
) -> None:
    """Show what failed for good: which attempt, why, and how to replay it."""
    from worker.reliability import dead_letters

    if context.invoked_subcommand is None:
        letters = dead_letters.listed(one_step_world().redis, task=task)
        rows = [asdict(each) | {"replay": each.replay_command} for each in letters]
        say_rows(rows, json_, none="no dead letters")


@dead.command()
def replay(ids: list[str], json_: Json = False) -> None:
    """Send the messages of these letters again."""
    from worker.app import app, publisher
    from worker.reliability import dead_letters

    world = one_step_world()
    replayed = dead_letters.replay(
        world.redis, publisher(app), ids, world.policy.recording, now=time.time()
    )
    say_rows([asdict(each) for each in replayed], json_, none="nothing to replay")


def _answer(looked: "list[Check]", json_: bool) -> None:
    from worker.operate import checks

    say([asdict(each) for each in looked], json_, checks.as_table(looked))
    if not all(each.ok for each in looked):
        raise typer.Exit(1)


def _shown(settings: env.Settings, name: str) -> str | None:
    secret = getattr(settings, name)
    return None if secret is None else str(secret.get_secret_value())


def _environment() -> Table:
    return Table(
        columns=("Variable", "Without it", "What it is"),
        rows=[
            (name.upper(), env.without(name), field.description)
            for name, field in env.Settings.model_fields.items()
        ],
    )
