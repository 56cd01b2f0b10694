"""What the users of one locust process share: the run, and who hears of what.

Free of locust itself; its greenlets need gevent's patches, which locust brings.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gevent
from gevent.event import AsyncResult

from loadtests.assignment import Assignment
from loadtests.control import Control
from loadtests.happenings import make_happen
from loadtests.letterbox import Letterbox
from loadtests.publisher import Publishing, publish_task
from worker.errors import WorkerError

EVENTS_EVERY_S = 0.5
POLL_WAIT_S = 5.0
PAGE_S = 0.05
"""After an answer with arrivals: as many again share the next one. They bring their own
instants, so no figure waits, and an answer a push would cost more than the push."""
SYNC = "gtfs_static_sync"


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """This process among those of the run: it ``leads``, or is number ``index`` of
    ``of`` that follow.
    """

    leads: bool = True
    index: int = 0
    of: int = 1


class Field:
    """The run as one locust process sees it.

    One greenlet follows arrivals by a long poll, one follows published delays; one
    makes the scenario's events happen, where the run is led. ``late_s``: by how much
    each event was late; ``happened``: what was done besides delays. ``complain`` hears
    of a switchboard that does not answer. ``place``: whether this process leads.
    ``matched_at``: when the push of that id was matched; None where nobody knows.
    """

    def __init__(
        self,
        assignment: Assignment,
        control: Callable[[], Control],
        place: Place,
        complain: Callable[[Exception], None],
        matched_at: Callable[[str], float | None],
    ) -> None:
        self.assignment = assignment
        self.letterbox = Letterbox(new_parcel=AsyncResult)
        self.arrivals = 0
        self.late_s: list[float] = []
        self.happened: list[dict[str, Any]] = []
        self.publishing = Publishing()
        self._control = control
        self.place = place
        self._complain = complain
        self._matched_at = matched_at
        self._numbers = itertools.count()
        self._greenlets: list[gevent.Greenlet[..., None]] = []

    def start(self) -> None:
        """Follow the switchboard from here on."""
        self._greenlets = [
            gevent.spawn(self._follow_arrivals),
            gevent.spawn(self._follow_events),
            *([gevent.spawn(self._make_happen)] if self.place.leads else []),
        ]

    def stop(self) -> None:
        """Follow it no longer."""
        gevent.killall(self._greenlets)

    def next_user(self) -> int:
        """A number that no other commuter has, in no process of the run."""
        number = next(self._numbers) * self.place.of + self.place.index
        return number % self.assignment.scenario.users

    def _make_happen(self) -> None:
        self._ask(
            make_happen,
            self.assignment,
            self._control(),
            late_s=self.late_s,
            done=self.happened,
            sync=lambda: publish_task(SYNC),
            sleep=gevent.sleep,
        )

    def _follow_arrivals(self) -> None:
        control = self._control()
        while (state := self._ask(control.state)) is None:
            pass  # it was complained of, and waited for
        seen = int(state["pushes"])
        while True:
            seen, found = self._ask(control.arrivals, seen, POLL_WAIT_S) or (seen, [])
            for arrival in found:
                if arrival["status"] == 200:
                    self.arrivals += 1
                    self._hand_over(
                        arrival["token"], float(arrival["at"]), arrival["apns_id"]
                    )
            if found:
                gevent.sleep(PAGE_S)

    def _hand_over(self, token: str, at: float, push: str) -> None:
        rides = token in self.letterbox.riders  # nobody asks for another's push
        matched_at = self._matched_at(push) if rides else None
        self.letterbox.arrived(token, at, push, matched_at)

    def _follow_events(self) -> None:
        control = self._control()
        known = 0
        while True:
            events = self._ask(control.events) or []
            for event in events[known:]:
                if event["published_at"] >= self.assignment.starts_at:
                    for route in event["lines"]:
                        self.letterbox.published(route, float(event["published_at"]))
            known = max(known, len(events))
            gevent.sleep(EVENTS_EVERY_S)

    def _ask(self, call: Any, *arguments: Any, **named: Any) -> Any:
        """Ask the outside; complain of what it does not answer, then wait a second."""
        try:
            return call(*arguments, **named)
        except WorkerError as error:
            self._complain(error)
            gevent.sleep(1.0)
            return None
