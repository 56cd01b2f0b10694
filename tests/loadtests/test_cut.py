"""A server that dies before, in or after a run: one sentence, and nothing half kept."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from loadtests.control import Control
from loadtests.cut import RunCutError, in_a_whole_world
from loadtests.given import Input
from loadtests.matrix import record
from loadtests.progress import Steps
from loadtests.rig.folder import RigError, free_port
from loadtests.rig.rig import Rig
from loadtests.rows import HOLDOUT, Row
from loadtests.run import perform
from loadtests.stage import crew, world
from simulation.runs import load_run
from worker.errors import WorkerError

ROW = Row(
    name="first",
    role=HOLDOUT,
    users=10,
    duration_s=5.0,
    lines=4,
    onset_every_s=2.0,
    seed=18,  # its onset falls early in the poll period
)


class Ending(Steps):
    """Kills Valkey when a step of these words is reached, or when so many runs are
    over.
    """

    def __init__(self, moment: str = "", *, runs: int = 0) -> None:
        super().__init__()
        self.moment = moment
        self.runs = runs

    def say(self, text: str) -> None:
        super().say(text)
        if self.moment and self.moment in text:
            kill_valkey()

    @contextmanager
    def bar(self, title: str, total_s: float) -> Iterator[Callable[[float, str], None]]:
        yield lambda done_s, remark: None
        self.runs -= 1
        if self.runs == 0:
            kill_valkey()


def kill_valkey() -> None:
    """The newest of ours: an older one is of tests that ran before."""
    mine = psutil.Process().children(recursive=True)
    valkeys = [process for process in mine if process.name() == "valkey-server"]
    max(valkeys, key=psutil.Process.create_time).kill()


@contextmanager
def around(steps: Steps) -> Iterator[Rig]:
    with there_are_servers(), world(Input(), steps=steps) as up:
        yield up


@contextmanager
def there_are_servers() -> Iterator[None]:
    try:
        yield
    except RigError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no servers here: {error}")


@pytest.fixture(autouse=True)
def soon_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row's run waits no 20 s for the pushes of its last onset."""
    monkeypatch.setattr("loadtests.rows.SETTLE_S", 2.0)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_redis_that_dies_while_workers_start_is_told_in_a_sentence() -> None:
    steps = Ending("workers are up; the timetable is being loaded")
    with (
        around(steps) as up,
        pytest.raises(RunCutError, match=r"failed before the run.*run it again"),
        crew(up, Input(), steps=steps),
    ):
        pass


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_redis_that_dies_when_the_run_is_over_leaves_nothing_half(
    tmp_path: Path,
) -> None:
    steps = Ending(runs=1)
    with (
        around(steps) as up,
        crew(up, Input(), steps=steps) as here,
        pytest.raises(RunCutError, match=r"failed during the run.*run it again"),
    ):
        perform(here, ROW.scenario(), tmp_path / "run", steps=steps)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_series_that_is_cut_names_the_run_what_is_kept_and_what_to_type(
    tmp_path: Path,
) -> None:
    rows = tuple(replace(ROW, name=name) for name in ("first", "second", "third"))
    for name in ("mine", "first", "second", "full-burst"):
        recorded_earlier(tmp_path / name)

    with there_are_servers(), pytest.raises(RunCutError) as cut:
        record(rows, Input(), tmp_path, Ending(runs=2), slim=True)

    said = str(cut.value)
    assert said.startswith("the series stopped at run second: a server")
    assert f"; first kept in {tmp_path}; earlier runs of the rest are as they" in said
    assert said.endswith("by the same command with --only second --only third")
    there = sorted(path.name for path in tmp_path.iterdir())
    assert there == ["first", "mine", "second"]
    assert load_run(tmp_path / "first").about["broken"] == ""
    assert not (tmp_path / "first" / "earlier").exists()
    assert (tmp_path / "second" / "earlier").exists()
    assert list((tmp_path / "first").glob("locust*")) == []


def test_a_series_that_has_no_world_leaves_the_earlier_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")
    for name in ("first", "full-burst"):
        recorded_earlier(tmp_path / name)

    with pytest.raises(WorkerError, match="REDIS_URL"):
        record((ROW,), Input(), tmp_path, Steps())

    for name in ("first", "full-burst"):
        assert (tmp_path / name / "earlier").exists()


def recorded_earlier(folder: Path) -> None:
    folder.mkdir()
    (folder / "run.json").write_text("{}")
    (folder / "earlier").touch()


def test_a_switchboard_that_is_gone_cuts_the_run_too() -> None:
    control = Control(f"http://127.0.0.1:{free_port()}")

    with (
        pytest.raises(RunCutError, match=r"switchboard .* does not answer"),
        in_a_whole_world("during the run"),
    ):
        control.state()
