"""What a calibration holds: demands, overheads, cores, and where they come from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from simulation.assumptions import believed
from simulation.tables import Machine

SYNC, POLL, MATCH, PUSH = (
    "gtfs_static_sync",
    "gtfs_rt_poller",
    "alert_matcher",
    "apns_worker",
)
UPKEEP = "upkeep"

REFUSED_S = 0.01
"""A poll that asks no feed, because every breaker is open: a few round trips to Redis
(assumed)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskDemand:
    """Joint samples of one task's attempts: row k is one attempt.

    ``io_s[k] + units * io_per_unit_s`` seconds outside, CPU alike; ``units`` are
    notifications. ``lag_s``: from the hand-over to an idle child until the attempt has
    started, none when empty. ``cold_s``: what a process's first attempt waits outside
    beyond that. ``failure`` is the share of attempts that failed.
    """

    task: str
    io_s: tuple[float, ...]
    cpu_s: tuple[float, ...]
    rss_mib: tuple[float, ...]
    io_per_unit_s: float = 0.0
    cpu_per_unit_s: float = 0.0
    failure: float = 0.0
    lag_s: tuple[float, ...] = ()
    cold_s: float = 0.0
    source: str = "measured"

    def service_s(self, units: float = 0.0) -> float:
        """Mean time of an attempt with so many notifications, alone on a core."""
        base = float(np.mean(self.io_s)) + float(np.mean(self.cpu_s))
        return base + units * (self.io_per_unit_s + self.cpu_per_unit_s)


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """A model's numbers and where they come from.

    ``beat_lag_s``: samples of published minus slot. ``arrivals``: shares of a sender's
    time at which its first and last push have arrived. ``memory_mib``: label -> peak of
    what the gauges saw in runs without a sync, where there are such;
    ``memory_sync_mib``: in those with one, where there are such, for a child that has
    made one stays larger. ``blind``: polls that brought no news though there was some,
    and polls that could have. ``pace``: how slow the machine was in each window
    of the runs, 1 on average: another run may be as slow, or as quick. ``complaints``:
    why the run should not be trusted. ``apns_rtt_s``: how long Apple's stand-in took to
    answer, None where the run does not say.
    """

    run: str
    users: int
    demands: Mapping[str, TaskDemand]
    machine: Machine
    beat_lag_s: tuple[float, ...]
    arrivals: tuple[float, float]
    memory_mib: Mapping[str, float]
    memory_sync_mib: Mapping[str, float] = field(default_factory=dict)
    blind: tuple[int, int] = (0, 0)
    pace: tuple[float, ...] = (1.0,)
    complaints: tuple[str, ...] = ()
    apns_rtt_s: float | None = None

    @property
    def blind_share(self) -> float:
        """Measured share of polls that brought no news though there was some."""
        blind, judged = self.blind
        return blind / judged if judged else 0.0

    def as_json(self) -> dict[str, Any]:
        """The calibration in short: means, counts, slopes."""
        return {
            "run": self.run,
            "users": self.users,
            "apns_rtt_s": self.apns_rtt_s,
            "v_eff": self.machine.v_eff,
            "parent_s": self.machine.parent_s,
            "between_s": self.machine.between_s,
            "beat_lag_s": float(np.median(self.beat_lag_s)),
            "arrivals": list(self.arrivals),
            "memory_mib": dict(self.memory_mib),
            "blind_polls": list(self.blind),
            "pace": [min(self.pace), max(self.pace)],
            "complaints": list(self.complaints),
            "demands": {
                name: {
                    "source": demand.source,
                    "attempts": len(demand.io_s),
                    "io_s": float(np.mean(demand.io_s)),
                    "cpu_s": float(np.mean(demand.cpu_s)),
                    "rss_mib": float(np.max(demand.rss_mib)),
                    "io_per_unit_s": demand.io_per_unit_s,
                    "cpu_per_unit_s": demand.cpu_per_unit_s,
                    "cold_s": demand.cold_s,
                    "failure": demand.failure,
                }
                for name, demand in self.demands.items()
            },
        }


def assumed_sync(beliefs: Mapping[str, float] | None = None) -> TaskDemand:
    """The timetable sync where no run recorded one."""
    beliefs = believed() if beliefs is None else beliefs
    return TaskDemand(
        task=SYNC,
        io_s=(beliefs["sync_io_s"],),
        cpu_s=(beliefs["sync_cpu_s"],),
        rss_mib=(beliefs["sync_rss_mib"],),
        source="assumed",
    )
