"""A folder is tried before a run starts; nothing of the try is left."""

from pathlib import Path

import pytest

from loadtests.outlet import of_a_whole_run, refuse_unwritable
from worker.errors import UsageError


@pytest.mark.parametrize("name", ["r", "a/b/r", "new/../r", "new/../../%s/r"])
def test_a_folder_that_can_be_written_is_tried_and_taken_away(
    tmp_path: Path, name: str
) -> None:
    refuse_unwritable(tmp_path / name.replace("%s", tmp_path.name))

    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_way_is_told_in_a_sentence_and_left(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")

    with pytest.raises(UsageError, match="give another --out"):
        refuse_unwritable(tmp_path / "new" / ".." / "file" / "r")

    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("there", [True, False])
def test_of_a_run_cut_short_nothing_is_left_and_what_was_there_stays(
    tmp_path: Path, there: bool
) -> None:
    folder = tmp_path / "run"
    if there:
        folder.mkdir()
        (folder / "notes.txt").write_text("mine")

    def cut_short() -> None:
        with of_a_whole_run(folder):
            (folder / "locust_stats.csv").write_text("half")
            if there:
                (folder / "meanwhile.txt").write_text("mine too")
                (folder / "sub").mkdir()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cut_short()

    left = [path.name for path in tmp_path.rglob("*") if path.is_file()]
    assert sorted(left) == (["meanwhile.txt", "notes.txt"] if there else [])
    assert folder.exists() == there
