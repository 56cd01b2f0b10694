"""A scenario: one description, run on the worker and on the model.

Standard library only, because a locust process reads it.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Literal

from worker.errors import UsageError

LONGEST_S = 86_400.0
"""A day; also keeps what is no number, or endless, out of a run."""

EventKind = Literal[
    "delay", "nsw_slow", "nsw_down", "apns_slow", "sync", "redis_cut", "publish"
]

DRAIN_S = 5.0
"""No group is published in the last seconds of a run: what waits can still end."""

MOST_GROUPS_PER_S = 2_000.0
"""Beyond this one process cannot publish, and nothing could be learned from it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """Something that happens ``at_s`` seconds into a run.

    ``value`` is the delay of a ``delay`` in seconds, the slowness of a ``*_slow`` in
    seconds, or how many notifications a ``publish`` hands to the senders at once;
    ``line`` is the index of the delayed line, -1 for every line. A ``sync`` is a new
    timetable and the message that asks for it.
    """

    at_s: float
    kind: EventKind
    value: float = 0.0
    duration_s: float = 0.0
    line: int = -1

    def __post_init__(self) -> None:
        if not (0 <= self.at_s <= LONGEST_S and 0 <= self.duration_s <= LONGEST_S):
            raise UsageError(
                f"event {self.kind} at {self.at_s} s for {self.duration_s} s lies "
                f"before the run, or beyond {LONGEST_S:g} s"
            )
        if not 0 <= self.value < inf:
            raise UsageError(
                f"event {self.kind} at {self.at_s:g} s has the value {self.value}: "
                "wanted a number, not negative"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Scenario:
    """What happens to whom: riders, lines, events, and for how long.

    ``users`` commuters are spread over ``lines`` lines; each has one favorite on his
    line and one device. Onsets of delays come every ``onset_every_s`` seconds on
    lines not used before, moved within the poll period so that they fall uniformly
    over it. ``day`` compresses a day into the run: (share of the time, share of the
    onsets) of its parts, one after the other. ``extra_events`` come on top. A scenario
    that is ``recorded`` needs files of a real network.

    A publisher hands groups of notifications to the senders, at Poisson instants that
    wait for nothing (open workload): ``groups_per_s`` a second, several rates one after
    the other for equal shares of the run, and ``group_least`` to ``group_most``
    notifications in each. ``readers`` ask for what the app's API shows, one question a
    second each, and load nothing that the model knows.
    """

    name: str
    question: str
    users: int
    duration_s: float
    lines: int
    onset_every_s: float
    delay_s: int = 900
    warm_up_s: float = 20.0  # before the first onset: workers are up, feeds are cached
    settle_s: float = 40.0  # after the last onset: its pushes may still arrive
    poll_period_s: float = 15.0
    seed: int = 1
    extra_events: tuple[Event, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    groups_per_s: tuple[float, ...] = ()
    group_least: int = 1
    group_most: int = 1
    readers: int = 0
    day: tuple[tuple[float, float], ...] = ()
    recorded: bool = False

    def __post_init__(self) -> None:
        if self.users < 1:
            raise UsageError(f"--users {self.users}: a scenario needs at least 1 user")
        if not (self.onset_every_s > 0 and 0 < self.duration_s <= LONGEST_S):
            raise UsageError(
                f"scenario {self.name} cannot last {self.duration_s:g} s with an onset "
                f"every {self.onset_every_s:g} s: give up to {LONGEST_S / 60:g} minutes"
            )
        spans = (self.warm_up_s, self.settle_s, float(self.delay_s))
        if self.lines < 1 or not all(0 <= span <= LONGEST_S for span in spans):
            raise UsageError(
                f"scenario {self.name} has {self.lines} lines, warms up for "
                f"{self.warm_up_s} s, settles for {self.settle_s} s and is late by "
                f"{self.delay_s} s: wanted a line or more, and no negative times"
            )
        if not 0 < self.poll_period_s <= LONGEST_S:
            raise UsageError(
                f"scenario {self.name} polls every {self.poll_period_s} s: "
                "wanted a period"
            )
        if self.onsets < 1:
            raise UsageError(
                f"{self.duration_s:g} s are too short for one onset: a run lasts at "
                f"least {self.warm_up_s + self.onset_every_s + self.settle_s:g} s"
            )
        if self.onsets > self.lines:
            raise UsageError(
                f"scenario {self.name} has {self.onsets} onsets but {self.lines} "
                "lines: each onset needs its own; give fewer minutes or more lines"
            )
        beyond = [e for e in self.extra_events if e.at_s >= self.duration_s]
        if beyond:
            raise UsageError(
                f"scenario {self.name} ends at {self.duration_s:g} s, before its event "
                f"{beyond[0].kind} at {beyond[0].at_s:g} s"
            )
        if not all(0 <= rate <= MOST_GROUPS_PER_S for rate in self.groups_per_s):
            raise UsageError(
                f"scenario {self.name} publishes {self.groups_per_s} groups a second: "
                f"a rate lies between 0 and {MOST_GROUPS_PER_S:g}"
            )
        if not 1 <= self.group_least <= self.group_most:
            raise UsageError(
                f"scenario {self.name} has groups of {self.group_least} to "
                f"{self.group_most} notifications: wanted 1 or more, least first"
            )

    @property
    def onsets(self) -> int:
        """How many lines are delayed in the run."""
        between_s = self.duration_s - self.warm_up_s - self.settle_s
        return int(between_s / self.onset_every_s)

    def commuters_of(self, line: int) -> range:
        """The users of a line: user ``u`` rides line ``u % lines``."""
        return range(line, self.users, self.lines)

    def events(self) -> tuple[Event, ...]:
        """All events in order of time, the same for the same seed.

        Onset ``k`` gets the stratum ``k`` of the poll period (in a shuffled order) as
        its phase: uniform over the period whatever the number of onsets.
        """
        draw = random.Random(f"{self.seed}/onsets")
        strata = list(range(self.onsets))
        draw.shuffle(strata)
        lines = list(range(self.lines))
        draw.shuffle(lines)
        delays = []
        for k in range(self.onsets):
            at_s = self.warm_up_s + self._place(k) * self.onset_every_s
            phase = (strata[k] + draw.random()) / self.onsets * self.poll_period_s
            delays.append(
                Event(
                    at_s=at_s - at_s % self.poll_period_s + phase,
                    kind="delay",
                    value=float(self.delay_s),
                    duration_s=self.duration_s,
                    line=lines[k],
                )
            )
        return tuple(sorted((*delays, *self.extra_events), key=lambda e: e.at_s))

    def _place(self, onset: int) -> float:
        """The onset's place among evenly spread ones: where its part of the day is."""
        left = onset / self.onsets
        passed = 0.0
        for time_share, onset_share in self.day:
            if left < onset_share:
                return (passed + left / onset_share * time_share) * self.onsets
            left -= onset_share
            passed += time_share
        return float(onset)

    def groups(self) -> tuple[tuple[float, int], ...]:
        """(at_s, notifications) of every group, in order of time; the same for the same
        seed.
        """
        draw = random.Random(f"{self.seed}/groups")
        found = [
            (event.at_s, int(event.value))
            for event in self.extra_events
            if event.kind == "publish"
        ]
        lasts_s = self.duration_s - DRAIN_S - self.warm_up_s
        for k, rate in enumerate(self.groups_per_s):
            at_s = self.warm_up_s + lasts_s * k / len(self.groups_per_s)
            until_s = self.warm_up_s + lasts_s * (k + 1) / len(self.groups_per_s)
            while rate and (at_s := at_s + draw.expovariate(rate)) < until_s:
                found.append((at_s, draw.randint(self.group_least, self.group_most)))
        return tuple(sorted(found))
