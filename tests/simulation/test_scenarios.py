"""The named scenarios happen as their questions say."""

import pytest

from simulation.scenarios import SCENARIOS, scenario
from worker.errors import UsageError


@pytest.mark.parametrize("name", list(SCENARIOS))
@pytest.mark.parametrize("users", [100, 10_000])
def test_a_row_carries_its_name_and_ends_in_time(name: str, users: int) -> None:
    made = scenario(name, users=users, duration_s=120.0)

    assert made.name == name
    assert made.question
    assert max(event.at_s for event in made.events()) < made.duration_s
    assert all(0 <= at_s < made.duration_s for at_s, _ in made.groups())


@pytest.mark.parametrize("name", list(SCENARIOS))
def test_what_cannot_be_is_told_of_the_scenario_that_was_asked_for(name: str) -> None:
    with pytest.raises(UsageError, match=f"scenario {name} cannot last 0 s"):
        scenario(name, users=100, duration_s=0.0)


def test_a_network_event_concerns_every_line_and_is_worse_than_what_was_told() -> None:
    made = scenario("network", users=1_000, duration_s=120.0)
    first, everywhere = made.events()

    assert everywhere.line == -1
    assert first.line >= 0
    assert first.at_s < everywhere.at_s
    assert everywhere.value > first.value


@pytest.mark.parametrize("name", ["brownout", "outage"])
def test_lines_are_delayed_while_nsw_fails(name: str) -> None:
    made = scenario(name, users=1_000, duration_s=180.0)
    down = next(event for event in made.events() if event.kind == "nsw_down")

    assert any(
        event.kind == "delay" and down.at_s <= event.at_s < down.at_s + down.duration_s
        for event in made.events()
    )


@pytest.mark.parametrize("name", ["brownout", "outage"])
@pytest.mark.parametrize("duration_s", [63.0, 80.0, 120.0, 600.0])
def test_no_fault_of_nsw_passes_between_two_polls(name: str, duration_s: float) -> None:
    made = scenario(name, users=100, duration_s=duration_s)
    faults = [event for event in made.events() if event.kind.startswith("nsw_")]

    assert faults
    for fault in faults:
        assert fault.duration_s > made.poll_period_s
        assert fault.at_s + fault.duration_s < made.duration_s


def test_a_weekday_has_its_onsets_where_its_travel_is() -> None:
    made = scenario("weekday", users=1_000, duration_s=600.0)
    onsets_s = made.duration_s - made.warm_up_s - made.settle_s
    hours = [
        (event.at_s - made.warm_up_s) / onsets_s * 24
        for event in made.events()
        if event.kind == "delay"
    ]
    by_night = sum(hour < 5 for hour in hours) / len(hours)
    in_peaks = sum(6.5 <= h < 9.5 or 15 <= h < 18.5 for h in hours) / len(hours)

    assert len(hours) == made.onsets > 80
    assert by_night < 0.05
    assert in_peaks == pytest.approx(0.585, abs=0.06)


def test_a_ramp_rises_from_step_to_step() -> None:
    made = scenario("ramp", users=4_000, duration_s=240.0)
    eighth_s = (made.duration_s - made.warm_up_s) / 8
    counts = [0] * 8
    for at_s, size in made.groups():
        counts[min(7, int((at_s - made.warm_up_s) / eighth_s))] += size

    # 1 + 2 + 3 + 4 against 5 + 6 + 7 + 8 parts, give or take what Poisson gives.
    assert sum(counts[4:]) == pytest.approx(2.6 * sum(counts[:4]), rel=0.25)


def test_a_ramp_refuses_a_rate_for_it_has_eight() -> None:
    with pytest.raises(UsageError, match="ramp has 8 rates"):
        scenario("ramp", users=4_000, duration_s=240.0, groups_per_s=1.0)


def test_groups_come_at_the_stated_rate_and_alike_for_the_same_seed() -> None:
    made = scenario("steady", users=20_000, duration_s=600.0, seed=7)
    sizes = [size for _, size in made.groups()]

    assert len(sizes) == pytest.approx(2.0 * 575, rel=0.1)
    assert min(sizes) >= made.group_least
    assert max(sizes) <= made.group_most
    assert (
        made.groups()
        == scenario("steady", users=20_000, duration_s=600.0, seed=7).groups()
    )
    assert (
        made.groups()
        != scenario("steady", users=20_000, duration_s=600.0, seed=8).groups()
    )


def test_syncs_come_while_groups_do() -> None:
    made = scenario("sync_under_load", users=2_000, duration_s=180.0)
    syncs = [event.at_s for event in made.events() if event.kind == "sync"]
    times = [at_s for at_s, _ in made.groups()]

    assert len(syncs) == 3
    assert min(times) < min(syncs)
    assert max(syncs) < max(times)
