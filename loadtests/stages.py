"""How many users of each kind are there at each second: arithmetic, free of locust."""

from dataclasses import dataclass

from simulation.scenario import Scenario

SPAWN_PER_S = 1500.0
"""Commuters that start in a second; more would delay those that wait."""

LEAD_S = 2.5
"""Between the start of the locust process and its first user."""

PREPARED_PER_S = 15_000.0
"""Rows of the outbox that are written in a second, before a run with a publisher."""

PUBLISHER_S = 2.0
"""A publisher's process imports the worker's app first."""

GRACE_S = 1.5
"""After the last second of the run: arrivals on their way are still counted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """``users`` commuters are there from now on, ``spawn_rate`` a second start; beside
    them ``readers``, and a publisher when there is something to publish.
    """

    users: int
    spawn_rate: float
    readers: int
    publishers: int

    @property
    def total(self) -> int:
        """Users of all kinds."""
        return self.users + self.readers + self.publishers


def stage(scenario: Scenario, second: float) -> Stage | None:
    """The stage at a second of the run, negative before it; None when it is over.

    Commuters wait from the start: a delay must meet all riders of its line.
    """
    if second >= scenario.duration_s + GRACE_S:
        return None
    return Stage(
        users=scenario.users,
        spawn_rate=SPAWN_PER_S,
        readers=scenario.readers,
        publishers=int(bool(scenario.groups())),
    )


def lead_s(scenario: Scenario) -> float:
    """Seconds before second 0 until rows are written, and all users wait."""
    rows = sum(size for _, size in scenario.groups())
    publisher_s = PUBLISHER_S + rows / PREPARED_PER_S if rows else 0.0
    return LEAD_S + scenario.users / SPAWN_PER_S + publisher_s
