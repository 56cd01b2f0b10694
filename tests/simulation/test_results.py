"""SCALING.md says what the command found, and what it found is still so."""

import re

import pytest

from simulation import results
from simulation.documents import TABLES
from simulation.scaling import scores
from simulation.storms import causes, waiting
from worker.errors import UsageError
from worker.policy import POLICY, vary

SCALING = results.RESULTS.parents[1] / "SCALING.md"


@pytest.fixture(scope="module")
def kept():
    return results.found()


def test_nothing_that_the_results_were_made_from_has_changed(kept):
    moved = results.fingerprint(results.base())

    assert kept["made_from"] == moved, (
        "run `python -m simulation scaling`, then `make docs notebooks-update`"
    )


def test_a_changed_limit_is_noticed():
    calibration = results.base()
    before = results.fingerprint(calibration)

    after = results.fingerprint(calibration, vary(POLICY, "pools.bg.children", 4))

    assert {name for name in before if before[name] != after[name]} == {"policy"}


def test_the_first_storms_give_the_figures_that_are_kept(kept):
    """A cheap part of the command, computed again."""
    calibration, users = results.base(), kept["users"][-1]
    how = {"hours": kept["hours"], "seed": kept["seed"]}

    assert results.limit_rows(calibration) == kept["limits"]
    for name, rows in (
        ("waiting", waiting(calibration, users, **how)),
        ("causes", causes(calibration, users, **how)[:1]),
    ):
        for row in rows:
            (same,) = [each for each in kept[name] if each.items() >= _words(row)]
            assert _numbers(same) == pytest.approx(_numbers(row), rel=1e-4)


def test_a_week_of_the_kept_year_comes_out_again(kept):
    """The last week alone, at the most users: scores of a year hold its storms too."""
    users = kept["users"][-1]

    again = scores(results.base(), users=(users,), weeks=1, seed=kept["seed"], jobs=1)

    mine = {row["rule"]: row for row in kept["scores"] if row["users"] == users}
    assert list(mine) == [score.rule for score in again]
    for score in again:
        assert score.episodes <= mine[score.rule]["episodes"]


def test_every_alarm_that_scales_stands_in_the_document_as_deployed():
    text = SCALING.read_text()

    for alarm in POLICY.alarms.values():
        if alarm.kind != "scaling":
            continue
        fires = (
            f"{alarm.sample} of {alarm.label} > {alarm.threshold:g} "
            f"for {alarm.sustain_s:g} s"
        )
        row = re.search(
            rf"^\| {alarm.name} \| yes \| {re.escape(fires)} \|.*$", text, re.M
        )
        assert row, alarm.name
        assert alarm.action in row[0]
    assert len(re.findall(r"^\| \w+ \| yes \|", text, re.M)) == sum(
        alarm.kind == "scaling" for alarm in POLICY.alarms.values()
    )


def test_every_rule_has_hits_a_price_and_a_range(kept):
    rows = TABLES["scaling"]()

    assert {row["rule"] for row in rows} == {rule["name"] for rule in kept["rules"]}
    assert {row["users"] for row in rows} == {f"{n:,}" for n in kept["users"]}
    assert all(row["USD a month"] and row["false alarms a week"] for row in rows)
    for row, score in zip(rows, kept["scores"], strict=True):
        assert row["late pushes spared"] == " to ".join(
            f"{end:.2%}" for end in score["saved"]
        )
    tried = f"{min(kept['users']):,} to {max(kept['users']):,} users"
    assert all(tried in row["valid for"] for row in TABLES["rules"]())


def test_without_results_one_sentence_says_what_makes_them(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "RESULTS", tmp_path / "none.json")

    with pytest.raises(UsageError, match="'python -m simulation scaling' makes it"):
        results.found()


def _words(row):
    return {k: v for k, v in row.items() if isinstance(v, str) or k == "users"}.items()


def _numbers(row):
    return {k: v for k, v in row.items() if isinstance(v, float)}
