"""One step of the work at a time, without Celery: what a developer tries."""

import re
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from worker.cli.door import STEP, Json, door, one_step_world, say, say_rows
from worker.errors import UsageError
from worker.operate.show import Table


@door.command(rich_help_panel=STEP)
def sync(
    archive: Annotated[
        Path | None, typer.Option(help="Load this zip alone, not what is published.")
    ] = None,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="Put the previous version back.")
    ] = False,
    json_: Json = False,
) -> None:
    """Load the timetable beside the live one and swap it in."""
    from worker.tasks import gtfs_static_sync as task
    from worker.timetable.bar import Bar
    from worker.timetable.by_hand import as_rows

    if rollback and archive is not None:
        raise UsageError(
            "--rollback puts the previous version back and --archive loads a new one; "
            "nothing was changed, say one of them"
        )
    if rollback:
        live = task.roll_back(one_step_world())
        say({"version": live}, json_, Table(columns=("live version",), rows=[(live,)]))
        return
    with Bar() as progress:
        result = task.sync(one_step_world(), archive, progress)
    say(asdict(result), json_, Table(columns=("what", "value"), rows=as_rows(result)))


@door.command(rich_help_panel=STEP)
def decode(file: Path, json_: Json = False) -> None:
    """Count what a GTFS-Realtime FILE.pb or FILE.pb.gz holds; needs no server."""
    from worker.realtime import census

    counted = census.count(file).as_json()
    say(counted, json_, Table(columns=("what", file.name), rows=list(counted.items())))


@door.command(rich_help_panel=STEP)
def poll(
    once: Annotated[
        bool, typer.Option("--once", help="Ask every feed, due or not, one time.")
    ] = False,
    json_: Json = False,
) -> None:
    """Ask the realtime feeds that are due, and store what is new."""
    from worker.tasks.gtfs_rt_poller import tick

    polled = tick(one_step_world()).run(everything=once)
    say_rows([asdict(row) for row in polled], json_, none="no feed was due")
    if polled and not any(row.good for row in polled):
        typer.echo(
            f"none of {len(polled)} feeds gave good data (the first: "
            f"{polled[0].outcome}); what was held stays, `python -m worker check` "
            "tries the address and the key",
            err=True,
        )
        raise typer.Exit(1)


@door.command(rich_help_panel=STEP)
def match(
    once: Annotated[
        bool, typer.Option("--once", help="One time, as it always does.")
    ] = False,
    json_: Json = False,
) -> None:
    """Match what Redis holds to riders' favorites; leaves rows, publishes nothing."""
    from worker.tasks.alert_matcher import alert_matcher

    said = alert_matcher(one_step_world())
    say(said, json_, Table(columns=("what", "count"), rows=list(said.items())))


@door.command(rich_help_panel=STEP)
def push(
    once: Annotated[
        bool, typer.Option("--once", help="Send all that is due, one time.")
    ] = False,
    test: Annotated[
        str | None, typer.Option(metavar="DEVICE", help="Send one push to this token.")
    ] = None,
    json_: Json = False,
) -> None:
    """Send the notifications that are due; with --test one push, whatever is due."""
    from worker.notifications import outcomes
    from worker.tasks import apns_worker as task

    if test is not None and not re.fullmatch("[0-9a-fA-F]{16,200}", test):
        raise UsageError(
            "--test wants a device token: 64 hexadecimal digits, as the app got them "
            "from iOS, without spaces"
        )
    if test is None:
        said = task.push_due(one_step_world())
        rows = list(said.items()) or [("due", 0)]
        say(said, json_, Table(columns=("what", "count"), rows=rows))
        return
    answer = task.push_test(one_step_world(), test)
    meaning = outcomes.verdict(answer)
    say(
        {**asdict(answer), "verdict": meaning},
        json_,
        Table(
            columns=("status", "reason", "verdict"),
            rows=[(answer.status, answer.reason, meaning)],
        ),
    )
    raise typer.Exit(0 if meaning is outcomes.Verdict.SENT else 1)
