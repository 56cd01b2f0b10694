"""Tables for a person at a terminal of 80 columns."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from simulation import sections
from simulation.comparison import Comparison
from simulation.experiment import Difference
from simulation.metrics import SENDERS, TICKS
from simulation.plan import Plan
from simulation.sweep import Row
from simulation.tally import tally
from simulation.verification import Check
from simulation.words import allowed, cell, number, percent, span

WIDTH = 80
TITLE, HEADER = "bold", "none"

SHORT = {
    "late_push_fraction": "late", "violation_minutes": "viol. min",
    "p50_push_s": "p50 s", "p95_push_s": "p95 s", "p99_push_s": "p99 s",
    "realtime_age_p99_s": "age s", "queue_wait_p95_s": "wait s",
    "memory_mib": "MiB", "usd_per_month": "USD",
}  # fmt: skip
"""What a column of the sweep is called where there is little room."""

DECISIVE = (
    "throughput_per_s", "utilization", "mean_queue_length", "mean_sojourn_s",
    "p95_sojourn_s", "p99_sojourn_s",
)  # fmt: skip
"""The metrics that a model of a queue must get right."""


def validation(rows: Sequence[Comparison]) -> list[Table | str]:
    """A table a run, then what there is to conclude from all."""
    shown: list[Table | str] = []
    for run in dict.fromkeys(row.run for row in rows):
        mine = [row for row in rows if row.run == run]
        shown.append(_of_run(run, mine))
        reasons = dict.fromkeys(
            row.reason for row in mine if row.reason and not _needs(row)
        )
        shown += [f"  {reason}" for reason in reasons]
    return [*shown, _summary(rows), verdicts_in_words(rows)]


def plan(made: Plan) -> list[Table | str]:
    """The plan's sections, one after the other, then what they come to."""
    shown: list[Table | str] = []
    for part in sections.sections(made):
        table = _filled(part.columns, part.rows, title=part.title)
        notes = (note for note in (part.says, *part.notes) if note)
        shown += [table, *(f"  {note}" for note in notes), ""]
    return [*shown, sections.headline(made)]


def verification(checks: Sequence[Check]) -> Table:
    """The model beside theory."""
    table = _table("system", "metric", "theory", "model", "99.9 %", "verdict")
    for check in checks:
        table.add_row(
            check.run, check.metric, number(check.theory), number(check.predicted),
            span(check.interval), check.verdict,
        )  # fmt: skip
    return table


def sweep(rows: Sequence[Row]) -> Table:
    """Users by layouts, the measures that promises are made of."""
    names = [name for name in SHORT if rows and name in rows[0].measures]
    table = _table("users", "layout", *(SHORT[name] for name in names))
    for row in rows:
        table.add_row(
            f"{row.users:,}", row.layout,
            *(number(row.measures[name]) for name in names),
        )  # fmt: skip
    return table


def differences(rows: Sequence[Difference]) -> Table:
    """What differs; a star where the interval leaves zero out."""
    table = _table("measure", "first", "second", "difference", "95 %", "*")
    for row in rows:
        table.add_row(
            row.measure, number(row.first), number(row.second), number(row.difference),
            span(row.interval), "*" if row.decided else "",
        )  # fmt: skip
    return table


def rows_of(rows: Sequence[dict[str, Any]], *, title: str = "") -> Table:
    """Flat rows under their own names, underscores read as spaces."""
    names = list(rows[0]) if rows else []
    columns = [name.replace("_", " ") for name in names]
    values = [[row[name] for name in names] for row in rows]
    return _filled(columns, values, title=title)


def show(*parts: Table | str) -> None:
    """Print tables and sentences to stdout."""
    console = Console(width=max(WIDTH, Console().width))
    for part in parts:
        console.print(part, highlight=False, markup=False)


def verdicts_in_words(rows: Sequence[Comparison]) -> str:
    """How many figures lie where, and how many the predicted intervals held."""
    counts = tally(rows)
    held = sum(abs(row.relative_error) <= row.threshold for row in rows)
    return (
        f"{counts.verdicts()}, of {len(rows)} figures of "
        f"{len({row.run for row in rows})} runs. {counts.coverage()}; {held} errors "
        "are below their share even without a floor."
    )


def _of_run(run: str, rows: Sequence[Comparison]) -> Table:
    table = _table(
        "metric", "measured", "predicted", "95 % of such", "off", "of", "verdict",
        title=run,
    )  # fmt: skip
    of = ""
    for row in rows:
        if row.of != of:
            of = row.of
            table.add_row(f"[{of}]", style="dim")
        table.add_row(
            row.metric,
            number(row.measured),
            number(row.predicted),
            span(row.interval),
            percent(row.relative_error),
            allowed(row.threshold, row.floor, row.measured),
            _verdict(row),
            style="red" if row.verdict == "outside" else "",
        )
    return table


def _summary(rows: Sequence[Comparison]) -> Table:
    """The errors of each decisive metric over all runs: middle, worst, bias."""
    table = _table(
        "over all runs", "of", "median", "worst", "bias", "allowed", "within", "outside"
    )
    for of in (SENDERS, TICKS):
        for name in DECISIVE:
            mine = [row for row in rows if (row.metric, row.of) == (name, of)]
            errors = np.array([row.relative_error for row in mine])
            errors = errors[np.isfinite(errors)]
            if not len(errors):
                continue
            table.add_row(
                name, of, f"{np.median(np.abs(errors)):.1%}",
                f"{np.abs(errors).max():.1%}", f"{errors.mean():+.1%}",
                f"{mine[0].threshold:.0%}",
                f"{sum(row.verdict == 'within' for row in mine)}/{len(mine)}",
                str(sum(row.verdict == "outside" for row in mine)),
            )  # fmt: skip
    return table


def _filled(
    columns: Sequence[str], rows: Sequence[Sequence[object]], *, title: str = ""
) -> Table:
    """A table whose columns wrap between words alone, and none where it is narrow."""
    table = _table(*columns, title=title)
    texts = [[cell(value) for value in row] for row in rows]
    for place, column in enumerate(table.columns):
        held = [columns[place], *(row[place] for row in texts)]
        column.min_width = max(len(word) for text in held for word in text.split())
        column.no_wrap = not any(" " in text for text in held)
    for row in texts:
        table.add_row(*map(Text, row))
    return table


def _table(*columns: str, title: str = "") -> Table:
    table = Table(
        title=title or None, title_justify="left", title_style=TITLE, box=None,
        header_style=HEADER, padding=(0, 1, 0, 0), pad_edge=False,
    )  # fmt: skip
    for place, name in enumerate(columns):
        table.add_column(name, justify="left" if place == 0 else "right")
    return table


def _needs(row: Comparison) -> bool:
    return row.needed_s is not None


def _verdict(row: Comparison) -> str:
    if row.needed_s is not None:
        return f"needs {row.needed_s:.0f} s"
    return row.verdict
