"""Who waits for which push: one letterbox a locust process, free of locust.

Riders are woken by name, so that ten thousand that wait cost nothing until one of
them has something. ``Parcel`` is how a rider waits: gevent's AsyncResult in a load
test, anything with ``set`` in a test.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol


class Parcel(Protocol):
    """What a rider waits on."""

    def set(self, value: Any) -> None:
        """Hand over a value and wake who waits."""

    def get(self) -> Any:
        """Wait for the value."""


@dataclass(frozen=True, slots=True)
class Onset:
    """A delay of a route, numbered, published at real epoch seconds."""

    number: int
    published_at: float


@dataclass(frozen=True, slots=True)
class _Arrival:
    """A push that came, and when it was matched."""

    at: float
    matched_at: float

    def tells_of(self, onset: Onset) -> bool:
        """A push that was on its way already when the delay was published does not."""
        return onset.published_at <= min(self.at, self.matched_at)


@dataclass(slots=True)
class Letterbox:
    """Onsets by route and arrivals by token, kept for who asks later.

    ``duplicates`` counts arrivals of a push that had arrived before, ``further`` other
    pushes after the one that told of an onset (it grew, another trip joined),
    ``strangers`` those at a token of no rider here (another process's, or run's).
    """

    new_parcel: Callable[[], Parcel]
    riders: dict[str, str] = field(default_factory=dict)  # token -> route
    duplicates: int = 0
    further: int = 0
    strangers: int = 0
    _onsets: dict[str, list[Onset]] = field(default_factory=lambda: defaultdict(list))
    _arrivals: dict[str, list[_Arrival]] = field(
        default_factory=lambda: defaultdict(list)
    )
    _pushes: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    _await_onset: dict[str, Parcel] = field(default_factory=dict)
    _await_push: dict[str, tuple[Onset, Parcel]] = field(default_factory=dict)

    def join(self, token: str, route: str) -> None:
        """A rider with this device and this line is here."""
        self.riders[token] = route

    def onset(self, route: str, number: int) -> Parcel:
        """The parcel that holds the route's ``number``-th onset, counted from 0."""
        known = self._onsets[route]
        if number < len(known):
            parcel = self.new_parcel()
            parcel.set(known[number])
            return parcel
        # Riders of one line wait for the same onset, so they share a parcel.
        return self._await_onset.setdefault(route, self.new_parcel())

    def push(self, token: str, onset: Onset) -> Parcel:
        """The parcel that holds the instant at which the first push came that was
        matched after ``onset``.
        """
        parcel = self.new_parcel()
        early = [each.at for each in self._arrivals[token] if each.tells_of(onset)]
        if early:
            parcel.set(min(early))
        else:
            self._await_push[token] = (onset, parcel)
        return parcel

    def later(self, route: str, number: int) -> list[Onset]:
        """The route's onsets from the ``number``-th on, counted from 0."""
        return self._onsets[route][number:]

    def published(self, route: str, published_at: float) -> None:
        """A delay of the route was published."""
        known = self._onsets[route]
        onset = Onset(len(known), published_at)
        known.append(onset)
        parcel = self._await_onset.pop(route, None)
        if parcel is not None:
            parcel.set(onset)

    def arrived(
        self, token: str, at: float, push: str, matched_at: float | None = None
    ) -> None:
        """A push, known by its id, reached the device. One of which nobody knows when
        it was matched is taken to have been matched when it came.
        """
        route = self.riders.get(token)
        if route is None:
            self.strangers += 1
            return
        if push in self._pushes[token]:
            self.duplicates += 1
            return
        self._pushes[token].add(push)
        earlier = self._arrivals[token]
        arrival = _Arrival(at, at if matched_at is None else matched_at)
        earlier.append(arrival)
        begun = sum(onset.published_at <= at for onset in self._onsets[route])
        self.further += 0 < begun < len(earlier)
        waiting = self._await_push.get(token)
        if waiting is not None and arrival.tells_of(waiting[0]):
            del self._await_push[token]
            waiting[1].set(at)
