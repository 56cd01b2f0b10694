import pytest

from simulation import kept
from simulation.documents import TABLES, markdown
from worker.errors import UsageError
from worker.policy import POLICY


@pytest.mark.parametrize("name", ["prices", "assumptions", "layouts", "brief"])
def test_a_table_is_markdown_with_a_row_for_each_row(name):
    rows = TABLES[name]()

    lines = markdown(rows).splitlines()

    assert len(lines) == len(rows) + 2
    assert all(line.count("|") == len(rows[0]) + 1 for line in lines)


def test_scaling_lists_the_alarms_of_the_policy_as_they_are(make_run, monkeypatch):
    run = make_run(users=4_000, duration_s=300.0)
    monkeypatch.setattr(kept, "RUNS", run.folder.parent)

    rows = {row["rule"]: row for row in TABLES["scaling"]()}

    for alarm in POLICY.alarms.values():
        if alarm.kind == "scaling":
            assert rows[alarm.name]["above"] == f"{alarm.threshold:g}"
            assert rows[alarm.name]["for s"] == f"{alarm.sustain_s:g}"
            assert rows[alarm.name]["action"] == alarm.action


def test_cost_covers_nobody_to_a_million(make_run, monkeypatch):
    monkeypatch.setattr(kept, "RUNS", make_run().folder.parent)

    assert [row["users"] for row in TABLES["cost"]()] == [
        "0", "1,000", "5,000", "10,000", "100,000", "1,000,000",
    ]  # fmt: skip


def test_without_a_kept_run_one_sentence_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(kept, "RUNS", tmp_path)

    with pytest.raises(UsageError, match="no calibration run is kept"):
        TABLES["cost"]()
