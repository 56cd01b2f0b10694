"""Users by layouts: the hour of a storm, on every layout with the same luck."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from joblib import Parallel, delayed

from simulation.cost import bill
from simulation.demands import Calibration
from simulation.hour import deployed, hour, platform, storm_hour
from simulation.layout import Layout
from simulation.layouts import LAYOUTS
from simulation.memory import pool_mib
from simulation.tables import Floats, Machine
from simulation.workload import stream
from worker.errors import UsageError
from worker.policy import POLICY, Policy


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One layout at one number of users: measure -> mean over hours and interval."""

    users: int
    layout: str
    measures: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    hours: int

    def as_json(self) -> dict[str, Any]:
        """Users, layout, then each measure; intervals beside them."""
        return {
            "users": self.users,
            "layout": self.layout,
            **{name: _plain(value) for name, value in self.measures.items()},
            "intervals": {
                name: [_plain(end) for end in ends]
                for name, ends in self.intervals.items()
            },
            "hours": self.hours,
        }


def sweep(
    calibration: Calibration,
    users: Sequence[int],
    *,
    policy: Policy = POLICY,
    layouts: Sequence[str] = tuple(LAYOUTS),
    hours: int = 24,
    seed: int = 1,
    jobs: int = -1,
    step: Callable[[str], None] = lambda _: None,
) -> list[Row]:
    """Every layout at every number of users, over the same ``hours`` hours; ``step`` is
    told how far it is. Raises UsageError for fewer than 2 hours.
    """
    if hours < 2:
        raise UsageError(f"--hours {hours}: an interval needs at least 2 hours")
    here = deployed(calibration)
    machine = platform(calibration, policy)
    cells = [(number, name) for number in users for name in layouts]
    done = Parallel(n_jobs=jobs, return_as="generator")(
        delayed(_cell)(here, number, name, policy, machine, hours, seed)
        for number, name in cells
    )
    rows: list[Row] = []
    for row in done:
        rows.append(row)
        step(f"{len(rows)} of {len(cells)} cells: {row.users:,} users on {row.layout}")
    return rows


def _cell(
    calibration: Calibration,
    users: int,
    name: str,
    policy: Policy,
    machine: Machine,
    hours: int,
    seed: int,
) -> Row:
    layout = Layout.of(LAYOUTS[name].of(policy))
    seen = [
        hour(
            storm_hour(users, seed=seed, replication=replication),
            calibration,
            layout,
            machine,
            seed=seed,
            replication=replication,
        ).measures
        for replication in range(hours)
    ]
    table = {key: np.array([each[key] for each in seen]) for key in seen[0]}
    rng = stream(seed, "sweep")
    picks = rng.integers(hours, size=(400, hours))
    measures = {key: float(np.nanmean(values)) for key, values in table.items()}
    intervals = {
        key: _interval(np.nanmean(values[picks], axis=1))
        for key, values in table.items()
    }
    month = bill(calibration, layout, users)
    measures["memory_mib"] = sum(pool_mib(calibration, layout).values())
    measures["usd_per_month"] = month.platform_usd
    intervals["usd_per_month"] = month.interval
    return Row(
        users=users, layout=name, measures=measures, intervals=intervals, hours=hours
    )


def _interval(draws: Floats) -> tuple[float, float]:
    low, high = np.quantile(draws, (0.025, 0.975))
    return float(low), float(high)


def _plain(value: float) -> float | None:
    return round(float(value), 5) if np.isfinite(value) else None
