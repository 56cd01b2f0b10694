"""A run folder is read back as it was written, or refused in one sentence."""

import json
from pathlib import Path

import pytest

from simulation.runs import FORMAT, load_run, write_run
from worker.errors import UsageError
from worker.measures import Recorded
from worker.records import Delivery, Outcome, Sample, TaskRecord

RECORDED = Recorded(
    tasks=[
        TaskRecord(
            task_id="a", attempt=1, task="upkeep", queue="normal", worker="bg",
            enqueued_at=1.5, started_at=None, finished_at=2.25,
            outcome=Outcome.EXPIRED, detail={"slot": 15, "what": 'a "quoted", word'},
        )
    ],
    deliveries=[
        Delivery(
            notification_id="7", published_at=1.0, matched_at=2.0, sent_at=3.0,
            arrived_at=None, outcome="sent", token="ab",
        )
    ],
    samples=[Sample(at=1.0, name="depth", label="normal", value=3.0)],
    started_at=1.0,
    finished_at=11.0,
)  # fmt: skip


def test_a_run_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    write_run(tmp_path / "run", {"scenario": "disruption", "users": 10}, RECORDED)

    read = load_run(tmp_path / "run")

    assert read.records == RECORDED
    assert read.about["format"] == FORMAT
    assert read.about["users"] == 10


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a run folder"):
        load_run(tmp_path)


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", {}, RECORDED)
    about = {**run.about, "format": FORMAT + 1}
    (run.folder / "run.json").write_text(json.dumps(about))

    with pytest.raises(UsageError, match="update the program"):
        load_run(run.folder)


@pytest.mark.parametrize("cell", ["nan", "-1", "soon"])
def test_a_broken_row_is_named_by_file_and_line(tmp_path: Path, cell: str) -> None:
    run = write_run(tmp_path / "run", {}, RECORDED)
    path = run.folder / "samples.csv"
    path.write_text(path.read_text().replace("3", cell))

    with pytest.raises(UsageError, match=r"samples\.csv:2 cannot be read"):
        load_run(run.folder)


def test_a_run_without_one_of_its_files_is_not_whole(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", {}, RECORDED)
    (run.folder / "tasks.csv").unlink()

    with pytest.raises(UsageError, match=r"has no tasks\.csv"):
        load_run(run.folder)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"started_at": None}, "does not say when the run was"),
        ({"started_at": "soon"}, "does not say when the run was"),
        ({"finished_at": 0.5}, "its end must come after its start"),
        ({"finished_at": float("nan")}, "its end must come after its start"),
        ({"format": "one"}, "names no format"),
    ],
)
def test_a_run_that_never_was_is_refused(
    tmp_path: Path, changed: dict[str, object], says: str
) -> None:
    run = write_run(tmp_path / "run", {}, RECORDED)
    (run.folder / "run.json").write_text(json.dumps({**run.about, **changed}))

    with pytest.raises(UsageError, match=says):
        load_run(run.folder)


def test_an_attempt_that_ends_before_it_begins_is_refused(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", {}, RECORDED)
    path = run.folder / "tasks.csv"
    path.write_text(path.read_text().replace("2.25", "0.25"))

    with pytest.raises(UsageError, match=r"tasks\.csv:2 .* ends before it begins"):
        load_run(run.folder)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("deliveries.csv", ",3,", ",nan,"),
        ("deliveries.csv", ",3,", ",-3,"),
        ("tasks.csv", ",1.5,,", ",1.5,inf,"),
        ("tasks.csv", ",1.5,", ",-1.5,"),
        ("tasks.csv", "expired", "perhaps"),
    ],
)
def test_a_time_that_is_none_is_named_by_file_and_line(tmp_path, file, old, new):
    run = write_run(tmp_path / "run", {}, RECORDED)
    path = run.folder / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))

    with pytest.raises(UsageError, match=rf"{file}:2 cannot be read"):
        load_run(run.folder)


def test_a_table_that_is_no_text_is_refused(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", {}, RECORDED)
    (run.folder / "samples.csv").write_bytes(bytes(range(256)))

    with pytest.raises(UsageError, match=r"samples\.csv is not a table of ours"):
        load_run(run.folder)


@pytest.mark.parametrize(
    "text",
    ["[]", '{"format": "new"}', "{}", "\x00", '"run"'],
    ids=["a list", "a word", "nothing", "no JSON", "a text"],
)
def test_a_foreign_folder_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)

    with pytest.raises(UsageError, match=r"not a run"):
        load_run(tmp_path)


@pytest.mark.parametrize("table", ["tasks.csv", "deliveries.csv", "samples.csv"])
@pytest.mark.parametrize("text", ["", "\n", "time,value\n1,2\n", "task_id,at,name\n"])
def test_a_table_without_its_header_is_refused(tmp_path, table, text) -> None:
    run = write_run(tmp_path / "run", {}, RECORDED)
    (run.folder / table).write_text(text)

    with pytest.raises(UsageError, match=rf"{table} is not a table of ours: its first"):
        load_run(run.folder)
