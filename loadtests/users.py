"""The users of a load test, as locust runs them.

A ``Commuter`` is a closed workload and named so: he waits for a delay of his line, then
for his push, then for the next delay. What he measures begins at an instant that he
does not choose (the delay's publication), so a slow system cannot hide waits from him.
A ``Publisher`` is an open workload, a ``Reader`` a closed one.
"""

import itertools
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import gevent
from gevent import GreenletExit
from locust import User, constant, constant_pacing, task
from locust.env import Environment
from locust.rpc import Message
from locust.runners import MasterRunner, Runner, WorkerRunner

from loadtests.assignment import Assignment
from loadtests.control import Control
from loadtests.deliveries import Matches
from loadtests.field import Field, Place
from loadtests.letterbox import Onset
from loadtests.options import described
from loadtests.publisher import (
    ahead_of_the_workers,
    groups_of,
    hand_over_as_the_matcher_does,
)
from loadtests.reader import asking
from loadtests.riders import settle_in_from_outside
from loadtests.rig.population import token_of
from loadtests.targets import refuse_foreign_servers
from worker.errors import UsageError, WorkerError

PUSH = ("push", "delay published -> push arrived at the device")
PUBLISH = ("publish", "group due -> handed to Redis (open)")
READ = "read"
AGE = ("age", "of what a line's riders see")
"""Request types and names of what users measure, as locust reports it."""

TOLD = "run"
"""Type of the message in which a master tells its workers what the run is."""


class PushLostError(Exception):
    """No push reached the device until the run was over."""


def options_of(environment: Environment) -> Any:
    """The parsed command line, the web interface's changes included."""
    return environment.parsed_options


def begin(environment: Environment) -> frozenset[str]:
    """A test begins in the process that leads it: read or choose its run, tell those
    that follow, and follow the switchboard. Who follows, by locust's names for them.

    Raises UsageError with one sentence when it cannot begin.
    """
    options = options_of(environment)
    refuse_foreign_servers(
        i_own_this_host=options.i_own_this_host, admin_url=options.admin_database_url
    )
    Control(options.control_url, i_own_this_host=options.i_own_this_host).close()
    if isinstance(environment.runner, MasterRunner):
        _refuse_missing(environment.runner)
    if options.assignment:
        run = Assignment.read(Path(options.assignment))
    else:
        run = described(options)
        run = settle_in_from_outside(
            options.admin_database_url, run, i_own_this_host=options.i_own_this_host
        )
    told, runner = followers(environment.runner), environment.runner
    if isinstance(runner, MasterRunner):
        for place, client in enumerate(sorted(told)):
            what = {"run": run.text(), "index": place, "of": len(told)}
            runner.send_message(TOLD, what, client_id=client)
    _take_part(environment, run, Place())
    return told


def followers(runner: Runner | None) -> frozenset[str]:
    """Locust's names for the processes that follow this one, and are there."""
    if not isinstance(runner, MasterRunner):
        return frozenset()
    gone = {client.id for client in runner.clients.missing}
    return frozenset(runner.clients) - gone


def _refuse_missing(runner: MasterRunner) -> None:
    """Raise UsageError where nobody follows, and where one that followed is gone and
    locust still counts it: a minute after its end it begins a test anew, with users of
    its own choice.
    """
    if not runner.clients:
        raise UsageError(
            "no process follows this master: start one with --worker, then the test"
        )
    if gone := len(runner.clients.missing):
        raise UsageError(
            f"{gone} of the processes that follow are gone; "
            "wait a minute, until locust has forgotten them, or start the master anew"
        )


