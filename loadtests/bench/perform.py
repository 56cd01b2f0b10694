"""Rooms of the bench measured one after the other, told, kept and shown."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from loadtests.bench.rooms import ROOMS, Given
from loadtests.bench.row import Row


def perform(names: Sequence[str], given: Given, out: Path) -> list[Row]:
    """The rows of the rooms; ``out`` holds those of every room that has ended.

    A bench reports: a missed target is a row that says so, not an error.
    """
    rows: list[Row] = []
    for name in names:
        given.say(f"bench: {name}")
        for row in ROOMS[name](given):
            rows.append(row)
            given.say(f"{row.name}: {_number(row.value)} {row.unit}")
        _write(out, rows)
    return rows


def table_of(rows: Sequence[Row]) -> Table:
    """The rows for a person; fits 80 columns."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("measure", no_wrap=True)
    table.add_column("median", justify="right", no_wrap=True)
    table.add_column("unit")
    table.add_column("x bare", justify="right", no_wrap=True)
    table.add_column("target", justify="right", no_wrap=True)
    table.add_column("met")
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:.3g}"
        target = met = ""
        if row.target is not None:
            target = f"{row.target:,g}" + ("" if row.ratio is None else " x")
            met = "yes" if row.met else "NO"
        table.add_row(row.name, _number(row.value), row.unit, ratio, target, met)
    return table


def baselines(rows: Sequence[Row]) -> list[str]:
    """What each "bare" is, a line each."""
    return [f"bare: {name}" for name in dict.fromkeys(r.baseline for r in rows) if name]


def as_json(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """What out/bench.json holds."""
    return [row.as_json() for row in rows]


def _write(path: Path, rows: Sequence[Row]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(as_json(rows), indent=1, allow_nan=False) + "\n")


def _number(value: float) -> str:
    return f"{value:,.4g}" if value < 1_000 else f"{value:,.0f}"
