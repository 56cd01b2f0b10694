import csv
import io
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.errors import PermanentError
from worker.timetable.blocks import Block, read_blocks
from worker.timetable.skipped import Skips

CELL = st.text(
    st.characters(exclude_characters="\0\x1e\x1f\r", exclude_categories=["Cs"]),
    max_size=12,
)


def pieces(raw: bytes, size: int) -> Iterator[bytes]:
    return (raw[at : at + size] for at in range(0, len(raw), size))


def rows_of(blocks: Iterator[Block]) -> list[tuple[str, ...]]:
    return [
        row
        for block in blocks
        for row in zip(*(block.texts(name) for name in block.columns), strict=True)
    ]


def read(raw: bytes, *, chunk: int = 1 << 20, skips: Skips | None = None):  # type: ignore[no-untyped-def]
    skips = Skips() if skips is None else skips
    return read_blocks("f.txt", pieces(raw, chunk), skips, block_bytes=chunk)


@given(
    rows=st.lists(st.tuples(CELL, CELL, CELL), min_size=1, max_size=30),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL, csv.QUOTE_NONNUMERIC]),
    end=st.sampled_from(["\n", "\r\n"]),
    mark=st.booleans(),
    chunk=st.integers(1, 400),
    cut_end=st.booleans(),
)
def test_blocks_hold_what_the_csv_module_reads(
    rows: list[tuple[str, str, str]],
    quoting: int,
    end: str,
    mark: bool,
    chunk: int,
    cut_end: bool,
) -> None:
    text = io.StringIO()
    csv.writer(text, quoting=quoting, lineterminator=end).writerows(
        [("a", "b", "c"), *rows]
    )
    raw = text.getvalue().encode("utf-8-sig" if mark else "utf-8")
    raw = raw.removesuffix(end.encode()) if cut_end else raw

    found = rows_of(read(raw, chunk=chunk))

    assert found == rows


def test_rows_know_the_lines_they_start_on() -> None:
    raw = b'a,b\n1,2\n"x\ny",2\n3,4\n'

    lines = [line for block in read(raw) for line in block.lines.tolist()]

    assert lines == [2, 3, 5]


def test_a_row_with_too_many_cells_is_left_out_by_its_line() -> None:
    skips = Skips()

    found = rows_of(read(b"a,b\n1,2\n1,2,3\n1\n", skips=skips))

    assert found == [("1", "2"), ("1", "")]
    assert [(s.line, s.reason) for s in skips.shown] == [
        (3, "has 3 cells, the header has 2")
    ]


def test_a_line_that_is_not_utf8_is_read_as_latin1() -> None:
    skips = Skips()

    found = rows_of(read("a\nZoë\n".encode() + b"Zo\xeb\n", skips=skips))

    assert found == [("Zoë",), ("Zoë",)]
    assert skips.warnings == [
        "f.txt:3: is not UTF-8, read as Latin-1 (the first such row)"
    ]


def test_a_million_odd_rows_are_one_warning_of_each_kind() -> None:
    skips = Skips()
    odd = b"1\n" + b"Zo\xeb,2\n"

    found = rows_of(read(b"a,b\n1,2\n" + odd * 5_000, skips=skips))

    assert len(found) == 10_001
    assert skips.warnings == [
        "f.txt:4: is not UTF-8, read as Latin-1 (the first such row)",
        "f.txt:3: has 1 of 2 cells (the first such row)",
    ]


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (b"a,a\n1,2\n", "f.txt:1: the column a is there twice"),
        (b'a,b\n1,"2\n3,4\n', "f.txt:2: cannot be read: unexpected end of data"),
        ("a,b\n".encode("utf-16"), "f.txt:1: is UTF-16"),
        (b'a,b\n"1"x,2\n', "f.txt:2: cannot be read"),
    ],
    ids=["two columns", "open quote", "utf-16", "text after a quote"],
)
def test_a_file_that_cannot_be_read_is_refused_by_its_line(
    raw: bytes, sentence: str
) -> None:
    with pytest.raises(PermanentError, match=sentence):
        rows_of(read(raw))
