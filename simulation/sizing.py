"""How many children send: every number of them over a year, and the cheapest kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from joblib import Parallel, delayed

from simulation.assumptions import believed
from simulation.cost import lines_of
from simulation.days import sydney_day
from simulation.demands import Calibration
from simulation.hour import deployed, platform
from simulation.layout import Layout
from simulation.loop import sender
from simulation.storms import heard, ran
from simulation.tables import Floats
from simulation.workload import stream
from worker.errors import UsageError
from worker.policy import POLICY, Policy, vary
from worker.policy.objectives import LATE_PUSH_S

DAYS = 7
RESAMPLES = 1_000
BIN_S = 0.05
LONGEST_S = 1_200.0
"""No push takes as long: it expires before. Times of a year are counted by bins, since
fifty million of them fill the memory."""

Verdict = Literal["kept", "undecided", "broken"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Weeks:
    """Pushes week by week: how many there should have been, how many of them came late
    or never; and how many took how long, by bins of ``BIN_S``.
    """

    told: npt.NDArray[np.int64]
    late: npt.NDArray[np.int64]
    times: npt.NDArray[np.int64]

    @property
    def share(self) -> float:
        """Share of all pushes that came late, or never."""
        return float(self.late.sum() / max(1, self.told.sum()))

    def interval(self, seed: int) -> tuple[float, float]:
        """95 % interval of that share, by bootstrap over weeks: what happened in one
        stays together. The same weeks are drawn whatever the policy.
        """
        count = len(self.told)
        picks = stream(seed, "weeks").integers(count, size=(RESAMPLES, count))
        draws = self.late[picks].sum(axis=1) / self.told[picks].sum(axis=1).clip(min=1)
        low, high = np.quantile(draws, (0.025, 0.975))
        return float(low), float(high)

    def quantile_s(self, share: float) -> float:
        """Seconds within which that share of what arrived had arrived."""
        ranks = np.cumsum(self.times)
        return float(BIN_S * (1 + np.searchsorted(ranks, share * ranks[-1])))


def some_weeks(
    calibration: Calibration,
    users: int,
    *,
    policy: Policy = POLICY,
    weeks: int,
    seed: int = 1,
) -> Weeks:
    """Every day of so many weeks, with the assumptions at their values."""
    here, machine = deployed(calibration), platform(calibration, policy)
    layout, beliefs = Layout.of(policy), believed()
    told, late = np.zeros((2, weeks), dtype=np.int64)
    times = np.zeros(round(LONGEST_S / BIN_S), dtype=np.int64)
    for number in range(weeks * DAYS):
        happenings = sydney_day(number, users, seed=seed, beliefs=beliefs)
        day = ran(happenings, here, layout, machine, seed=seed, replication=number)
        _, took_s, lost = heard(*day)
        told[number // DAYS] += len(took_s) + lost
        late[number // DAYS] += int((took_s > LATE_PUSH_S).sum()) + lost
        times += _binned(took_s, len(times))
    return Weeks(told=told, late=late, times=times)


def grid(
    calibration: Calibration,
    users: Sequence[int],
    children: Sequence[int],
    *,
    policy: Policy = POLICY,
    batch_size: int | None = None,
    weeks: int = 52,
    seed: int = 1,
    jobs: int = -1,
) -> list[dict[str, Any]]:
    """Late pushes of some weeks with their interval, what that says of the promise, and
    the bill, of every number of the sender's children at every number of users. Raises
    UsageError for fewer than 2 weeks.
    """
    if weeks < 2:
        raise UsageError(f"--weeks {weeks}: an interval needs at least 2 weeks")
    pool = sender(Layout.of(policy)).name
    cells = []
    for count in children:
        varied = vary(policy, f"pools.{pool}.children", count)
        if batch_size is not None:
            varied = vary(varied, "push.batch_size", batch_size)
        cells += [(number, count, varied) for number in users]
    lived = Parallel(n_jobs=jobs)(
        delayed(some_weeks)(calibration, number, policy=varied, weeks=weeks, seed=seed)
        for number, _, varied in cells
    )
    rows = []
    for (number, count, varied), each in zip(cells, lived, strict=True):
        lines = lines_of(calibration, Layout.of(varied), number, believed())
        ends = each.interval(seed)
        rows.append(
            {
                "users": number,
                "children": count,
                "batch_size": varied.push.batch_size,
                "late": each.share,
                "late_interval": list(ends),
                "promise": verdict(ends, policy),
                "p95_s": each.quantile_s(0.95),
                "p99_s": each.quantile_s(0.99),
                "usd_per_month": sum(lines.values()),
            }
        )
    return rows


def verdict(ends: tuple[float, float], policy: Policy = POLICY) -> Verdict:
    """What an interval of the late share says of the promise: kept or broken by all of
    it, else undecided. That 95 % arrive in time is the same promise.
    """
    promise = policy.objectives["late_pushes"]
    low, high = ends
    if promise.met(high):
        return "kept"
    return "undecided" if promise.met(low) else "broken"


def cheapest(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The cheapest row of each number of users that keeps what riders are promised;
    where none surely does, the one with the fewest late pushes.
    """
    found = []
    for users in sorted({row["users"] for row in rows}):
        mine = [row for row in rows if row["users"] == users]
        kept = [row for row in mine if row["promise"] == "kept"]
        best = (
            min(kept, key=lambda row: (row["usd_per_month"], row["late"]))
            if kept
            else min(mine, key=lambda row: (row["late"], row["usd_per_month"]))
        )
        found.append(dict(best))
    return found


def _binned(took_s: Floats, bins: int) -> npt.NDArray[np.int64]:
    places = np.minimum((took_s / BIN_S).astype(np.int64), bins - 1)
    return np.bincount(places, minlength=bins)
