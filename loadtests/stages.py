"""How many users of each kind are there at each second: arithmetic, free of locust."""

from dataclasses import dataclass

from simulation.scenario import Scenario

SPAWN_PER_S = 1500.0
"""Commuters that start in a second; more would delay those that wait."""

LEAD_S = 2.5
"""Between the start of the locust process and its first user."""

GRACE_S = 1.5
"""After the last second of the run: arrivals on their way are still counted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """``users`` are there from now on, ``spawn_rate`` of them starting a second."""

    users: int
    spawn_rate: float


def stage(scenario: Scenario, second: float) -> Stage | None:
    """The stage at a second of the run, negative before it; None when it is over.

    Commuters wait from the start: a delay must meet all riders of its line.
    """
    if second >= scenario.duration_s + GRACE_S:
        return None
    return Stage(users=scenario.users, spawn_rate=SPAWN_PER_S)


def lead_s(scenario: Scenario) -> float:
    """Seconds that locust needs before second 0, until all commuters wait."""
    return LEAD_S + scenario.users / SPAWN_PER_S
