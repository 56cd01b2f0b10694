"""The run that locust's command line, or its page, describes; free of locust."""

import time
from collections.abc import Callable
from contextlib import closing
from typing import Any, TypeVar

from loadtests.assignment import Assignment, assign, often_polled, refuse_made_up
from loadtests.control import Control
from loadtests.stages import lead_s
from simulation.scenarios import scenario
from worker.errors import UsageError
from worker.policy import POLICY

DEFAULT_SECONDS = 120.0
SEED = 1

Number = TypeVar("Number", int, float)


def described(options: Any) -> Assignment:
    """The run of these options, in a world that forgets what an earlier one has done.

    Raises UsageError for what cannot be, and without a switchboard.
    """
    seed = number("--seed", options.seed, int)
    chosen = scenario(
        options.scenario,
        users=int(options.num_users or 1),
        duration_s=float(options.run_time or DEFAULT_SECONDS),
        seed=SEED if seed is None else seed,
        groups_per_s=number("--groups-per-s", options.groups_per_s, float),
    )
    with closing(
        Control(options.control_url, i_own_this_host=options.i_own_this_host)
    ) as control:
        refuse_made_up(chosen, replays=control.state()["replays"])
        # An earlier test in this world may have delayed the lines that this one draws.
        control.reset()
        lines = often_polled(control.state(), POLICY)
    return assign(chosen, lines, starts_at=time.time() + lead_s(chosen))


def number(name: str, text: str, kind: Callable[[str], Number]) -> Number | None:
    """An option as it was typed, or as locust's page sends it; None when empty.

    Raises UsageError for what is no number.
    """
    try:
        return kind(text) if text.strip() else None
    except ValueError:
        raise UsageError(f"{name} {text}: it is a number") from None
