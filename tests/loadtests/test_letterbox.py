"""A rider hears of his own delay and of his own push, whatever came first."""

from typing import Any

import pytest

from loadtests.letterbox import Letterbox, Onset


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
