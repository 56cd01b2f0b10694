"""A scenario: one description, run on the worker and on the model.

Standard library only, because a locust process reads it.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from worker.errors import UsageError

LONGEST_S = 86_400.0
"""A day; also keeps what is no number, or endless, out of a run."""

EventKind = Literal["delay", "nsw_slow", "nsw_down", "apns_slow", "sync", "redis_cut"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """Something that happens ``at_s`` seconds into a run.

    ``value`` is the delay of a ``delay`` in seconds, or the slowness of a ``*_slow``
    in seconds; ``line`` is the index of the delayed line, -1 for every line.
    """

    at_s: float
    kind: EventKind
    value: float = 0.0
    duration_s: float = 0.0
    line: int = -1

    def __post_init__(self) -> None:
        if self.at_s < 0 or self.duration_s < 0:
            raise UsageError(f"event {self.kind} at {self.at_s} s lies before the run")


@dataclass(frozen=True, kw_only=True, slots=True)
class Scenario:
    """What happens to whom: riders, lines, events, and for how long.

    ``users`` commuters are spread over ``lines`` lines; each has one favorite on his
    line and one device. Onsets of delays come every ``onset_every_s`` seconds on
    lines not used before, moved within the poll period so that they fall uniformly
    over it. ``extra_events`` come on top.
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

    def __post_init__(self) -> None:
        if self.users < 1:
            raise UsageError(f"--users {self.users}: a scenario needs at least 1 user")
        if not (self.onset_every_s > 0 and 0 < self.duration_s <= LONGEST_S):
            raise UsageError(
                f"scenario {self.name} cannot last {self.duration_s:g} s with an onset "
                f"every {self.onset_every_s:g} s: give up to {LONGEST_S / 60:g} minutes"
            )
        if self.onsets < 1:
            raise UsageError(
                f"scenario {self.name} lasts {self.duration_s:g} s, too short for one "
                f"onset: it needs more than {self.warm_up_s + self.settle_s:g} s"
            )
        if self.onsets > self.lines:
            raise UsageError(
                f"scenario {self.name} has {self.onsets} onsets but {self.lines} "
                "lines: each onset needs its own; give fewer minutes or more lines"
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
            at_s = self.warm_up_s + k * self.onset_every_s
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
