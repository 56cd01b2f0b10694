"""A rider hears of his own delay and of his own push, whatever came first."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.assignment import assign
from loadtests.deliveries import Arrival, Notification, Published, join
from loadtests.letterbox import Letterbox, Onset
from loadtests.rig.population import token_of
from simulation.scenario import Scenario

SCENARIO = Scenario(
    name="disruption",
    question="?",
    users=1,
    duration_s=100.0,
    lines=1,
    onset_every_s=40.0,
)


class Kept:
    """A parcel that can be looked into."""

    def __init__(self) -> None:
        self.value: Any = None

    def set(self, value: Any) -> None:
        self.value = value

    def get(self) -> Any:
        return self.value


@pytest.fixture
def box() -> Letterbox:
    letterbox = Letterbox(new_parcel=Kept)
    letterbox.join("aa", "333")
    letterbox.join("bb", "333")
    letterbox.join("cc", "428")
    return letterbox


def test_riders_of_a_line_hear_of_its_delay_and_others_do_not(box: Letterbox) -> None:
    mine, his, others = box.onset("333", 0), box.onset("333", 0), box.onset("428", 0)

    box.published("333", 100.0)

    assert mine.get() == his.get() == Onset(0, 100.0)
    assert others.get() is None


def test_a_delay_that_was_published_before_the_rider_came_is_not_missed(
    box: Letterbox,
) -> None:
    box.published("333", 100.0)

    assert box.onset("333", 0).get() == Onset(0, 100.0)


def test_the_second_delay_of_a_line_is_another_onset(box: Letterbox) -> None:
    box.published("333", 100.0)
    second = box.onset("333", 1)

    box.published("333", 300.0)

    assert second.get() == Onset(1, 300.0)


@pytest.mark.parametrize("first", ["rider", "push"])
def test_a_push_wakes_its_rider_whoever_comes_first(box: Letterbox, first: str) -> None:
    box.published("333", 100.0)
    onset = box.onset("333", 0).get()

    if first == "push":
        box.arrived("aa", 112.5, "p1")
    parcel = box.push("aa", onset)
    other = box.push("bb", onset)
    box.arrived("aa", 112.5, "p2")

    assert parcel.get() == 112.5
    assert other.get() is None


def test_a_push_of_an_earlier_delay_does_not_answer_a_later_one(box: Letterbox) -> None:
    box.published("333", 100.0)
    box.arrived("aa", 112.0, "p3")
    box.published("333", 300.0)

    parcel = box.push("aa", box.onset("333", 1).get())

    assert parcel.get() is None
    box.arrived("aa", 311.0, "p4")
    assert parcel.get() == 311.0


@pytest.mark.parametrize("first", ["rider", "push"])
def test_a_push_that_was_on_its_way_already_does_not_tell_of_a_new_delay(
    box: Letterbox, first: str
) -> None:
    box.published("333", 100.0)
    box.published("333", 300.0)
    earlier, later = box.onset("333", 0).get(), box.onset("333", 1).get()

    if first == "push":
        box.arrived("aa", 300.5, "p5", matched_at=299.8)
    told = box.push("aa", earlier)
    if first == "rider":
        box.arrived("aa", 300.5, "p5", matched_at=299.8)
    parcel = box.push("aa", later)

    assert told.get() == 300.5
    assert parcel.get() is None
    box.arrived("aa", 311.0, "p6", matched_at=310.0)
    assert parcel.get() == 311.0


def test_delays_that_a_rider_has_not_heard_of_yet_are_known(box: Letterbox) -> None:
    box.published("333", 100.0)
    box.published("333", 300.0)

    assert box.later("333", 1) == [Onset(1, 300.0)]
    assert box.later("333", 2) == []


MOMENTS = st.lists(st.integers(0, 60), unique=True, max_size=4).map(sorted)


@given(delays=MOMENTS, matches=MOMENTS, lags=st.lists(st.integers(0, 20), min_size=4))
def test_letterbox_and_recorder_count_the_same_pushes(
    delays: list[int], matches: list[int], lags: list[int]
) -> None:
    # Delays come at whole seconds, matches half a second after some.
    run = assign(SCENARIO, ["333"], starts_at=0.0)
    token = token_of(SCENARIO.seed, 0)
    sent = [
        Notification(
            apns_id=f"p{second}",
            token=token,
            route="333",
            matched_at=second + 0.5,
            sent_at=second + 0.6,
            state="sent",
        )
        for second in matches
    ]
    came = [
        Arrival(at=each.matched_at + lag, token=token, apns_id=each.apns_id)
        for each, lag in zip(sent, lags, strict=False)
    ]
    published = [Published(at=float(at), routes=("333",), trips=1) for at in delays]
    rows = join(run, published, sent, came)

    box = Letterbox(new_parcel=Kept)
    box.join(token, "333")
    for delay in published:
        box.published("333", delay.at)
    matched_at = {each.apns_id: each.matched_at for each in sent}
    for arrival in sorted(came, key=lambda each: each.at):
        box.arrived(token, arrival.at, arrival.apns_id, matched_at[arrival.apns_id])
    told = [box.push(token, onset).get() for onset in box.later("333", 0)]

    assert [at is not None for at in told] == [r.arrived_at is not None for r in rows]


def test_a_push_that_comes_twice_is_a_duplicate(box: Letterbox) -> None:
    box.published("333", 100.0)

    box.arrived("aa", 112.0, "one")
    box.arrived("aa", 113.0, "one")
    box.arrived("bb", 113.0, "two")

    assert (box.duplicates, box.further) == (1, 0)


def test_a_push_of_a_grown_delay_is_not_a_duplicate(box: Letterbox) -> None:
    box.published("333", 100.0)

    box.arrived("aa", 112.0, "one")
    box.arrived("aa", 127.0, "worse")

    assert (box.duplicates, box.further) == (0, 1)


def test_a_push_to_nobody_here_is_a_stranger(box: Letterbox) -> None:
    box.arrived("ff", 112.0, "p8")

    assert (box.strangers, box.duplicates) == (1, 0)
