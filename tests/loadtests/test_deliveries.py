"""Four witnesses of a run, joined: what was due, what came, what never did."""

import pytest

from loadtests.assignment import Assignment, assign
from loadtests.deliveries import UNMATCHED, Arrival, Notification, Published, join
from loadtests.rig.population import token_of
from simulation.scenario import Scenario
from worker.measures import MEASURES, Recorded
from worker.records import Delivery

SEED = 7


@pytest.fixture
def run() -> Assignment:
    """Four riders on two lines: 0 and 2 ride the first, 1 and 3 the second."""
    scenario = Scenario(
        name="disruption",
        question="?",
        users=4,
        duration_s=100.0,
        lines=2,
        onset_every_s=30.0,
        seed=SEED,
    )
    return assign(scenario, ["333", "428"], starts_at=1000.0)


def notification(user: int, at: float, route: str = "333") -> Notification:
    return Notification(
        apns_id=f"AB-{user}-{at:g}",
        token=token_of(SEED, user),
        route=route,
        matched_at=at,
        sent_at=at + 1,
        state="sent",
    )


def arrival_of(sent: Notification, at: float) -> Arrival:
    return Arrival(at=at, token=sent.token, apns_id=sent.apns_id.lower())


def measure(name: str, rows: list[Delivery]) -> float:
    return MEASURES[name].function(Recorded(deliveries=rows))


DELAY = Published(at=1010.0, routes=("333",), trips=3)


def test_a_push_is_measured_from_the_instant_the_delay_was_published(
    run: Assignment,
) -> None:
    sent = [notification(0, 1015.0), notification(2, 1015.0)]

    rows = join(
        run, [DELAY], sent, [arrival_of(sent[0], 1017.5), arrival_of(sent[1], 1018.0)]
    )

    assert [row.published_at for row in rows] == [1010.0, 1010.0]
    assert [row.arrived_at for row in rows] == [1017.5, 1018.0]
    assert measure("lost", rows) == 0


def test_riders_of_lines_that_were_not_delayed_are_due_nothing(run: Assignment) -> None:
    rows = join(run, [DELAY], [], [])

    assert {row.token for row in rows} == {token_of(SEED, 0), token_of(SEED, 2)}


def test_a_rider_that_nobody_matched_is_lost(run: Assignment) -> None:
    sent = notification(0, 1015.0)

    rows = join(run, [DELAY], [sent], [arrival_of(sent, 1017.0)])

    assert [row.outcome for row in rows] == ["sent", UNMATCHED]
    assert measure("lost", rows) == 1
    assert measure("late_push_fraction", rows) == 0.5


def test_a_push_that_never_arrived_is_lost(run: Assignment) -> None:
    sent = [notification(0, 1015.0), notification(2, 1015.0)]

    rows = join(run, [DELAY], sent, [arrival_of(sent[0], 1017.0)])

    assert measure("lost", rows) == 1


def test_a_second_arrival_of_one_notification_is_a_duplicate(run: Assignment) -> None:
    sent = [notification(0, 1015.0), notification(2, 1015.0)]
    came = [arrival_of(s, 1017.0) for s in sent]

    rows = join(run, [DELAY], sent, [*came, arrival_of(sent[0], 1030.0)])

    assert measure("duplicated", rows) == 1
    assert measure("p99_push_s", rows) == 7.0


def test_a_worse_delay_later_is_not_what_the_rider_waited_for(run: Assignment) -> None:
    first, worse = notification(0, 1015.0), notification(0, 1060.0)
    other = notification(2, 1015.0)
    came = [
        arrival_of(first, 1017.0),
        arrival_of(worse, 1062.0),
        arrival_of(other, 1017.0),
    ]

    rows = join(run, [DELAY], [first, worse, other], came)

    assert len(rows) == 2
    assert measure("p99_push_s", rows) == 7.0


def test_each_delay_of_a_line_has_pushes_of_its_own(run: Assignment) -> None:
    again = Published(at=1050.0, routes=("333",), trips=3)
    sent = [notification(user, at, "333") for user in (0, 2) for at in (1015.0, 1055.0)]
    came = [arrival_of(s, s.matched_at + 2) for s in sent]

    rows = join(run, [DELAY, again], sent, came)

    assert sorted(row.published_at for row in rows) == [1010.0, 1010.0, 1050.0, 1050.0]
    assert measure("p99_push_s", rows) == 7.0


def test_one_push_may_tell_of_two_delays_between_two_matches(run: Assignment) -> None:
    later = Published(at=1011.0, routes=("333",), trips=3)
    sent = notification(0, 1015.0)

    rows = join(run, [DELAY, later], [sent], [arrival_of(sent, 1017.0)])

    mine = [row for row in rows if row.token == sent.token]
    assert [(row.published_at, row.arrived_at) for row in mine] == [
        (1010.0, 1017.0),
        (1011.0, 1017.0),
    ]
    assert measure("lost", mine) == 0
    assert measure("duplicated", mine) == 0
