"""The door of the load tests: the stand-in world, and what is run in it."""

import shlex
import signal
from pathlib import Path
from typing import Annotated

import typer

from loadtests import doors

app = typer.Typer(
    help="Load tests on real servers, with NSW and Apple doubled on this machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _load_tests() -> None:
    """Load tests on real servers, with NSW and Apple doubled on this machine."""


@app.command(context_settings={"ignore_unknown_options": True})
def rig(
    command: Annotated[
        list[str] | None,
        typer.Argument(help="runs inside, migrated; its exit code is ours"),
    ] = None,
    static: Annotated[
        Path | None, typer.Option(help="a GTFS zip, moved to today")
    ] = None,
    realtime: Annotated[
        Path | None, typer.Option(help="a folder with .pb or .pb.gz of that day")
    ] = None,
    scale: Annotated[
        str, typer.Option(help="size of the made-up city: small or nsw")
    ] = "small",
    seed: Annotated[int, typer.Option(help="of the made-up city")] = 1,
    service_time: Annotated[
        str, typer.Option(help="time of day in Sydney at which the made-up city starts")
    ] = "08:00",
    apns_rtt_ms: Annotated[
        float, typer.Option(help="how long the Apple stand-in takes to answer")
    ] = 40.0,
    links: Annotated[
        bool, typer.Option("--links", help="lead servers through breakable links")
    ] = False,
    i_own_this_host: Annotated[
        bool,
        typer.Option(
            help="allow servers elsewhere; a run empties the tables of its riders"
        ),
    ] = False,
) -> None:
    """Start the stand-in world; with -- COMMAND, run it inside and end with it."""
    from loadtests.given import Input
    from loadtests.rig.command import check_command, run_inside
    from loadtests.rig.rig import rig as world_of
    from loadtests.rig.scales import SCALES

    Input(
        static=static, realtime=realtime, scale=scale, apns_rtt_ms=apns_rtt_ms
    ).check()
    if command:
        check_command(command)
    with world_of(
        static=static,
        realtime=realtime,
        scale=SCALES[scale],
        seed=seed,
        service_time=service_time,
        apns_rtt_s=apns_rtt_ms / 1000,
        links=links,
        i_own_this_host=i_own_this_host,
        say=_say,
    ) as world:
        if command:
            code = run_inside(world, command)
        else:
            code = _stay(world.folder, world.environment)
    raise typer.Exit(code)


def _stay(folder: Path, environment: dict[str, str]) -> int:
    """Keep the world up until Ctrl-C or SIGTERM."""
    path = folder / "environment"
    path.touch(mode=0o600)
    path.write_text(
        "".join(f"export {k}={shlex.quote(v)}\n" for k, v in environment.items())
    )
    _say(f"in another terminal: . {path}")
    _say("Ctrl-C ends it, and everything in it")
    ends = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    signal.sigwait(ends)
    return 0


def _say(text: str) -> None:
    typer.echo(f"rig: {text}", err=True)


app.command()(doors.run)
app.command()(doors.matrix)
app.command()(doors.bench)
app.command()(doors.table)


def main() -> object:
    """Read the command line, run what it says, give back the exit code."""
    return app(prog_name="python -m loadtests")
