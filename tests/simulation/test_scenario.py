"""A scenario says the same to the worker and to the model."""

from dataclasses import replace

import pytest

from simulation.scenario import Event
from simulation.scenarios import scenario
from worker.errors import UsageError


def test_the_same_seed_gives_the_same_events() -> None:
    chosen = scenario("disruption", users=1000, duration_s=300)

    assert (
        chosen.events() == scenario("disruption", users=1000, duration_s=300).events()
    )
    other = scenario("disruption", users=1000, duration_s=300, seed=2)
    assert chosen.events() != other.events()


def test_each_onset_is_on_a_line_not_used_before() -> None:
    events = scenario("disruption", users=1000, duration_s=600).events()

    assert len(events) >= 60
    assert len({event.line for event in events}) == len(events)


def test_onsets_fall_uniformly_over_the_poll_period() -> None:
    chosen = scenario("disruption", users=1000, duration_s=600)
    phases = sorted(event.at_s % chosen.poll_period_s for event in chosen.events())

    n = len(phases)
    for k, phase in enumerate(phases):
        share = phase / chosen.poll_period_s
        assert k / n <= share <= (k + 1) / n


def test_every_commuter_rides_exactly_one_line() -> None:
    chosen = scenario("disruption", users=1234, duration_s=300)

    riders = [
        user for line in range(chosen.lines) for user in chosen.commuters_of(line)
    ]

    assert sorted(riders) == list(range(1234))


@pytest.mark.parametrize(
    ("users", "duration_s", "says"),
    [
        (-5, 300, "at least 1 user"),
        (10, 0, "cannot last 0 s"),
        (10, 30, "too short"),
        (10, float("nan"), "cannot last nan s"),
        (10, float("inf"), "cannot last inf s"),
    ],
)
def test_a_contradictory_size_is_refused(
    users: int, duration_s: float, says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        scenario("disruption", users=users, duration_s=duration_s)


def test_a_run_as_long_as_the_refusal_of_a_shorter_one_says_has_an_onset() -> None:
    with pytest.raises(UsageError, match=r"61 s are too short.*at least (\d+) s") as no:
        scenario("disruption", users=10, duration_s=61)

    least_s = float(str(no.value).split()[-2])
    assert scenario("disruption", users=10, duration_s=least_s).onsets == 1


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"choose one of .*disruption"):
        scenario("no-such", users=10, duration_s=300)


def test_an_event_before_the_run_is_refused() -> None:
    with pytest.raises(UsageError, match="before the run"):
        Event(at_s=-1, kind="delay")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"at_s": float("nan")}, "before the run"),
        ({"at_s": float("inf")}, "beyond"),
        ({"duration_s": -1.0}, "before the run"),
        ({"value": float("nan")}, "wanted a number"),
        ({"value": -3.0}, "not negative"),
    ],
)
def test_an_event_that_cannot_be_is_refused(change, says) -> None:
    with pytest.raises(UsageError, match=says):
        Event(**{"at_s": 1.0, "kind": "nsw_slow", **change})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"lines": 0}, "wanted a line"),
        ({"warm_up_s": -1.0}, "no negative times"),
        ({"settle_s": float("nan")}, "no negative times"),
        ({"delay_s": -60}, "no negative times"),
        ({"poll_period_s": 0.0}, "wanted a period"),
        ({"duration_s": float("nan")}, "cannot last"),
        ({"onset_every_s": float("nan")}, "cannot last"),
        ({"lines": 3}, "each onset needs its own"),
        ({"extra_events": (Event(at_s=900, kind="sync"),)}, "before its event sync"),
    ],
)
def test_a_contradictory_scenario_is_refused(change, says) -> None:
    chosen = scenario("disruption", users=10, duration_s=300)

    with pytest.raises(UsageError, match=says):
        replace(chosen, **change)
