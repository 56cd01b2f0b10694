"""The model's command line: run, compare, plan, sweep, verify, validate, table.

Longer than 250 lines because every verb's options and help are declared here.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from simulation.chosen import Level, chosen
from simulation.runs import Run, load_run, write_run
from simulation.scenarios import scenario
from worker.errors import UsageError
from worker.measures import MEASURES
from worker.policy import POLICY, Policy, apply_settings

if TYPE_CHECKING:
    from simulation.demands import Calibration

door = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="The model of the workers: calibrate on a run, predict others, try what-ifs.",
)
Json = Annotated[bool, typer.Option("--json", help="JSON on stdout, nothing else.")]
Settings = Annotated[
    list[str], typer.Option("--set", metavar="PATH=VALUE", help="Vary the policy.")
]


def _seed(value: int) -> int:
    """The seed; raises UsageError for what names no stream."""
    if value < 0:
        raise UsageError(f"--seed {value}: a seed is a whole number, 0 or more")
    return value


Seed = Annotated[
    int, typer.Option(callback=_seed, help="Names every random stream, 0 or more.")
]
Source = Annotated[
    Path | None,
    typer.Option("--calibration", help="Run folder to calibrate on; else the kept."),
]
Noisy = Annotated[
    bool, typer.Option("--noisy", help="Take noisy runs too; they decide nothing.")
]


def main() -> object:
    """Read the command line, run what it says, give back the exit code."""
    return door(prog_name="python -m simulation", standalone_mode=True)


@door.command()
def run(
    name: Annotated[str, typer.Argument(help="Name of a scenario.")],
    users: Annotated[int, typer.Option(help="Commuters.")] = 1_000,
    minutes: Annotated[float, typer.Option(help="Length of the run.")] = 2.0,
    settings: Settings = [],  # noqa: B006 - typer wants a list, and copies it
    calibration: Source = None,
    noisy: Noisy = False,
    seed: Seed = 1,
    out: Annotated[Path, typer.Option(help="Where run folders go.")] = Path("out/runs"),
    json_: Json = False,
) -> None:
    """Run a scenario on the model; leaves a run folder as a load run does."""
    from simulation.engine import simulate
    from simulation.engine.recorded import recorded
    from simulation.layout import Layout
    from simulation.steady import overload, require_stable
    from simulation.workload import Happenings, tables_of

    described = scenario(name, users=users, duration_s=minutes * 60, seed=seed)
    policy = apply_settings(POLICY, settings)
    source = _calibrated(calibration, noisy=noisy)
    layout = Layout.of(policy)
    require_stable(source, layout)
    started_at = float(int(time.time()))
    happenings = Happenings.of(described, start_at=started_at)
    passed = overload(source, layout, described, happenings.onsets)
    step = _steps()
    step(f"simulating {minutes:g} minutes of {users:,} commuters")
    if passed:
        step(f"warning: {passed}")
    result = simulate(layout, tables_of(happenings, source, layout, seed=seed))
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(started_at))
    written = write_run(
        out / f"{name}-{users}-{stamp}",
        {
            "scenario": name,
            "users": users,
            "seed": seed,
            "settings": settings,
            "source": "model",
            "calibration": source.run,
            "input": _answering(source),
            "events": [
                {"published_at": at, "riders": riders}
                for at, riders in happenings.onsets
            ],
            "versions": {},
            "machine": "model",
        },
        recorded(result, layout),
    )
    _say(_measures(written), json_, title=str(written.folder))


@door.command()
def compare(
    first: Annotated[str, typer.Argument(help="Run folder, layout, or PATH=VALUE,...")],
    second: Annotated[str, typer.Argument(help="The same, to compare it with.")],
    users: Annotated[int, typer.Option(help="Commuters, of two policies.")] = 10_000,
    hours: Annotated[int, typer.Option(help="Storm hours, of two policies.")] = 40,
    calibration: Source = None,
    noisy: Noisy = False,
    seed: Seed = 1,
    json_: Json = False,
) -> None:
    """What differs between two runs, or between two policies on the same hours."""
    steps = _steps()
    paths = [Path(first), Path(second)]
    are_runs = [(path / "run.json").exists() for path in paths]
    if any(are_runs) and not all(are_runs):
        run, other = (first, second) if are_runs[0] else (second, first)
        raise UsageError(
            f"{run} is a run folder and '{other}' is none: compare two runs, or two "
            "policies; 'run' makes a run folder of a policy"
        )
    if all(are_runs):
        from simulation.differences import compare_runs

        runs = [load_run(path) for path in paths]
        rows = compare_runs(*runs, seed=seed, strict=not noisy)
    else:
        from simulation import experiment

        policies = [_policy_named(name) for name in (first, second)]
        source = _calibrated(calibration, noisy=noisy)
        both = []
        for name, policy in zip((first, second), policies, strict=True):
            steps(f"simulating {hours} hours of {name}")
            both.append(
                experiment.simulate(
                    policy,
                    calibration=source,
                    users=users,
                    hours=hours,
                    seed=seed,
                    step=steps,
                )
            )
        rows = experiment.compare(*both)
    if json_:
        _say([row.as_json() for row in rows], json_)
        return
    from simulation import screen

    screen.show(screen.differences(rows))


@door.command()
def plan(
    runs: Annotated[Path, typer.Argument(help="Folder of 'loadtests matrix plan'.")],
    quick: Annotated[
        bool, typer.Option("--quick", help="Fewer cells and hours.")
    ] = False,
    settings: Settings = [],  # noqa: B006 - typer wants a list, and copies it
    out: Annotated[Path, typer.Option(help="Where the plan goes.")] = Path("out/plan"),
    seed: Seed = 1,
    json_: Json = False,
) -> None:
    """Calibrate, predict the runs not used, sweep, derive triggers and cost."""
    from simulation import plan as planning
    from simulation import report, screen

    policy = apply_settings(POLICY, settings)
    step = _steps()
    made = planning.plan(runs, quick=quick, policy=policy, seed=seed, step=step)
    path = planning.write_document(made.document, out)
    step("drawing the report")
    page = report.write(made, out)
    if json_:
        typer.echo(path.read_text(), nl=False)
        return
    screen.show(*screen.plan(made), f"{path}\n{page}")


@door.command()
def sweep(
    users: Annotated[str, typer.Option(help="Comma-separated.")] = "1000,5000,10000",
    layouts: Annotated[str, typer.Option(help="Comma-separated.")] = "A,B,C,D,ours",
    hours: Annotated[int, typer.Option(help="Storm hours a cell.")] = 20,
    settings: Settings = [],  # noqa: B006 - typer wants a list, and copies it
    calibration: Source = None,
    noisy: Noisy = False,
    seed: Seed = 1,
    json_: Json = False,
) -> None:
    """Users by queue layouts, in the busiest hour with a storm and a sync."""
    from simulation.layouts import LAYOUTS
    from simulation.sweep import sweep as swept

    names = [name.strip() for name in layouts.split(",")]
    unknown = [name for name in names if name not in LAYOUTS]
    if unknown:
        raise UsageError(
            f"there is no layout '{unknown[0]}'; choose from {', '.join(LAYOUTS)}"
        )
    rows = swept(
        _calibrated(calibration, noisy=noisy),
        _numbers(users),
        policy=apply_settings(POLICY, settings),
        layouts=names,
        hours=hours,
        seed=seed,
        step=_steps(),
    )
    if json_:
        _say([row.as_json() for row in rows], json_)
        return
    from simulation import screen

    screen.show(screen.sweep(rows))


@door.command()
def verify(seed: Seed = 1, json_: Json = False) -> None:
    """The engine beside queueing theory; exit code 1 when a check is outside."""
    from simulation.verification import verify as verified

    checks = verified(seed=seed, step=_steps())
    if json_:
        _say([check.as_json() for check in checks], json_)
    else:
        from simulation import screen

        screen.show(screen.verification(checks))
    raise typer.Exit(int(any(check.verdict == "outside" for check in checks)))


@door.command()
def validate(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(help="Hold-out runs, or folders of runs with roles; else kept."),
    ] = None,
    calibration: Annotated[
        list[Path] | None,
        typer.Option(help="Run folders to calibrate on; else those beside, or kept."),
    ] = None,
    level: Annotated[
        Level,
        typer.Option(help="resampled is the prediction; the others, see prediction.py"),
    ] = "resampled",
    noisy: Noisy = False,
    seed: Seed = 1,
    json_: Json = False,
) -> None:
    """Predict runs that the model has not seen; exit code 1 when one is outside."""
    from simulation.calibration import calibrate
    from simulation.discrepancy import discrepancy
    from simulation.validation import validate as validated

    step = _steps()
    bases, held = chosen(runs or [], calibration or [])
    step(f"calibrating on {', '.join(run.name for run in bases)}")
    source = calibrate(bases, strict=not noisy)
    off = discrepancy(bases, seed=seed, step=step) if level == "resampled" else {}
    rows = []
    for each in held:
        step(f"predicting {each.name}")
        rows += validated(source, each, seed=seed, level=level, discrepancy=off)
    if json_:
        _say([row.as_json() for row in rows], json_)
    else:
        from simulation import screen

        screen.show(*screen.validation(rows))
    raise typer.Exit(int(any(row.verdict == "outside" for row in rows)))


@door.command()
def scaling(
    weeks: Annotated[int, typer.Option(help="Simulated weeks a rule is tried.")] = 52,
    hours: Annotated[int, typer.Option(help="Storm hours a cell.")] = 40,
    out: Annotated[
        Path | None, typer.Option(help="Else simulation/scaling.json.")
    ] = None,
    seed: Seed = 1,
    json_: Json = False,
) -> None:
    """Try every scaling rule on a simulated year; SCALING.md reads what it leaves."""
    from simulation import results

    if weeks < 2 or hours < 1:
        raise UsageError("--weeks is 2 or more, for an interval, and --hours 1 or more")
    begun = time.monotonic()

    def step(what: str) -> None:
        sys.stderr.write(f"[{time.monotonic() - begun:5.1f} s] {what}\n")

    document = results.make(weeks=weeks, hours=hours, seed=seed, step=step)
    path = results.write(document, out or results.RESULTS)
    step(f"{path.name} written; 'make docs' puts it into SCALING.md")
    hidden = ("days", "saved", "episodes", "firings_per_week")
    shown = [
        {name: value for name, value in row.items() if name not in hidden}
        for row in document["scores"]
    ]
    _say(document["scores"] if json_ else shown, json_)


@door.command()
def table(
    name: Annotated[str, typer.Argument(help="Name of a table.")],
    json_: Json = False,
) -> None:
    """A generated table, in Markdown: what the documents hold."""
    from simulation.documents import TABLES, markdown

    if name not in TABLES:
        raise UsageError(f"there is no table '{name}'; choose from {', '.join(TABLES)}")
    rows = TABLES[name]()
    typer.echo(json.dumps(rows) if json_ else markdown(rows))


def _calibrated(folder: Path | None, *, noisy: bool) -> "Calibration":
    if folder is None:
        from simulation.results import base

        return base(strict=not noisy)
    from simulation.calibration import calibrate

    return calibrate(load_run(folder), strict=not noisy)


def _answering(calibration: "Calibration") -> dict[str, float]:
    """How long Apple takes to answer in a modelled run, as a load run says it."""
    rtt_s = calibration.apns_rtt_s
    return {} if rtt_s is None else {"apns_rtt_ms": rtt_s * 1000}


def _policy_named(name: str) -> Policy:
    from simulation.layouts import LAYOUTS

    if name in LAYOUTS:
        return LAYOUTS[name].of(POLICY)
    if "=" in name:
        return apply_settings(POLICY, name.split(","))
    raise UsageError(
        f"'{name}' is neither a run folder, nor a layout ({', '.join(LAYOUTS)}), nor "
        "settings such as pools.bg.children=4"
    )


def _numbers(text: str) -> list[int]:
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"--users '{text}' is not a list such as 1000,5000") from None
    if min(numbers) < 1:
        raise UsageError(f"--users '{text}' holds a number below 1")
    return numbers


def _measures(*runs: Run) -> list[dict[str, Any]]:
    return [
        {
            "measure": name,
            **{run.name: _plain(measure.function(run.records)) for run in runs},
            "unit": measure.unit,
        }
        for name, measure in MEASURES.items()
    ]


def _plain(value: float) -> float | None:
    return value if value == value and abs(value) != float("inf") else None


def _steps() -> Callable[[str], None]:
    """Says on stderr what is being done, and since when."""
    begun = time.monotonic()

    def step(what: str) -> None:
        sys.stderr.write(f"[{time.monotonic() - begun:5.1f} s] {what}\n")

    return step


def _say(rows: list[dict[str, Any]], json_: bool, *, title: str = "") -> None:
    """Rows as JSON, or as a table for a person."""
    if json_:
        typer.echo(json.dumps(rows))
        return
    from simulation import screen

    screen.show(screen.rows_of(rows, title=title))