def follow(environment: Environment) -> None:
    """This process follows: it takes part in the run that its master tells it.

    One that has no switchboard, or whose environment leads to another machine, ends
    here, with exit code 2: its riders would hear of nothing, and be told of as lost.
    """
    runner = environment.runner
    if not isinstance(runner, WorkerRunner):
        return
    options = options_of(environment)
    try:
        Control(options.control_url, i_own_this_host=options.i_own_this_host)
        refuse_foreign_servers(
            i_own_this_host=options.i_own_this_host,
            admin_url=options.admin_database_url,
        )
    except WorkerError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)

    def hear(environment: Environment, msg: Message) -> None:
        place = Place(leads=False, index=msg.data["index"], of=msg.data["of"])
        _take_part(environment, Assignment.of(msg.data["run"]), place)

    runner.register_message(TOLD, hear)


def _take_part(environment: Environment, run: Assignment, place: Place) -> None:
    options = options_of(environment)
    control = partial(
        Control, options.control_url, i_own_this_host=options.i_own_this_host
    )
    complain = _complain_to(environment)
    matches = Matches(options.admin_database_url, complain)
    RunUser.field = Field(run, control, place, complain, matches.at)
    RunUser.field.start()


def _complain_to(environment: Environment) -> Callable[[Exception], None]:
    return lambda error: environment.events.user_error.fire(
        user_instance=None, exception=error, tb=error.__traceback__
    )


class RunUser(User):
    """What all users know: the run that they are part of."""

    abstract = True
    wait_time = constant(0)
    field: ClassVar[Field]

    def on_start(self) -> None:
        """In a process that came when the run was under way nobody rides: its master
        ends the test.
        """
        if not hasattr(RunUser, "field"):
            raise GreenletExit  # locust logs any other end, for each rider

    def tell(
        self, what: tuple[str, str], seconds: float, error: Exception | None = None
    ) -> None:
        """Report one measurement to locust."""
        kind, name = what
        self.environment.events.request.fire(
            request_type=kind,
            name=name,
            response_time=seconds * 1000,
            response_length=0,
            exception=error,
            context={},
        )


class Commuter(RunUser):
    """Waits for a delay of his line, then for the push; closed workload."""

    def on_start(self) -> None:
        """Take a number, and with it a device and a line."""
        super().on_start()
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
        self.tell(PUSH, arrived_at - self.onset.published_at)
        self.onset = None

    def on_stop(self) -> None:
        """A push that never came is a failure, not an omission, and so is that of each
        delay of his line for which he could not wait yet.
        """
        if not hasattr(RunUser, "field"):
            return
        waits_for = [] if self.onset is None else [self.onset]
        for onset in waits_for + self.field.letterbox.later(self.route, self.heard):
            waited_s = time.time() - onset.published_at
            self.tell(PUSH, waited_s, PushLostError("no push until the end of the run"))


class Publisher(RunUser):
    """Hands groups of notifications to the senders at stated instants; open workload.

    One for the whole run: it does not slow down when the senders do.
    """

    fixed_count = 1

    @task
    def publish(self) -> None:
        """Every group of the run, then nothing more."""
        ahead_of_the_workers()
        run, publishing = self.field.assignment, self.field.publishing
        hand = hand_over_as_the_matcher_does(publishing.message_ids)
        publishing.publish(
            groups_of(run),
            hand,
            sleep=gevent.sleep,
            tell=partial(self.tell, PUBLISH),
        )
        gevent.sleep(run.scenario.duration_s)


class Reader(RunUser):
    """Looks at lines and stops, one question a second; closed workload."""

    wait_time = constant_pacing(1.0)
    numbers = itertools.count(1)

    def on_start(self) -> None:
        """Prepare the questions of this rider."""
        super().on_start()
        run = self.field.assignment
        self.asking = asking(run.routes, run.scenario.seed + next(self.numbers))

    @task
    def look(self) -> None:
        """Ask the next question; say how long it took and how old the answer is."""
        began = time.perf_counter()
        try:
            what, took_s, age_s = self.asking.ask()
        except WorkerError as error:
            self.tell((READ, "unanswered"), time.perf_counter() - began, error)
            return
        self.tell((READ, what), took_s)
        if age_s is not None:
            self.tell(AGE, age_s)
