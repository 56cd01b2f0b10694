"""Load tests as plain locust runs them: ``locust -f loadtests/locustfile.py``.

Needs the stand-in world: RIG_CONTROL_URL, as ``python -m loadtests rig`` sets it.
``python -m loadtests run`` does the rest too: rig, workers, riders, recording.
"""

import locust  # isort: skip  # first: its gevent patches must precede every socket

import json
import os
from pathlib import Path
from typing import Any

from locust import events
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment

from loadtests.options import SEED
from loadtests.shapes import ScenarioShape
from loadtests.users import (
    PUSH,
    Commuter,
    Publisher,
    Reader,
    RunUser,
    follow,
    options_of,
)
from simulation.scenarios import SCENARIOS

__all__ = ["Commuter", "Publisher", "Reader", "ScenarioShape", "locust"]


@events.init_command_line_parser.add_listener
def _options(parser: LocustArgumentParser) -> None:
    # Locust's page has no password: on this machine alone, unless told otherwise.
    parser.set_defaults(web_host="127.0.0.1")
    # Not in a group of their own: what is in one does not stand on locust's page.
    parser.add_argument("--scenario", choices=list(SCENARIOS), default="disruption")
    # Numbers are text here: locust's page fails on a number's field that was emptied.
    parser.add_argument("--seed", default=str(SEED), help="of riders and onsets")
    parser.add_argument(
        "--control-url",
        env_var="RIG_CONTROL_URL",
        default="",
        help="the rig's switchboard",
    )
    parser.add_argument(
        "--admin-database-url",
        env_var="RIG_ADMIN_DATABASE_URL",
        include_in_web_ui=False,  # it has a password
        default="",
        help="where the riders are put, and those before them thrown out",
    )
    parser.add_argument(
        "--i-own-this-host",
        action="store_true",
        include_in_web_ui=False,
        help="allow a switchboard that is not on this machine",
    )
    parser.add_argument(
        "--groups-per-s", default="", help="groups that a publisher hands over"
    )
    # Text, not paths: a master sends its options to those that follow it.
    parser.add_argument(
        "--assignment",
        include_in_web_ui=False,
        help="run described in this file; riders are there",
    )
    parser.add_argument(
        "--told",
        include_in_web_ui=False,
        help="write counters to this file at the end; those that follow a master write "
        "to FILE.0, FILE.1 and so on",
    )


@events.init.add_listener
def _init(environment: Environment, **_: object) -> None:
    # Users have no host, and need none; locust's page and report ask for one.
    RunUser.host = options_of(environment).control_url
    # A process that leads begins when locust asks the shape; others are told.
    follow(environment)


@events.test_stopping.add_listener
def _last_pushes(environment: Environment, **_: object) -> None:
    # While riders still wait: locust ends them next, and each that waits has lost one.
    if hasattr(RunUser, "field"):
        RunUser.field.end()


@events.test_stop.add_listener
def _end(environment: Environment, **_: object) -> None:
    if isinstance(environment.shape_class, ScenarioShape):
        environment.shape_class.end()
    if not hasattr(RunUser, "field"):
        return
    path, place = options_of(environment).told, RunUser.field.place
    if path:
        own = Path(path if place.leads else f"{path}.{place.index}")
        own.write_text(json.dumps(_told(environment)) + "\n")


def _told(environment: Environment) -> dict[str, Any]:
    field, used = RunUser.field, os.times()
    pushes = environment.stats.get(PUSH[1], PUSH[0])
    return {
        "ended_at": field.ended_at,
        "requests": pushes.num_requests,
        "failures": pushes.num_failures,
        "arrivals": field.arrivals,
        "duplicates": field.letterbox.duplicates,
        "further": field.letterbox.further,
        "strangers": field.letterbox.strangers,
        "events_late_s": [round(late_s, 6) for late_s in field.late_s],
        "happened": field.happened,
        "published": field.publishing.as_json(),
        "cpu_s": used.user + used.system,
    }
