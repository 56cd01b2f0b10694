"""Rules in the loop: when they fire, and what the capacity they ask for changes."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulation import kernel
from simulation.assumptions import believed
from simulation.capacity import drain_s, limits, storm_s, users_at
from simulation.days import YEAR, sydney_day
from simulation.demands import PUSH, SYNC, assumed_sync
from simulation.hour import deployed, hour, platform, storm_hour
from simulation.layout import Layout
from simulation.loop import COLD_START_S, episodes, first_firing, in_the_loop
from simulation.rules import CANDIDATES, rules_of
from simulation.scaling import Felt, _score, scores, triggers
from simulation.signals import instants, signals
from simulation.sweep import sweep
from simulation.tables import Machine
from simulation.workload import stream, tables_of
from worker.policy import POLICY, vary
from worker.policy.alarms import Alarm
from worker.records import Sample

EVERY_S = 15.0


@pytest.fixture
def calibration(truth):
    return replace(truth, demands={**truth.demands, SYNC: assumed_sync()})


def rule(**changes):
    row = Alarm(
        name="rule", sample="depth", label="normal", threshold=10, sustain_s=60,
        kind="scaling", action="Add a child.", reason="A test's rule.",
    )  # fmt: skip
    return replace(row, **changes)


def firing(alarm, values, **after):
    at = 1_000 + EVERY_S * np.arange(len(values))
    return first_firing(alarm, at, np.array(values, dtype=float), **after)


def test_a_rule_fires_once_it_has_been_too_much_for_long_enough():
    assert firing(rule(), [0, *[20] * 10]) == 1_000 + 15 + 60


def test_a_rule_does_not_fire_for_a_burst_that_is_over_in_time():
    assert firing(rule(), [0, 20, 20, 5, 20, 20, 5]) is None


def test_after_a_change_a_rule_is_asked_again_only_later():
    assert firing(rule(), [20] * 20, after=1_200) == 1_210


@given(
    values=st.lists(st.sampled_from([0.0, 10.0, 11.0, 50.0]), min_size=1, max_size=40),
    sustain_s=st.sampled_from([0, 15, 40, 60, 300]),
)
@settings(max_examples=150, deadline=None)
def test_the_loop_asks_the_deployed_rule_wherever_it_could_fire(values, sustain_s):
    """Skipping instants that cannot fire never changes when the rule first does."""
    alarm = rule(sustain_s=sustain_s)
    samples = [
        Sample(at=1_000 + EVERY_S * k, name="depth", label="normal", value=value)
        for k, value in enumerate(values)
    ]
    asked = (s.at for k, s in enumerate(samples)
             if alarm.state(samples[: k + 1], now=s.at) == "firing")  # fmt: skip

    assert firing(alarm, values) == next(asked, None)


def storm(calibration, users=500_000):
    layout, machine = Layout.of(POLICY), Machine(v_eff=8.0, parent_s=0.004)
    slow = replace(calibration.demands[PUSH], io_per_unit_s=0.02)
    calibration = replace(calibration, demands={**calibration.demands, PUSH: slow})
    tables = tables_of(
        storm_hour(users, seed=1, replication=0), calibration, layout, machine=machine
    )
    return layout, tables


def looped(alarm, layout, tables):
    plain = kernel.run(layout, tables)
    seen = signals(plain, tables, layout)
    return plain, in_the_loop(
        alarm, layout, tables, plain, seen, children=3, rng=stream(1, "cold")
    )


def test_children_that_a_rule_adds_make_a_long_storm_shorter(calibration):
    """In the loop: the rule fires, children come a minute later, pushes are sooner."""
    layout, tables = storm(calibration)

    plain, with_rule = looped(rule(threshold=5, sustain_s=0), layout, tables)

    before, after = (
        arrived - published
        for published, arrived in (
            kernel.pushes(each, tables) for each in (plain, with_rule.attempts)
        )
    )
    assert after.max() < before.max() - 20
    first, added = with_rule.fired_at[0], with_rule.growth[0]
    assert first + COLD_START_S[0] <= added.at <= first + COLD_START_S[1]
    # Too late for most riders all the same: what a reaction cannot mend.
    assert (after > 20).mean() > 0.7 * (before > 20).mean() > 0


def test_after_capacity_has_come_a_rule_is_not_asked_for_three_minutes(calibration):
    layout, tables = storm(calibration)
    # Some child is always busy: nothing but the cool-down holds the rule back.
    always = rule(threshold=0, sustain_s=0, sample="busy_share", label="bg")

    _, with_rule = looped(always, layout, tables)

    assert len(with_rule.growth) >= 3
    for ready, again in zip(
        with_rule.growth[:-1], with_rule.fired_at[1:], strict=False
    ):
        assert 180.0 < again - ready.at <= 180.0 + EVERY_S


def test_a_score_is_what_two_days_add_up_to():
    def felt(late, minutes, episodes, **rule):
        return Felt(told=100, late=late, violation_minutes=minutes, slowest_s=60.0,
                    episodes=episodes, **rule)  # fmt: skip

    helped = {
        "": felt(20, 4, ((100.0, 200.0), (500.0, 600.0))),
        "rule": felt(
            12, 2, ((100.0, 150.0), (500.0, 600.0)), fired_at=(130.0, 900.0),
            ready_at=(190.0, 960.0), added_hours=1.0,
        ),
    }  # fmt: skip
    silent = {"": felt(5, 1, ((10.0, 20.0),))}

    score = _score("rule", 10_000, [[helped], [silent]], 0.5, 1)

    assert score.late_before == 25 / 200
    assert score.late_after == 17 / 200
    assert score.saved == (0.0, 8 / 100)
    assert score.violation_minutes_before == 2.5
    assert score.violation_minutes_after == 1.5
    assert (score.days, score.episodes) == (2, 3)
    assert score.hit_rate == score.in_time == 1 / 3
    assert score.detected_s == 30.0
    assert score.firings_per_week == 1.0
    assert score.false_alarms_per_week == 0.5
    assert score.child_hours_per_week == 0.5
    assert score.usd_per_month == pytest.approx(0.5 * 0.5 * 730 / 168)


def test_a_rule_that_never_fires_changes_nothing(calibration):
    layout, tables = storm(calibration)

    plain, with_rule = looped(rule(threshold=1e9), layout, tables)

    assert with_rule.attempts is plain
    assert not with_rule.fired_at
    assert with_rule.added_hours(tables.end_at) == 0


def test_signals_say_what_waits(calibration):
    layout, tables = storm(calibration)
    attempts = kernel.run(layout, tables)

    seen, at = signals(attempts, tables, layout), instants(tables)

    worst = int(np.argmax(seen["depth", "normal"]))
    waiting = attempts.of(PUSH) & (attempts.enqueued_at <= at[worst])
    waiting &= ~(attempts.started_at <= at[worst])
    assert seen["depth", "normal"][worst] >= waiting.sum() > 50
    oldest = at[worst] - attempts.enqueued_at[waiting].min()
    assert seen["oldest_age_s", "normal"][worst] == pytest.approx(oldest, abs=15)
    assert seen["drain_s", "normal"][worst] > 30
    assert 0.9 < seen["busy_share", "bg"].max() <= 1.0 + 1e-9
    assert 0 < seen["cpu_share", "all"].max() <= 1.0 + 1e-9


def test_episodes_bridge_short_gaps():
    begun, ended = np.array([0.0, 500.0, 5_000.0]), np.array([50.0, 560.0, 5_100.0])

    assert episodes(begun, ended) == [(0.0, 560.0), (5_000.0, 5_100.0)]


def test_a_year_of_days_has_what_is_believed_of_it():
    beliefs = believed()
    days = [sydney_day(k, 10_000, seed=1, beliefs=beliefs) for k in range(YEAR)]

    assert all(b.start_at == a.end_at for a, b in pairwise(days))
    hours = {round((day.end_at - day.start_at) / 3600) for day in days}
    assert hours == {23, 24, 25}  # the clocks change twice
    storms = [n for day in days for _, n in day.onsets if n > 100]
    expected = YEAR * 1.5 * (5 + 2 * beliefs["weekend_share"]) / 7
    assert len(storms) == pytest.approx(expected, rel=0.15)
    assert np.mean(storms) == pytest.approx(1_430, rel=0.15)
    assert sydney_day(3, 10_000, seed=1, beliefs=beliefs) == days[3]


def test_a_day_has_the_same_storms_however_many_users_there_are():
    few, many = (
        [sydney_day(k, users, seed=1, beliefs=believed()) for k in range(20)]
        for users in (1_000, 50_000)
    )

    assert [day.windows for day in few] == [day.windows for day in many]
    assert any(day.windows for day in many)
    for day, larger in zip(few, many, strict=True):
        assert [at for at, _ in day.onsets] == [at for at, _ in larger.onsets]


def test_every_rule_is_scored_on_the_same_weeks(calibration):
    found = scores(
        calibration, users=(60_000,), weeks=2, jobs=1,
        rules=[*CANDIDATES, rule(name="always", threshold=0, sample="busy_share",
                                 label="bg", sustain_s=0)],
    )  # fmt: skip
    by_name = {score.rule: score for score in found}

    assert len({score.late_before for score in found}) == 1
    assert by_name["brief_scale_out"].firings_per_week == 0  # pushes need no CPU
    always = by_name["always"]
    assert always.false_alarms_per_week > 10
    assert always.usd_per_month > by_name["oldest_age"].usd_per_month >= 0
    assert always.saved[0] <= always.late_before - always.late_after <= always.saved[1]


def test_triggers_name_the_alarms_of_the_policy(calibration):
    found = {t.name: t for t in triggers(calibration, users=(5_000,), weeks=1, jobs=1)}

    assert list(found) == ["capacity_forecast", *(r.name for r in rules_of(POLICY))]
    for alarm in rules_of(POLICY):
        assert found[alarm.name].threshold == alarm.threshold
        assert found[alarm.name].action == alarm.action


def test_a_storm_drains_at_the_speed_of_children_or_of_cores(truth):
    layout = Layout.of(POLICY)
    wide = Layout.of(vary(POLICY, "pools.bg.children", 6))

    assert drain_s(truth, wide, 100.0, 10_000) == pytest.approx(
        drain_s(truth, layout, 100.0, 10_000) / 2
    )
    # 10,000 pushes of 1 ms, and what each batch costs besides, on half a core.
    assert drain_s(truth, wide, 0.5, 10_000) > 20.0


def test_the_capacity_rule_binds_where_its_own_drain_says(truth):
    layout = Layout.of(POLICY)

    most = users_at(truth, layout, 2.0, 5.0, 0.3)

    assert storm_s(truth, layout, 2.0, most * 0.3) == pytest.approx(5.0, abs=0.1)


def test_limits_come_in_the_order_in_which_they_bind(truth):
    found = limits(truth, POLICY, Machine(v_eff=2.0))

    users = [row.users for row in found if row.users is not None]
    assert users == sorted(users)
    assert "push.queue_limit" in " ".join(row.derivation for row in found)


def test_an_hour_is_the_same_for_every_layout_but_for_the_layout():
    happenings = [storm_hour(5_000, seed=1, replication=2) for _ in range(2)]

    assert happenings[0] == happenings[1]
    more = storm_hour(10_000, seed=1, replication=2)
    assert [at for at, _ in more.onsets] == [at for at, _ in happenings[0].onsets]


def test_as_many_storms_are_throttled_as_is_assumed():
    hours = [storm_hour(5_000, seed=1, replication=k) for k in range(20)]

    assert sum(bool(each.windows) for each in hours) == 5


def test_more_riders_are_never_told_sooner(calibration):
    rows = sweep(calibration, [1_000, 60_000], layouts=["ours"], hours=3, jobs=1)

    few, many = rows
    assert many.measures["p95_push_s"] > few.measures["p95_push_s"]
    assert many.measures["late_push_fraction"] > few.measures["late_push_fraction"]
    assert few.intervals["p95_push_s"][0] <= few.measures["p95_push_s"]


def test_what_was_not_sent_by_the_end_counts_as_late(calibration):
    here, layout = deployed(calibration), Layout.of(POLICY)
    stuck = replace(here.demands[PUSH], failure=1.0)
    broken = replace(here, demands={**here.demands, PUSH: stuck})

    seen = hour(
        storm_hour(5_000, seed=1, replication=0), broken, layout, platform(broken),
        seed=1, replication=0,
    )  # fmt: skip

    assert seen.measures["late_push_fraction"] == 1.0
