"""The users of a load test, as locust runs them.

A ``Commuter`` is a closed workload and named so: he waits for a delay of his line, then
for his push, then for the next delay. What he measures begins at an instant that he
does not choose (the delay's publication), so a slow system cannot hide waits from him.
"""

import itertools
import time
from typing import Any, ClassVar

import gevent
from gevent.event import AsyncResult
from locust import User, constant, task
from locust.env import Environment
from locust.runners import WorkerRunner

from loadtests.assignment import Assignment, assign
from loadtests.control import Control
from loadtests.happenings import make_happen
from loadtests.letterbox import Letterbox, Onset
from loadtests.riders import settle_in_from_outside
from loadtests.rig.population import token_of
from loadtests.stages import lead_s
from simulation.scenarios import scenario
from worker.errors import UsageError

PUSH = ("push", "delay published -> push arrived at the device")
"""Request type and name of what a commuter measures, as locust reports it."""

DEFAULT_SECONDS = 120.0
EVENTS_EVERY_S = 0.5
POLL_WAIT_S = 5.0


class PushLostError(Exception):
    """No push reached the device until the run was over."""


def options_of(environment: Environment) -> Any:
    """The parsed command line, the web interface's changes included."""
    return environment.parsed_options


class Field:
    """What the users of one locust process share: the run, and who hears of what.

    One greenlet follows arrivals by a long poll, one follows published delays; one
    makes the scenario's events happen, where the run is led. ``late_s``: by how much
    each event was late.
    """

    def __init__(self, environment: Environment, assignment: Assignment) -> None:
        self.assignment = assignment
        self.letterbox = Letterbox(new_parcel=AsyncResult)
        self.arrivals = 0
        self.late_s: list[float] = []
        self._environment = environment
        self._numbers = itertools.count()
        self._greenlets: list[gevent.Greenlet[..., None]] = []

    def start(self) -> None:
        """Follow the switchboard from here on."""
        leads = not isinstance(self._environment.runner, WorkerRunner)
        self._greenlets = [
            gevent.spawn(self._follow_arrivals),
            gevent.spawn(self._follow_events),
            *([gevent.spawn(self._make_happen)] if leads else []),
        ]

    def stop(self) -> None:
        """Follow it no longer."""
        gevent.killall(self._greenlets)

    def control(self) -> Control:
        """A connection to the switchboard of the caller's own."""
        options = options_of(self._environment)
        return Control(options.control_url, i_own_this_host=options.i_own_this_host)

    def next_user(self) -> int:
        """A number that no other commuter has, in no process of the run."""
        runner = self._environment.runner
        number = next(self._numbers)
        if isinstance(runner, WorkerRunner):
            workers = options_of(self._environment).load_workers
            number = number * int(workers) + runner.worker_index
        return number % self.assignment.scenario.users

    def _make_happen(self) -> None:
        self._ask(
            make_happen,
            self.assignment,
            self.control(),
            late_s=self.late_s,
            sleep=gevent.sleep,
        )

    def _follow_arrivals(self) -> None:
        control = self.control()
        seen = int(control.state()["pushes"])
        while True:
            seen, found = self._ask(control.arrivals, seen, POLL_WAIT_S) or (seen, [])
            for arrival in found:
                if arrival["status"] == 200:
                    self.arrivals += 1
                    self.letterbox.arrived(
                        arrival["token"], float(arrival["at"]), arrival["apns_id"]
                    )

    def _follow_events(self) -> None:
        control = self.control()
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
        """Ask the switchboard; what it cannot answer is asked again a second later."""
        try:
            return call(*arguments, **named)
        except UsageError as error:
            self._environment.events.user_error.fire(
                user_instance=None, exception=error, tb=error.__traceback__
            )
            gevent.sleep(1.0)
            return None


def begin(environment: Environment) -> None:
    """A test begins in this process: read or choose its run, and follow it.

    Raises UsageError with one sentence when it cannot begin.
    """
    options = options_of(environment)
    if options.assignment:
        run = Assignment.read(options.assignment)
    else:
        run = _by_options(options)
        if not isinstance(environment.runner, WorkerRunner):
            settle_in_from_outside(options.admin_database_url, run)
    Commuter.field = Field(environment, run)
    Commuter.field.start()


def _by_options(options: Any) -> Assignment:
    """The run that the command line, or the web interface, describes."""
    control = Control(options.control_url, i_own_this_host=options.i_own_this_host)
    chosen = scenario(
        options.scenario,
        users=int(options.num_users or 1),
        duration_s=float(options.run_time or DEFAULT_SECONDS),
        seed=options.seed,
    )
    lines = control.state()["lines"]
    return assign(chosen, lines, starts_at=time.time() + lead_s(chosen))


class Commuter(User):
    """Waits for a delay of his line, then for the push; closed workload."""

    wait_time = constant(0)
    field: ClassVar[Field]

    def on_start(self) -> None:
        """Take a number, and with it a device and a line."""
        run = self.field.assignment
        user = self.field.next_user()
        self.token = token_of(run.scenario.seed, user)
        self.route = run.route_of(user)
        self.onset: Onset | None = None
        self.heard = 0
        self.field.letterbox.join(self.token, self.route)

    @task
    def ride(self) -> None:
        """One delay of the line, from its publication to the push."""
        box = self.field.letterbox
        self.onset = box.onset(self.route, self.heard).get()
        self.heard += 1
        arrived_at = box.push(self.token, self.onset).get()
        self._tell(arrived_at - self.onset.published_at, None)
        self.onset = None

    def on_stop(self) -> None:
        """A push that never came is a failure, not an omission."""
        if self.onset is not None:
            waited_s = time.time() - self.onset.published_at
            self._tell(waited_s, PushLostError("no push until the end of the run"))

    def _tell(self, seconds: float, error: Exception | None) -> None:
        kind, name = PUSH
        self.environment.events.request.fire(
            request_type=kind,
            name=name,
            response_time=seconds * 1000,
            response_length=0,
            exception=error,
            context={},
        )
