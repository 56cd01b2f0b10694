"""What the users of one locust process share: the run, and who hears of what.

Free of locust itself; its greenlets need gevent's patches, which locust brings.
"""

import itertools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gevent
from gevent.event import AsyncResult
from gevent.lock import BoundedSemaphore

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
    ``ended_at``: until which epoch second what came is counted; None before the end.
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
        self.ended_at: float | None = None
        self._control = control
        self.place = place
        self._complain = complain
        self._matched_at = matched_at
        self._numbers = itertools.count()
        self._seen: int | None = None
        self._events = 0
        self._taking = BoundedSemaphore(1)
        self._greenlets: list[gevent.Greenlet[..., None]] = []

    def start(self) -> None:
        """Follow the switchboard from here on."""
        self._greenlets = [
            gevent.spawn(self._follow_arrivals),
            gevent.spawn(self._follow_events),
            *([gevent.spawn(self._make_happen)] if self.place.leads else []),
        ]

    def end(self) -> None:
        """Follow it no longer than to this instant: what has come is still handed over,
        and its riders have told of it when this returns. Once; later calls do nothing.
        """
        with self._taking:  # what is in the middle of being handed over is so first
            if self.ended_at is not None:
                return
            gevent.killall(self._greenlets)
            self.ended_at = time.time()
            control = self._control()
            self._learn(self._ask(control.events))
            while self._seen is not None and self._take(
                self._ask(control.arrivals, self._seen, 0.0)
            ):
                pass  # taken; asked again until nothing more has come
            control.close()
            # A rider who is woken tells of one delay in his turn, and comes again.
            for _ in range(self._events + 1):
                gevent.sleep(0)

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
        self._seen = int(state["pushes"])
        while True:
            answer = self._ask(control.arrivals, self._seen, POLL_WAIT_S)
            with self._taking:
                found = self._take(answer)
            if found:
                gevent.sleep(PAGE_S)

    def _take(self, answer: tuple[int, list[dict[str, Any]]] | None) -> bool:
        """Hand over the arrivals of an answer; whether there may be more to take."""
        if answer is None:
            return False
        until = math.inf if self.ended_at is None else self.ended_at
        self._seen, found = answer
        for arrival in found:
            at = float(arrival["at"])
            if arrival["status"] == 200 and at <= until:
                self.arrivals += 1
                self._hand_over(arrival["token"], at, arrival["apns_id"])
        return bool(found) and float(found[-1]["at"]) <= until

    def _hand_over(self, token: str, at: float, push: str) -> None:
        rides = token in self.letterbox.riders  # nobody asks for another's push
        matched_at = self._matched_at(push) if rides else None
        self.letterbox.arrived(token, at, push, matched_at)

    def _follow_events(self) -> None:
        control = self._control()
        while True:
            self._learn(self._ask(control.events))
            gevent.sleep(EVENTS_EVERY_S)

    def _learn(self, events: list[dict[str, Any]] | None) -> None:
        """Tell riders of the delays that they have not heard of."""
        for event in (events or [])[self._events :]:
            self._events += 1
            if event["published_at"] >= self.assignment.starts_at:
                for route in event["lines"]:
                    self.letterbox.published(route, float(event["published_at"]))

    def _ask(self, call: Any, *arguments: Any, **named: Any) -> Any:
        """Ask the outside; complain of what it does not answer, then wait a second."""
        try:
            return call(*arguments, **named)
        except WorkerError as error:
            self._complain(error)
            gevent.sleep(1.0)
            return None
