"""SCALING.md says what the command found, and what it found is still so."""

import re
from dataclasses import replace

import pytest

from simulation import results
from simulation.documents import TABLES
from simulation.rules import rules_of
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


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("pools.bg.children", 4),
        ("services.bg.vcpu", 2.0),
        ("realtime.nudge_s", 13),
        ("realtime.breaker_failures", 6),
        ("broker.queue_order", "round_robin"),
        ("push.claim_margin_s", 6),
        ("push.hint_again_s", 16),
        ("push.expiry_s", 601),
        ("push.queue_limit", 201),
        ("objectives.late_pushes.limit", 0.04),
        ("alarms.normal_waits.threshold", 31.0),
        ("tasks.apns_worker.soft_time_limit_s", 11),
    ],
)
def test_a_changed_limit_is_noticed(truth, path, value):
    before = results.fingerprint(truth)

    after = results.fingerprint(truth, vary(POLICY, path, value))

    assert _moved(before, after) == {"policy"}


@pytest.mark.parametrize(
    "constant",
    [
        "loop.COLD_START_S", "loop.COOL_DOWN_S", "loop.HOLD_S", "loop.MOST_A_DAY",
        "days.SMALL_A_DAY", "hour.SETTLE_S", "signals.GAUGE_S",
    ],
)  # fmt: skip
def test_a_changed_constant_of_the_model_is_noticed(truth, monkeypatch, constant):
    before = results.fingerprint(truth)

    monkeypatch.setattr(f"simulation.{constant}", 7)

    assert _moved(before, results.fingerprint(truth)) == {"model"}


def test_another_distance_of_the_stand_in_is_noticed(truth):
    before, after = (
        results.fingerprint(replace(truth, apns_rtt_s=rtt_s)) for rtt_s in (0.3, 0.04)
    )

    assert _moved(before, after) == {"calibration"}


def test_what_the_model_does_not_read_moves_nothing(truth):
    unread = vary(POLICY, "database.connect_timeout_s", 6)

    assert results.fingerprint(truth, unread) == results.fingerprint(truth)


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


def test_the_kept_year_of_the_rule_that_fires_most_comes_out_again(kept):
    """All its weeks, at the fewest users: the other rules lived through the same."""
    users = kept["users"][0]
    mine = [row for row in kept["scores"] if row["users"] == users]
    most = max(mine, key=lambda row: row["firings_per_week"])
    rules = [rule for rule in rules_of(POLICY) if rule.name == most["rule"]]

    (again,) = scores(
        results.base(), users=(users,), weeks=kept["weeks"], seed=kept["seed"],
        rules=rules,
    )  # fmt: skip

    assert most["firings_per_week"] > 0
    assert most["late_before"] > most["late_after"]
    found = again.as_json()
    assert found.keys() == most.keys()
    for name, value in most.items():
        if isinstance(value, str):
            assert found[name] == value
        else:
            assert found[name] == pytest.approx(value, rel=1e-4), name


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


def _moved(before, after):
    return {name for name in before if before[name] != after[name]}


def _words(row):
    return {k: v for k, v in row.items() if isinstance(v, str) or k == "users"}.items()


def _numbers(row):
    return {k: v for k, v in row.items() if isinstance(v, float)}
