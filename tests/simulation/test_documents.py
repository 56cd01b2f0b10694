import pytest

from simulation import kept, results
from simulation.documents import TABLES, markdown
from worker.errors import UsageError


@pytest.mark.parametrize(
    "name",
    [
        "prices", "assumptions", "simplified", "layouts", "brief", "bill", "hosting",
        "budget",
    ],
)  # fmt: skip
def test_a_table_is_markdown_with_a_row_for_each_row(name):
    rows = TABLES[name]()

    lines = markdown(rows).splitlines()

    assert len(lines) == len(rows) + 2
    assert all(line.count("|") == len(rows[0]) + 1 for line in lines)


def test_cost_covers_nobody_to_a_million(make_run, monkeypatch):
    monkeypatch.setattr(kept, "RUNS", make_run().folder.parent)

    assert [row["users"] for row in TABLES["cost"]()] == [
        "0", "1,000", "5,000", "10,000", "100,000", "1,000,000",
    ]  # fmt: skip


def test_without_a_kept_run_one_sentence_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "FULL", tmp_path)

    with pytest.raises(UsageError, match="no calibration run is kept"):
        TABLES["cost"]()
