"""What the stand-in publishes: bundles as files, feeds as publications, lines."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from loadtests.rig.clock import Clock
from loadtests.rig.publication import Entity, Publication
from worker.policy.feeds import Feed

PERIOD_S: Mapping[str, float] = {
    "trip_updates": 20.0,
    "vehicle_positions": 10.0,
    "alerts": 60.0,
}
"""How often a kind of feed is written anew; NSW's lie between 10 and 30 s."""

TURN = 20
"""Entities made before others have their turn: some milliseconds of work."""


class Source(Protocol):
    """Where entities and bundles come from: made up, or recorded."""

    @property
    def clock(self) -> Clock: ...

    @property
    def replays(self) -> bool:
        """Whether the entities are what NSW published once."""

    def entities(self, feed: Feed, now: float) -> Iterable[Entity]:
        """What the feed holds at a service time."""

    def write_bundle(self, name: str, path: str, target: Path) -> None:
        """Write the archive of a policy row named ``name`` at ``path``."""


@dataclass(kw_only=True, slots=True)
class Event:
    """A delay on lines, from ``published_at`` (real epoch s) for ``duration_s``."""

    id: int
    lines: list[str]
    delay_s: int
    duration_s: float
    published_at: float
    ends_at: float
    trips: int
    ended: bool = False

    def as_json(self) -> dict[str, object]:
        """As the switchboard says it; ``line`` is the only or the first one."""
        return {
            "id": self.id,
            "line": self.lines[0],
            "lines": self.lines,
            "delay_s": self.delay_s,
            "duration_s": self.duration_s,
            "published_at": self.published_at,
            "trips": self.trips,
            "ended": self.ended,
        }


@dataclass(kw_only=True)
class Outside:
    """The published state of the stand-in NSW."""

    source: Source
    feeds: Mapping[str, Feed]
    publications: dict[str, Publication] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.publications = {name: Publication() for name in self.feeds}
        for name in self.feeds:
            self._publish(name)

    @property
    def clock(self) -> Clock:
        """Service time."""
        return self.source.clock

    def lines(self) -> list[str]:
        """Lines with trips in the feeds now, the busiest first."""
        trips: Counter[str] = Counter()
        for name, feed in self.feeds.items():
            if feed.kind == "trip_updates":
                trips.update(self.publications[name].trips())
        return sorted(trips, key=lambda line: (-trips[line], line))

    def disturb(self, lines: list[str], delay_s: int, duration_s: float) -> Event:
        """Delay lines from now on; raises ValueError for a line no feed knows."""
        unknown = set(lines) - set(self.lines())
        if not lines or unknown:
            raise ValueError(
                f"no feed has a line {', '.join(sorted(unknown)) or '-'} now"
            )
        trips = self._lay(lines, delay_s)
        now = time.time()
        event = Event(
            id=len(self.events) + 1,
            lines=lines,
            delay_s=delay_s,
            duration_s=duration_s,
            published_at=now,
            ends_at=now + duration_s,
            trips=trips,
        )
        self.events.append(event)
        return event

    def settle(self) -> None:
        """End the events whose time is over; a later one on the same line holds."""
        now = time.time()
        for event in self.events:
            if not event.ended and event.ends_at <= now:
                event.ended = True
                held = {line for e in self.events if not e.ended for line in e.lines}
                self._lay([line for line in event.lines if line not in held], 0)

    async def keep_publishing(self) -> None:
        """Write every feed anew in its period, until cancelled."""
        due = {name: time.monotonic() + self._period(name) for name in self.feeds}
        while True:
            await asyncio.sleep(0.1)
            self.settle()
            for name in [n for n, at in due.items() if at <= time.monotonic()]:
                due[name] += self._period(name)
                await self._publish_in_turns(name)

    def _period(self, name: str) -> float:
        return PERIOD_S[self.feeds[name].kind]

    async def _publish_in_turns(self, name: str) -> None:
        """As ``_publish``, letting others answer meanwhile."""
        made: list[Entity] = []
        for entity in self.source.entities(self.feeds[name], self.clock.now()):
            made.append(entity)
            if not len(made) % TURN:
                await asyncio.sleep(0)
        self.publications[name].publish(made, self.clock.now())

    def _publish(self, name: str) -> None:
        now = self.clock.now()
        self.publications[name].publish(
            self.source.entities(self.feeds[name], now), now
        )

    def _lay(self, lines: list[str], delay_s: int) -> int:
        now = self.clock.now()
        return sum(
            self.publications[name].delay(lines, delay_s, now)
            for name, feed in self.feeds.items()
            if feed.kind == "trip_updates"
        )
