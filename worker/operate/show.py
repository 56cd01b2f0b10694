"""A table: drawn for a person at a terminal, Markdown elsewhere, rows for JSON."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.measure import Measurement
from rich.table import Table as RichTable
from rich.text import Text

_UNBOUNDED = 10_000
"""Wider than any table: what it needs is then not what it gets."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Columns, rows in their order, and what stands above them."""

    columns: tuple[str, ...]
    rows: Sequence[Sequence[object]] = field(default_factory=tuple)
    title: str = ""

    def as_dicts(self) -> list[dict[str, Any]]:
        """One mapping a row, for ``--json``."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]

    def markdown(self) -> str:
        """The table as GitHub Markdown; pipes in a cell are escaped."""
        lines = [self.columns, ["---"] * len(self.columns), *self.rows]
        text = "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)
        return f"**{self.title}**\n\n{text}" if self.title else text


def show(*tables: Table) -> None:
    """Print tables to stdout: drawn on a terminal, Markdown anywhere else."""
    if not sys.stdout.isatty():
        sys.stdout.write("\n\n".join(table.markdown() for table in tables) + "\n")
        return
    console = Console()
    for table in tables:
        console.print(drawn(table, console))


def drawn(table: Table, console: Console) -> RenderableType:
    """The table as wide as the terminal; where a word would be cut, row by row."""
    whole = RichTable(title=table.title or None, box=box.SIMPLE_HEAD)
    for column in table.columns:
        whole.add_column(column)
    for row in table.rows:
        whole.add_row(*(Text(_text(value)) for value in row))
    unbounded = console.options.update(width=_UNBOUNDED)
    needed = Measurement.get(console, unbounded, whole).minimum
    return whole if needed <= console.width else _row_by_row(table)


def _row_by_row(table: Table) -> Group:
    """Each row as lines of a name and a value, under the row's first value."""
    parts: list[RenderableType] = [Text(table.title, "bold")] if table.title else []
    for first, *others in table.rows:
        lines = RichTable(box=None, show_header=False, padding=(0, 2, 0, 2))
        lines.add_column(style="dim", no_wrap=True)
        lines.add_column(overflow="fold")
        for name, value in zip(table.columns[1:], others, strict=True):
            lines.add_row(name, Text(_text(value)))
        parts += [Text(_text(first), "bold"), lines]
    return Group(*parts)


def _cell(value: object) -> str:
    return _text(value).replace("|", "\\|").replace("\n", " ")


def _text(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "NO"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
