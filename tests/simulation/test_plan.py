import json

import pytest

from simulation import report, screen, sections
from simulation.plan import plan, runs_in, write_document
from worker.errors import UsageError

KEYS = [
    "input",
    "machine",
    "versions",
    "runs",
    "validation",
    "sweep",
    "triggers",
    "cost",
]


@pytest.fixture
def folder(make_run):
    run = make_run("a", users=2_000, duration_s=120.0, onset_every_s=4.0)
    make_run("b", users=6_000, duration_s=120.0, seed=5, role="holdout")
    return run.folder.parent


def test_a_plan_is_whole_and_can_be_read_back(folder, tmp_path, capsys):
    made = plan(folder, quick=True, jobs=1)

    document = json.loads(write_document(made.document, tmp_path).read_text())
    page = report.write(made, tmp_path).read_text()
    screen.show(*screen.plan(made))
    shown = capsys.readouterr().out

    assert list(document) == KEYS
    assert {run["role"] for run in document["runs"]} == {"calibration", "holdout"}
    users = {row["users"] for row in document["sweep"]}
    assert {1_000, 10_000} <= users
    assert {row["layout"] for row in document["sweep"]} == {"A", "B", "C", "D", "ours"}
    assert {row["verdict"] for row in document["validation"]} <= {
        "within",
        "outside",
        "inconclusive",
    }
    wanted = {
        "signal",
        "threshold",
        "sustain_s",
        "action",
        "derivation",
        "valid_for",
        "hit_rate",
        "false_alarms_per_week",
    }
    assert all(wanted <= set(rule) for rule in document["triggers"])
    assert page.count("data:image/png;base64,") >= 3
    assert 'src="http' not in page
    rows = [row for part in sections.sections(made) for row in part.rows]
    cells = [str(cell) for row in rows for cell in row]
    assert {word for cell in cells for word in cell.split()} <= set(shown.split())
    assert max(map(len, shown.splitlines())) <= 80
    assert (tmp_path / "figures" / "parity.png").stat().st_size > 5_000


@pytest.mark.parametrize(
    ("role", "missing"), [("calibration", "holdout"), ("holdout", "calibration")]
)
def test_a_folder_without_both_roles_is_refused(make_run, role, missing):
    run = make_run(role=role)

    with pytest.raises(UsageError, match=f"no run whose role is {missing}"):
        runs_in(run.folder.parent)
