"""What one run does: a scenario, which route each of its lines is, when it starts.

Written by whoever starts a run, read by the locust process; free of locust.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from simulation.scenario import Event, Scenario
from worker.errors import UsageError
from worker.policy import Policy

MOST_USERS = 1_000_000
MOST_NOTIFICATIONS = 2_000_000
"""Rows that a run may put into the database: each is some hundred bytes there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Assignment:
    """``routes[k]`` is the route_id of the scenario's line ``k``.

    ``starts_at``: real epoch seconds of the scenario's second 0. ``notifications``: ids
    of the outbox that the scenario's groups hand to the senders, group after group.
    """

    scenario: Scenario
    routes: tuple[str, ...]
    starts_at: float
    notifications: tuple[int, ...] = ()

    @property
    def ends_at(self) -> float:
        """Real epoch seconds at which the run's window closes."""
        return self.starts_at + self.scenario.duration_s

    def route_of(self, user: int) -> str:
        """The route that a user's favorite names."""
        return self.routes[user % self.scenario.lines]

    def riders_of(self, route: str) -> int:
        """How many users have the route as their favorite."""
        line = self.routes.index(route)
        return len(self.scenario.commuters_of(line))

    def routes_of(self, event: Event) -> list[str]:
        """The routes that an event concerns; every one for line -1."""
        return list(self.routes) if event.line < 0 else [self.routes[event.line]]

    def text(self) -> str:
        """As JSON, for other processes of the run."""
        return json.dumps(asdict(self))

    def write(self, path: Path) -> None:
        """Write it to a file, for the locust process."""
        path.write_text(self.text() + "\n")

    @classmethod
    def read(cls, path: Path) -> "Assignment":
        """Read what ``write`` wrote; raises UsageError when it is something else."""
        try:
            return cls.of(path.read_text())
        except OSError as error:
            raise UsageError(f"{path} describes no load run: {error}") from None

    @classmethod
    def of(cls, text: str) -> "Assignment":
        """What ``text`` gave; raises UsageError for something else."""
        try:
            values = json.loads(text)
            scenario = values["scenario"]
            scenario["extra_events"] = tuple(
                Event(**event) for event in scenario["extra_events"]
            )
            scenario["groups_per_s"] = tuple(scenario["groups_per_s"])
            scenario["day"] = tuple(tuple(part) for part in scenario["day"])
            return cls(
                scenario=Scenario(**scenario),
                routes=tuple(values["routes"]),
                starts_at=float(values["starts_at"]),
                notifications=tuple(values["notifications"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(f"this describes no load run: {error}") from None


def often_polled(state: Mapping[str, Any], policy: Policy) -> list[str]:
    """Routes of the feeds at the busiest cadence, the busiest route first, of what the
    switchboard says: the riders of another would hear when the run is over.
    """
    often_s = min(feed.intervals.peak_s for feed in policy.feeds.values())
    soon = {
        line
        for name, feed in policy.feeds.items()
        if feed.intervals.peak_s == often_s
        for line in state["feeds"].get(name, {}).get("lines", [])
    }
    return [line for line in state["lines"] if line in soon]


def refuse_made_up(scenario: Scenario, *, replays: bool) -> None:
    """Raise UsageError for a scenario of recorded feeds in a world that has none."""
    if scenario.recorded and not replays:
        raise UsageError(
            f"scenario {scenario.name} needs what NSW published: --static a GTFS zip "
            "and --realtime a folder of the same day"
        )


def refuse_endless(scenario: Scenario) -> None:
    """Raise UsageError for a run that would put more into the database than is sane."""
    if scenario.users > MOST_USERS:
        raise UsageError(
            f"--users {scenario.users:,} is more than the {MOST_USERS:,} that a load "
            "run puts into its database; the model takes any number: "
            f"python -m simulation run {scenario.name} --users {scenario.users}"
        )
    rates = scenario.groups_per_s or (0.0,)
    groups = sum(rates) / len(rates) * scenario.duration_s
    notifications = groups * (scenario.group_least + scenario.group_most) / 2
    if notifications > MOST_NOTIFICATIONS:
        raise UsageError(
            f"scenario {scenario.name} would publish some {notifications:,.0f} "
            f"notifications, more than {MOST_NOTIFICATIONS:,}: give a lower "
            "--groups-per-s or fewer minutes"
        )


def assign(
    scenario: Scenario,
    routes: Sequence[str],
    *,
    starts_at: float,
    avoid: Collection[str] = (),
) -> Assignment:
    """Give the scenario's lines the first routes that are there and not to be avoided.

    Raises UsageError when there are too few, for a line needs a route of its own, and
    for a scenario that is endless.
    """
    refuse_endless(scenario)
    free = [route for route in routes if route not in avoid]
    chosen = tuple(free[: scenario.lines])
    if len(chosen) < scenario.lines:
        raise UsageError(
            f"scenario {scenario.name} needs {scenario.lines} lines, the feeds hold "
            f"{len(free)} for it now: give --lines, fewer minutes or a larger network"
        )
    return Assignment(scenario=scenario, routes=chosen, starts_at=starts_at)
