"""The commands ``run``, ``matrix``, ``bench`` and ``table``, as the command line knows
them.
"""

import json
import signal
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from loadtests.assignment import refuse_endless, refuse_made_up
from loadtests.checks import parse_check, verdict
from loadtests.given import Input
from loadtests.outlet import (
    default_folder,
    refuse_no_file,
    refuse_taken,
    refuse_unwritable,
)
from loadtests.progress import Steps
from loadtests.rig.handover import APNS_RTT_S
from loadtests.rows import rows_of
from simulation.scenarios import scenario as scenario_of
from worker.errors import UsageError
from worker.policy import POLICY, apply_settings

OUT = Path("out/runs")
BENCH = Path("out/bench.json")
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="vary the policy"),
]
Json = Annotated[bool, typer.Option("--json", help="JSON on stdout, nothing else")]
Static = Annotated[Path | None, typer.Option(help="a GTFS zip, moved to today")]
Realtime = Annotated[
    Path | None, typer.Option(help="a folder with .pb or .pb.gz of that day")
]
Scale = Annotated[str, typer.Option(help="size of the made-up city: small or nsw")]
Rtt = Annotated[float, typer.Option(help="how long the Apple stand-in takes to answer")]
Own = Annotated[
    bool,
    typer.Option(
        help="allow servers elsewhere; a run empties the tables of its riders"
    ),
]


def run(
    scenario: Annotated[str, typer.Argument(help="a name of simulation/scenarios.py")],
    users: Annotated[int, typer.Option(help="commuters, each with a phone")] = 1_000,
    minutes: Annotated[float, typer.Option(help="length of the run")] = 2.0,
    seconds: Annotated[
        float | None, typer.Option(help="length of the run, instead of minutes")
    ] = None,
    seed: Annotated[int, typer.Option(help="of riders and onsets")] = 1,
    lines: Annotated[
        int | None, typer.Option(help="lines that the riders are spread over")
    ] = None,
    groups_per_s: Annotated[
        float | None, typer.Option(help="groups that a publisher hands to the senders")
    ] = None,
    set_: Set = None,
    check: Annotated[
        list[str] | None,
        typer.Option(metavar="'MEASURE<=NUMBER'", help="wanted; exit code 1 if not so"),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="the run folder to write")] = None,
    json_: Json = False,
    static: Static = None,
    realtime: Realtime = None,
    scale: Scale = "small",
    apns_rtt_ms: Rtt = APNS_RTT_S * 1000,
    i_own_this_host: Own = False,
) -> None:
    """Run a scenario on real workers: rig, load, recording, summary, checks."""
    checks = [parse_check(text) for text in check or ()]
    chosen = scenario_of(
        scenario,
        users=users,
        duration_s=seconds if seconds is not None else minutes * 60,
        seed=seed,
        lines=lines,
        groups_per_s=groups_per_s,
    )
    refuse_endless(chosen)
    given = Input(
        static=static,
        realtime=realtime,
        scale=scale,
        apns_rtt_ms=apns_rtt_ms,
        i_own_this_host=i_own_this_host,
    )
    given.check()
    refuse_made_up(chosen, replays=realtime is not None)
    apply_settings(POLICY, set_ or [])
    folder = out or default_folder(OUT, chosen)
    refuse_unwritable(folder)  # first: what may not be looked at is told of here
    refuse_taken(folder)
    _end_on_sigterm()
    # Imported when all is well: bad use is answered at once, and other doors need none.
    from loadtests.cut import FAILED, RunCutError
    from loadtests.run import perform
    from loadtests.stage import stage
    from loadtests.summary import measured, print_summary

    steps = Steps()
    try:
        with stage(given, settings=set_ or (), steps=steps) as here:
            done = perform(here, chosen, folder, steps=steps)
    except RunCutError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(FAILED) from None
    passed, lines_ = verdict(checks, done.records)
    if json_:
        about = {**done.about, "measures": measured(done.records)}
        typer.echo(json.dumps({"folder": str(folder), **about}, allow_nan=False))
    else:
        print_summary(Console(), done.about, done.records)
        typer.echo(str(folder))
    for line in lines_ if checks else ():
        typer.echo(line, err=json_)
    raise typer.Exit(0 if passed and not done.about["broken"] else 1)


def matrix(
    name: Annotated[str, typer.Argument(help="plan, small, users or full")],
    quick: Annotated[
        bool, typer.Option("--quick", help="shorter runs, of plan")
    ] = False,
    slim: Annotated[
        bool, typer.Option("--slim", help="without locust's reports, to be kept")
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="RUN", help="record this run again, leave the others"),
    ] = None,
    static: Static = None,
    realtime: Realtime = None,
    scale: Scale = "small",
    out: Annotated[Path | None, typer.Option(help="where the runs go")] = None,
    i_own_this_host: Own = False,
) -> None:
    """Record calibration and hold-out runs; the last line on stdout is their folder."""
    given = Input(
        static=static, realtime=realtime, scale=scale, i_own_this_host=i_own_this_host
    )
    given.check()
    rows = rows_of(name, quick=quick, only=only or ())
    folder = out or OUT / name
    refuse_unwritable(folder)
    _end_on_sigterm()
    from loadtests import matrix as matrices
    from loadtests.cut import FAILED, RunCutError
    from loadtests.summary import print_side_by_side, print_summary

    console = Console(stderr=True)
    try:
        runs = matrices.record(
            rows, given, folder, Steps(), slim=slim, again=bool(only)
        )
    except RunCutError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(FAILED) from None
    for done in runs:
        print_summary(console, done.about, done.records)
    print_side_by_side(console, runs)
    typer.echo(str(folder))


def bench(
    rooms: Annotated[
        list[str] | None, typer.Argument(help="rooms to measure; else all")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="a folder of real data, as TRANSIT_DATA names")
    ] = None,
    out: Annotated[Path, typer.Option(help="the file to write")] = BENCH,
    json_: Json = False,
) -> None:
    """Measure what each part costs, beside the bare thing and its target."""
    from loadtests.bench.perform import as_json, baselines, perform, table_of
    from loadtests.bench.rooms import Given, chosen

    names = chosen(rooms or ())
    if data is not None and not data.is_dir():
        raise UsageError(f"there is no folder {data}: --data names one of real data")
    refuse_no_file(out)
    _end_on_sigterm()
    rows = perform(names, Given(data=data, say=Steps().say), out)
    if json_:
        typer.echo(json.dumps(as_json(rows), allow_nan=False))
        return
    console = Console()
    console.print(table_of(rows))
    for line in (*baselines(rows), str(out)):
        typer.echo(line)


def table(
    name: Annotated[str, typer.Argument(help="name of a table")] = "users",
    json_: Json = False,
) -> None:
    """A table of the runs that are kept, in Markdown: what the documents hold."""
    from loadtests.documents import TABLES
    from simulation.documents import markdown

    if name not in TABLES:
        raise UsageError(f"there is no table '{name}'; choose from {', '.join(TABLES)}")
    rows = TABLES[name]()
    typer.echo(json.dumps(rows) if json_ else markdown(rows))


def _end_on_sigterm() -> None:
    """SIGTERM leaves through every ``with`` block, as Ctrl-C does."""

    def leave(*_: object) -> None:
        raise SystemExit(128 + signal.SIGTERM)

    signal.signal(signal.SIGTERM, leave)
