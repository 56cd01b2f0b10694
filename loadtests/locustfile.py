"""Load tests as plain locust runs them: ``locust -f loadtests/locustfile.py``.

Needs the stand-in world: RIG_CONTROL_URL, as ``python -m loadtests rig`` sets it.
``python -m loadtests run`` does the rest too: rig, workers, riders, recording.
"""

import locust  # isort: skip  # first: its gevent patches must precede every socket

import json
import os
import sys
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import gevent
from locust import events
from locust.env import Environment
from locust.runners import WorkerRunner

from loadtests.assignment import Assignment, assign
from loadtests.control import Control
from loadtests.happenings import make_happen
from loadtests.riders import settle_in_from_outside
from loadtests.shapes import ScenarioShape
from loadtests.stages import lead_s
from loadtests.users import Commuter, Field, options_of
from simulation.scenarios import SCENARIOS, scenario
from worker.errors import UsageError, WorkerError

__all__ = ["Commuter", "ScenarioShape", "locust"]

DEFAULT_USERS = 200
DEFAULT_SECONDS = 120


@events.init_command_line_parser.add_listener
def _options(parser: ArgumentParser) -> None:
    own = parser.add_argument_group("Transit load test")
    own.add_argument("--scenario", choices=list(SCENARIOS), default="disruption")
    own.add_argument("--seed", type=int, default=1, help="of riders and onsets")
    own.add_argument(
        "--control-url",
        env_var="RIG_CONTROL_URL",
        default="",
        help="the rig's switchboard",
    )
    own.add_argument(
        "--i-own-this-host",
        action="store_true",
        help="allow a switchboard that is not on this machine",
    )
    own.add_argument(
        "--assignment", type=Path, help="run described in this file; riders are there"
    )
    own.add_argument(
        "--load-workers", type=int, default=1, help="locust workers beside a master"
    )
    own.add_argument("--told", type=Path, help="write counters to this file at the end")


@events.test_start.add_listener
def _begin(environment: Environment, **_: object) -> None:
    options = options_of(environment)
    try:
        run = (
            Assignment.read(options.assignment)
            if options.assignment
            else _by_options(environment)
        )
    except WorkerError as error:
        _refuse(environment, error)
        return
    field = Field(environment, run)
    Commuter.field = field
    field.start()
    late_s: list[float] = []
    if not isinstance(environment.runner, WorkerRunner):
        gevent.spawn(_happen, field, late_s)
    environment.events.test_stop.add_listener(
        lambda **_: _end(environment, field, late_s)
    )


def _by_options(environment: Environment) -> Assignment:
    """The run that the options and the web interface describe."""
    options = options_of(environment)
    control = Control(options.control_url, i_own_this_host=options.i_own_this_host)
    chosen = scenario(
        options.scenario,
        users=int(options.num_users or DEFAULT_USERS),
        duration_s=float(options.run_time or DEFAULT_SECONDS),
        seed=options.seed,
    )
    run = assign(
        chosen, control.state()["lines"], starts_at=time.time() + lead_s(chosen)
    )
    if not isinstance(environment.runner, WorkerRunner):
        settle_in_from_outside(os.environ.get("RIG_ADMIN_DATABASE_URL", ""), run)
    return run


def _happen(field: Field, late_s: list[float]) -> None:
    try:
        make_happen(
            field.assignment,
            field.control(),
            sleep=gevent.sleep,
            late_s=late_s,
        )
    except UsageError as error:
        sys.stderr.write(f"{error}\n")


def _end(environment: Environment, field: Field, late_s: list[float]) -> None:
    field.stop()
    path = options_of(environment).told
    if path is not None:
        path.write_text(json.dumps(_told(environment, field, late_s)) + "\n")


def _told(
    environment: Environment, field: Field, late_s: list[float]
) -> dict[str, Any]:
    total = environment.stats.total
    used = os.times()
    return {
        "ended_at": time.time(),
        "requests": total.num_requests,
        "failures": total.num_failures,
        "arrivals": field.arrivals,
        "duplicates": field.letterbox.duplicates,
        "strangers": field.letterbox.strangers,
        "events_late_s": late_s,
        "cpu_s": used.user + used.system,
    }


def _refuse(environment: Environment, error: Exception) -> None:
    sys.stderr.write(f"{error}\n")
    environment.process_exit_code = 2
    if environment.runner is not None:
        environment.runner.quit()
