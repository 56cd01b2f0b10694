import pytest

from simulation.chosen import chosen
from worker.errors import UsageError


def names(runs):
    return [run.name for run in runs]


def test_a_folder_of_runs_gives_its_own_calibration_and_its_holdouts(make_run):
    folder = make_run("base").folder.parent
    make_run("other", role="holdout")
    make_run("third", role="holdout", seed=3)

    bases, held = chosen([folder], [])

    assert names(bases) == ["base"]
    assert names(held) == ["other", "third"]


def test_a_run_that_is_named_is_predicted_whatever_its_role(make_run):
    base, other = make_run("base").folder, make_run("other", seed=2).folder

    bases, held = chosen([other], [base])

    assert (names(bases), names(held)) == (["base"], ["other"])


def test_without_names_the_kept_runs_are_taken():
    bases, held = chosen([], [])

    assert {run.about["role"] for run in bases} == {"calibration"}
    assert {run.about["role"] for run in held} == {"holdout"}


def test_a_run_is_not_predicted_from_itself(make_run):
    base = make_run("base").folder

    with pytest.raises(UsageError, match="predicted from itself proves nothing"):
        chosen([base], [base])


def test_a_folder_without_anything_to_predict_is_refused(make_run, tmp_path):
    folder = make_run("base").folder.parent

    with pytest.raises(UsageError, match="no run whose role is holdout"):
        chosen([folder], [])
    with pytest.raises(UsageError, match="is not a run folder"):
        chosen([tmp_path / "empty"], [])
