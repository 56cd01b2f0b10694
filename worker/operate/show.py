"""A table: drawn for a person at a terminal, Markdown elsewhere, rows for JSON."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table as RichTable


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
        drawn = RichTable(title=table.title or None, box=box.SIMPLE_HEAD)
        for column in table.columns:
            drawn.add_column(column)
        for row in table.rows:
            drawn.add_row(*(_text(value) for value in row))
        console.print(drawn)


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
