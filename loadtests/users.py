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
from typing import Any, ClassVar, TypeVar

import gevent
from locust import User, constant, constant_pacing, task
from locust.env import Environment
from locust.rpc import Message
from locust.runners import MasterRunner, WorkerRunner

from loadtests.assignment import Assignment, assign, often_polled
from loadtests.control import Control
from loadtests.field import Field, Place
from loadtests.letterbox import Onset
from loadtests.publisher import (
    ahead_of_the_workers,
    groups_of,
    hand_over_as_the_matcher_does,
)
from loadtests.reader import asking
from loadtests.riders import settle_in_from_outside
from loadtests.rig.population import token_of
from loadtests.stages import lead_s
from loadtests.targets import refuse_foreign_servers
from simulation.scenarios import scenario
from worker.errors import UsageError, WorkerError
from worker.policy import POLICY

PUSH = ("push", "delay published -> push arrived at the device")
PUBLISH = ("publish", "group due -> handed to Redis (open)")
READ = "read"
AGE = ("age", "of what a line's riders see")
"""Request types and names of what users measure, as locust reports it."""

TOLD = "run"
"""Type of the message in which a master tells its workers what the run is."""

DEFAULT_SECONDS = 120.0
SEED = 1

Number = TypeVar("Number", int, float)


class PushLostError(Exception):
    """No push reached the device until the run was over."""


def options_of(environment: Environment) -> Any:
    """The parsed command line, the web interface's changes included."""
    return environment.parsed_options


def begin(environment: Environment) -> None:
    """A test begins in the process that leads it: read or choose its run, tell those
    that follow, and follow the switchboard.

    Raises UsageError with one sentence when it cannot begin.
    """
    options = options_of(environment)
    if options.assignment:
        run = Assignment.read(Path(options.assignment))
    else:
        refuse_foreign_servers(i_own_this_host=options.i_own_this_host)
        run = _by_options(options)
        run = settle_in_from_outside(
            options.admin_database_url, run, i_own_this_host=options.i_own_this_host
        )
    runner = environment.runner
    if isinstance(runner, MasterRunner):
        clients = list(runner.clients)
        for place, client in enumerate(clients):
            told = {"run": run.text(), "index": place, "of": len(clients)}
            runner.send_message(TOLD, told, client_id=client)
    _take_part(environment, run, Place())


def follow(environment: Environment) -> None:
    """This process follows: it takes part in the run that its master tells it.

    One whose environment leads to another machine ends here, with exit code 2.
    """
    runner = environment.runner
    if not isinstance(runner, WorkerRunner):
        return
    own = options_of(environment).i_own_this_host
    try:
        refuse_foreign_servers(i_own_this_host=own)
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
    RunUser.field = Field(run, control, place, _complain_to(environment))
    RunUser.field.start()


def _complain_to(environment: Environment) -> Callable[[Exception], None]:
    return lambda error: environment.events.user_error.fire(
        user_instance=None, exception=error, tb=error.__traceback__
    )


def _by_options(options: Any) -> Assignment:
    """The run that the command line, or the web interface, describes."""
    control = Control(options.control_url, i_own_this_host=options.i_own_this_host)
    seed = _number("--seed", options.seed, int)
    chosen = scenario(
        options.scenario,
        users=int(options.num_users or 1),
        duration_s=float(options.run_time or DEFAULT_SECONDS),
        seed=SEED if seed is None else seed,
        groups_per_s=_number("--groups-per-s", options.groups_per_s, float),
    )
    # An earlier test in this world may have delayed the lines that this one draws.
    control.reset()
    lines = often_polled(control.state(), POLICY)
    return assign(chosen, lines, starts_at=time.time() + lead_s(chosen))


def _number(name: str, text: str, kind: Callable[[str], Number]) -> Number | None:
    """An option as it was typed, or as locust's page sends it; None when empty."""
    try:
        return kind(text) if text.strip() else None
    except ValueError:
        raise UsageError(f"{name} {text}: it is a number") from None


class RunUser(User):
    """What all users know: the run that they are part of."""

    abstract = True
    wait_time = constant(0)
    field: ClassVar[Field]

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
        """A push that never came is a failure, not an omission."""
        if self.onset is not None:
            waited_s = time.time() - self.onset.published_at
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
