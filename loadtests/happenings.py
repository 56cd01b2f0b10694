"""Make the scenario's events happen at their instants, and say how late each was."""

import time
from collections.abc import Callable
from typing import Any

from loadtests.assignment import Assignment
from loadtests.control import Control

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
    done: list[dict[str, Any]],
    sync: Callable[[], None],
    sleep: Callable[[float], None],
    clock: Callable[[], float] = time.time,
) -> None:
    """Bring about every event of the run; append by how much each was late, and to
    ``done`` what was done besides delays, and when: both once it was brought about.

    Returns after the last one. An event is due at its own instant, whatever the one
    before it took (open workload). ``sync`` asks for one, after NSW has published a new
    timetable. Groups are the publisher's.
    """
    for event in run.scenario.events():
        if event.kind == "publish":
            continue
        due_at = run.starts_at + event.at_s
        sleep(max(0.0, due_at - clock()))
        at = clock()
        if event.kind == "delay":
            control.delay(run.routes_of(event), event.value, event.duration_s)
            late_s.append(at - due_at)
            continue
        if event.kind == "sync":
            control.reissue()
            sync()
        else:
            target, kind = FAULTS[event.kind]
            asked = {"target": target, "kind": kind, "duration_s": event.duration_s}
            control.fault({**asked, "value": event.value} if event.value else asked)
        late_s.append(at - due_at)
        done.append(
            {
                "kind": event.kind,
                "at": at,
                "value": event.value,
                "duration_s": event.duration_s,
            }
        )
