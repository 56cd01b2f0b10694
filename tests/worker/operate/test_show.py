"""Tables on a terminal: every word is there, however narrow it is."""

import io

import pytest
from rich.console import Console

from worker.operate import tables
from worker.operate.show import Table, drawn
from worker.policy import POLICY


def on_screen(table: Table, width: int) -> str:
    screen = io.StringIO()
    console = Console(file=screen, width=width)
    console.print(drawn(table, console))
    return screen.getvalue()


@pytest.mark.parametrize("width", [80, 200])
@pytest.mark.parametrize("name", tables.TABLES)
def test_no_word_of_a_table_is_cut(name: str, width: int) -> None:
    table = tables.table(name, POLICY)

    shown = on_screen(table, width)

    texts = [cell for row in table.rows for cell in row if isinstance(cell, str)]
    assert {word for text in texts for word in text.split()} <= set(shown.split())


def test_what_does_not_fit_is_shown_row_by_row() -> None:
    table = Table(columns=("task", "why"), rows=[("poll", "x" * 30), ("sync", "y")])

    wide, narrow = on_screen(table, 60), on_screen(table, 30)

    assert "task" in wide
    assert "task" not in narrow
    assert "".join(narrow.split()) == f"pollwhy{'x' * 30}syncwhyy"


def test_what_looks_like_markup_is_shown_as_it_is() -> None:
    table = Table(columns=("key",), rows=[("live:[red]",)])

    assert "live:[red]" in on_screen(table, 80)
