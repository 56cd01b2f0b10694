"""Events happen at their own instants, and say by how much they did not."""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest

from loadtests.assignment import Assignment, assign
from loadtests.control import SwitchboardError
from loadtests.happenings import make_happen
from simulation.scenario import Event, Scenario


@dataclass
class Watch:
    """A clock that moves when somebody sleeps, or takes his time."""

    now: float = 1000.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def time(self) -> float:
        return self.now


@dataclass
class Answering:
    """A switchboard that takes ``slow_s`` to answer."""

    watch: Watch
    slow_s: float = 0.0
    asked: list[tuple[float, Any]] = field(default_factory=list)
    falls_silent_after: int = 1000

    def __post_init__(self) -> None:
        self.delays = 0

    def reissue(self) -> None:
        self.asked.append((self.watch.now, "reissue"))

    def delay(self, routes: list[str], delay_s: float, duration_s: float) -> None:
        self.delays += 1
        if self.delays > self.falls_silent_after:
            raise SwitchboardError("it does not answer")
        self.asked.append((self.watch.now, routes))
        self.watch.sleep(self.slow_s)

    def fault(self, fault: dict[str, Any]) -> None:
        self.asked.append((self.watch.now, fault))
        self.watch.sleep(self.slow_s)


def run_of(*extra: Event) -> Assignment:
    scenario = Scenario(
        name="disruption",
        question="?",
        users=8,
        duration_s=120.0,
        lines=8,
        onset_every_s=10.0,
        extra_events=extra,
    )
    return assign(scenario, list("abcdefgh"), starts_at=1000.0)


def happen(
    run: Assignment, slow_s: float = 0.0, done: list[dict[str, Any]] | None = None
) -> tuple[Answering, list[float]]:
    watch, late_s = Watch(), []
    control = Answering(watch, slow_s)
    make_happen(
        run,
        control,  # type: ignore[arg-type]
        late_s=late_s,
        done=[] if done is None else done,
        sync=lambda: control.asked.append((watch.now, "sync")),
        sleep=watch.sleep,
        clock=watch.time,
    )
    return control, late_s


def test_every_event_is_asked_for_at_its_instant() -> None:
    run = run_of()

    control, late_s = happen(run)

    assert [at - 1000.0 for at, _ in control.asked] == pytest.approx(
        [event.at_s for event in run.scenario.events()]
    )
    assert late_s == pytest.approx([0.0] * run.scenario.onsets)


def test_a_slow_answer_does_not_move_the_events_after_the_next() -> None:
    run = run_of()
    due = [1000.0 + event.at_s for event in run.scenario.events()]
    slow_s = 1.5 * max(b - a for a, b in pairwise(due))

    control, late_s = happen(run, slow_s=slow_s)

    # Asked for late, and said so: the schedule itself does not drift along.
    asked = [at for at, _ in control.asked]
    assert [a - d for a, d in zip(asked, due, strict=True)] == pytest.approx(late_s)
    assert late_s[0] == pytest.approx(0.0)
    assert max(late_s) > 0


def test_what_could_not_be_brought_about_is_not_told_of() -> None:
    watch = Watch()
    late_s: list[float] = []

    with pytest.raises(SwitchboardError):
        make_happen(
            run_of(),
            Answering(watch, falls_silent_after=2),  # type: ignore[arg-type]
            late_s=late_s,
            done=[],
            sync=lambda: None,
            sleep=watch.sleep,
            clock=watch.time,
        )

    assert len(late_s) == 2


def test_an_event_for_every_line_names_every_route() -> None:
    run = run_of(Event(at_s=50.0, kind="delay", value=1800.0, duration_s=60.0))

    control, _ = happen(run)

    assert list("abcdefgh") in [routes for _, routes in control.asked]


def test_a_hampered_outside_is_a_fault_of_the_switchboard() -> None:
    run = run_of(
        Event(at_s=40.0, kind="nsw_slow", value=2.0, duration_s=5.0),
        Event(at_s=50.0, kind="nsw_down", duration_s=5.0),
    )

    control, _ = happen(run)

    faults = [asked for _, asked in control.asked if isinstance(asked, dict)]
    assert faults == [
        {"target": "nsw", "kind": "slow", "value": 2.0, "duration_s": 5.0},
        {"target": "nsw", "kind": "status", "duration_s": 5.0},
    ]


def test_a_sync_finds_a_new_timetable_and_what_was_done_is_told() -> None:
    done: list[dict[str, Any]] = []
    run = run_of(
        Event(at_s=40.0, kind="sync"),
        Event(at_s=45.0, kind="publish", value=100.0),
        Event(at_s=50.0, kind="apns_slow", value=0.5, duration_s=7.0),
    )

    control, _ = happen(run, done=done)

    assert [a for _, a in control.asked if isinstance(a, str)] == ["reissue", "sync"]
    assert done == [
        {"kind": "sync", "at": 1040.0, "value": 0.0, "duration_s": 0.0},
        {"kind": "apns_slow", "at": 1050.0, "value": 0.5, "duration_s": 7.0},
    ]
