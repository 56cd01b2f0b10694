"""A room of the bench is a row; what it measured is told, kept and shown."""

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from loadtests.bench import perform, rooms
from loadtests.bench.rooms import Given
from loadtests.bench.row import Row
from worker.errors import UsageError

PLAIN = Row(name="a" * 34, value=12_345.6, unit="us a push", repeats=5, target=200.0)
BESIDE = Row(
    name="load",
    value=3.0,
    unit="s",
    baseline="COPY",
    baseline_value=2.0,
    repeats=3,
    target=1.5,
)


@pytest.fixture
def two_rooms(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A bench of two rooms, the second of which breaks; what is told."""

    def broken(_: Given) -> Iterator[Row]:
        yield PLAIN
        raise OSError("no disk")

    monkeypatch.setattr(
        perform, "ROOMS", {"good": lambda _: iter([BESIDE]), "bad": broken}
    )
    return []


def test_a_room_that_breaks_leaves_the_figures_of_the_others(
    two_rooms: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "out" / "bench.json"

    with pytest.raises(OSError, match="no disk"):
        perform.perform(["good", "bad"], Given(data=None, say=two_rooms.append), out)

    (kept,) = json.loads(out.read_text())
    assert kept == {
        "name": "load",
        "value": 3.0,
        "unit": "s",
        "baseline": "COPY",
        "baseline_value": 2.0,
        "ratio": 1.5,
        "peak_rss_mib": None,
        "repeats": 3,
        "target": 1.5,
        "met": True,
    }
    assert two_rooms[-1].startswith(PLAIN.name)


def test_the_table_fits_a_narrow_screen() -> None:
    screen = io.StringIO()

    Console(width=80, file=screen).print(perform.table_of([PLAIN, BESIDE]))

    (plain,) = [line for line in screen.getvalue().splitlines() if "aaa" in line]
    assert " ".join(plain.split()) == f"{PLAIN.name} 12,346 us a push 200 NO"


def test_a_row_without_a_target_is_shown_beside_the_others() -> None:
    row = replace(BESIDE, target=None)
    screen = io.StringIO()

    Console(width=80, file=screen).print(perform.table_of([row]))

    (plain,) = [line for line in screen.getvalue().splitlines() if "load" in line]
    assert " ".join(plain.split()) == "load 3 s 1.5"
    assert (row.as_json()["target"], row.as_json()["met"]) == (None, True)


def test_an_unknown_room_names_those_that_there_are() -> None:
    with pytest.raises(UsageError, match=r"no room 'no-such'.*timetable, realtime"):
        rooms.chosen(["timetable", "no-such"])


def test_without_a_name_every_room_is_measured_and_none_twice() -> None:
    assert rooms.chosen([]) == tuple(rooms.ROOMS)
    assert rooms.chosen(["realtime", "realtime"]) == ("realtime",)
