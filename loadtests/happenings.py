"""Make the scenario's events happen at their instants, and say how late each was."""

import time
from collections.abc import Callable

from loadtests.assignment import Assignment
from loadtests.control import Control
from simulation.scenario import Event

FAULTS = {
    "nsw_slow": ("nsw", "slow"),
    "nsw_down": ("nsw", "status"),
    "apns_slow": ("apns", "slow"),
    "redis_cut": ("redis", "cut"),
}
"""Kind of event -> target and kind of the switchboard's fault."""


def make_happen(
    run: Assignment,
    control: Control,
    *,
    late_s: list[float],
    sleep: Callable[[float], None],
    clock: Callable[[], float] = time.time,
) -> None:
    """Bring about every event of the run; append by how much each was late.

    Returns after the last one. An event is due at its own instant, whatever the one
    before it took (open workload). A sync is not the outside's: see ``run``.
    """
    for event in run.scenario.events():
        due_at = run.starts_at + event.at_s
        sleep(max(0.0, due_at - clock()))
        late_s.append(clock() - due_at)
        _bring_about(event, run, control)


def _bring_about(event: Event, run: Assignment, control: Control) -> None:
    if event.kind == "delay":
        control.delay(run.routes_of(event), event.value, event.duration_s)
    elif event.kind in FAULTS:
        target, kind = FAULTS[event.kind]
        asked = {"target": target, "kind": kind, "duration_s": event.duration_s}
        control.fault({**asked, "value": event.value} if event.value else asked)
