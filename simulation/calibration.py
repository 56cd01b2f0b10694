"""What one recorded run says about the workers: demands, overheads, cores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from simulation.assumptions import assumed
from simulation.noise import complaints, v_eff_of
from simulation.runs import Run
from simulation.tables import Floats, Machine
from worker.errors import UsageError
from worker.policy import POLICY, Every, Policy, apply_settings
from worker.records import Delivery, Outcome, TaskRecord

SYNC, POLL, MATCH, PUSH = (
    "gtfs_static_sync",
    "gtfs_rt_poller",
    "alert_matcher",
    "apns_worker",
)
NEEDED = (POLL, MATCH, PUSH)
"""Tasks without which a run says nothing about a rider's wait."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskDemand:
    """Joint samples of one task's attempts: row k is one attempt.

    ``io_s[k] + units * io_per_unit_s`` seconds outside, CPU alike; ``units`` are
    notifications. ``failure`` is the share of attempts that failed.
    """

    task: str
    io_s: tuple[float, ...]
    cpu_s: tuple[float, ...]
    rss_mib: tuple[float, ...]
    io_per_unit_s: float = 0.0
    cpu_per_unit_s: float = 0.0
    failure: float = 0.0
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
    what the run's gauges saw. ``complaints``: why the run should not be trusted.
    """

    run: str
    users: int
    demands: Mapping[str, TaskDemand]
    machine: Machine
    beat_lag_s: tuple[float, ...]
    arrivals: tuple[float, float]
    memory_mib: Mapping[str, float]
    complaints: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The calibration in short: means, counts, slopes."""
        return {
            "run": self.run,
            "users": self.users,
            "v_eff": self.machine.v_eff,
            "parent_s": self.machine.parent_s,
            "between_s": self.machine.between_s,
            "beat_lag_s": float(np.median(self.beat_lag_s)),
            "arrivals": list(self.arrivals),
            "memory_mib": dict(self.memory_mib),
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
                    "failure": demand.failure,
                }
                for name, demand in self.demands.items()
            },
        }


def policy_of(run: Run, policy: Policy = POLICY) -> Policy:
    """The policy that the run obeyed: today's, with the run's own ``--set``."""
    settings = run.about.get("settings") or ()
    if isinstance(settings, Mapping):
        settings = [f"{path}={value}" for path, value in settings.items()]
    return apply_settings(policy, settings)


def calibrate(run: Run, *, strict: bool = True) -> Calibration:
    """Read a run; raises UsageError when it says nothing, or when it is noisy and
    ``strict``.
    """
    policy = policy_of(run)
    attempts = [record for record in run.records.tasks if record.started_at is not None]
    silent = [
        name
        for name in NEEDED
        if not any(r.task == name and r.outcome is Outcome.SUCCEEDED for r in attempts)
    ]
    if silent:
        raise UsageError(
            f"{run.name} cannot calibrate: no attempt of {', '.join(silent)} succeeded "
            "in it; look at its tasks.csv, or record another run"
        )
    wrong = complaints(run)
    if strict and wrong:
        raise UsageError(
            f"{run.name} is refused as a calibration: {'; '.join(wrong)}; "
            "record it again on a quiet machine"
        )
    demands = {
        name: demand_of([record for record in attempts if record.task == name])
        for name in policy.tasks
        if any(r.task == name and r.outcome is Outcome.SUCCEEDED for r in attempts)
    }
    demands.setdefault(SYNC, assumed_sync())
    parent_s, between_s = overheads(attempts, policy)
    return Calibration(
        run=run.name,
        users=int(run.about["users"]),
        demands=demands,
        machine=Machine(
            v_eff=v_eff_of(run),
            parent_s=parent_s,
            between_s=between_s,
            respawn_s=assumed("respawn_s"),
        ),
        beat_lag_s=_beat_lags(run.records.tasks, policy),
        arrivals=arrival_shares(attempts, run.records.deliveries),
        memory_mib=_memory(run),
        complaints=tuple(wrong),
    )


def units_of(record: TaskRecord) -> int:
    """Notifications that an attempt dealt with, as its detail says; else 0."""
    return int(record.detail.get("notifications", 0) or 0)


def demand_of(records: Sequence[TaskRecord]) -> TaskDemand:
    """Joint samples of one task, what its notifications cost taken apart.

    Time outside is service less CPU: what an attempt waited for a core counts there,
    as it does in a run of the same load.
    """
    done = [record for record in records if record.outcome is Outcome.SUCCEEDED]
    units = np.array([units_of(record) for record in done], dtype=np.float64)
    cpu_s = np.array([min(record.cpu_s, record.service_s) for record in done])
    io_s = np.array([record.service_s for record in done]) - cpu_s
    io_base, io_per_unit_s = per_unit(units, io_s)
    cpu_base, cpu_per_unit_s = per_unit(units, cpu_s)
    failed = sum(
        record.outcome in (Outcome.FAILED, Outcome.RETRIED) for record in records
    )
    return TaskDemand(
        task=done[0].task,
        io_s=tuple(io_base.tolist()),
        cpu_s=tuple(cpu_base.tolist()),
        rss_mib=tuple(record.peak_rss_mib for record in done),
        io_per_unit_s=io_per_unit_s,
        cpu_per_unit_s=cpu_per_unit_s,
        failure=failed / (failed + len(done)),
    )


def per_unit(units: Floats, seconds: Floats) -> tuple[Floats, float]:
    """Seconds less what the units cost, and the cost of one: the median slope between
    attempts of different sizes (Theil and Sen), never negative.
    """
    first, second = np.triu_indices(len(units), 1)
    apart = np.abs(units[first] - units[second]) > 0
    if not apart.any():
        return seconds, 0.0
    first, second = first[apart], second[apart]
    slopes = (seconds[first] - seconds[second]) / (units[first] - units[second])
    # Pairs far apart say more about a slope than neighbours do.
    weights = np.abs(units[first] - units[second])
    order = np.argsort(slopes)
    middle = np.searchsorted(np.cumsum(weights[order]), weights.sum() / 2)
    slope = max(0.0, float(slopes[order][middle]))
    return np.maximum(0.0, seconds - slope * units), slope


def overheads(attempts: Sequence[TaskRecord], policy: Policy) -> tuple[float, float]:
    """Seconds to hand a message to an idle child, and from one task to the next.

    Medians: of waits of messages that came to a pool with an idle child, and of gaps
    between an end and the start of a message that had been waiting for it.
    """
    idle_waits, gaps = [], []
    for pool in policy.pools.values():
        mine = [
            r for r in attempts if r.queue in pool.queues and r.started_at is not None
        ]
        begun = np.sort([r.started_at for r in mine])
        ended = np.sort([r.finished_at for r in mine])
        published = np.sort([r.enqueued_at for r in mine])
        for record in mine:
            at, start = record.enqueued_at, record.enqueued_at + record.wait_s
            busy = np.searchsorted(begun, at) - np.searchsorted(ended, at)
            waiting = np.searchsorted(published, at) - np.searchsorted(begun, at)
            if busy + waiting < pool.children:
                idle_waits.append(record.wait_s)
                continue
            before = np.searchsorted(ended, start, side="right") - 1
            if before >= 0 and ended[before] > at:
                gaps.append(start - ended[before])
    parent_s = float(np.median(idle_waits)) if idle_waits else 0.0
    gap_s = float(np.median(gaps)) if gaps else parent_s
    return parent_s, max(0.0, gap_s - parent_s)


def arrival_shares(
    attempts: Sequence[TaskRecord], deliveries: Sequence[Delivery]
) -> tuple[float, float]:
    """When in a sender's time its first and last push arrive, as shares of it.

    Read where one sender worked alone, so that each arrival is surely its own;
    (0, 1) when none did.
    """
    senders = sorted(
        (record.started_at, record.finished_at)
        for record in attempts
        if record.task == PUSH and record.started_at is not None
    )
    arrived = np.sort([d.arrived_at for d in deliveries if d.arrived_at is not None])
    firsts, lasts = [], []
    for k, (start, end) in enumerate(senders):
        alone = (k == 0 or max(e for _, e in senders[:k]) < start) and (
            k + 1 == len(senders) or senders[k + 1][0] > end
        )
        mine = arrived[np.searchsorted(arrived, start) : np.searchsorted(arrived, end)]
        if alone and len(mine) and end > start:
            firsts.append((mine[0] - start) / (end - start))
            lasts.append((mine[-1] - start) / (end - start))
    if not firsts:
        return 0.0, 1.0
    return float(np.median(firsts)), float(np.median(lasts))


def assumed_sync() -> TaskDemand:
    """The timetable sync where no run recorded one."""
    return TaskDemand(
        task=SYNC,
        io_s=(assumed("sync_io_s"),),
        cpu_s=(assumed("sync_cpu_s"),),
        rss_mib=(assumed("sync_rss_mib"),),
        source="assumed",
    )


def _beat_lags(records: Sequence[TaskRecord], policy: Policy) -> tuple[float, ...]:
    """Published minus slot, of tasks that nothing but beat publishes."""
    lags = []
    for record in records:
        tick = policy.tasks[record.task].tick if record.task in policy.tasks else None
        if record.attempt == 0 and isinstance(tick, Every) and record.task != MATCH:
            lags.append(record.enqueued_at % tick.period_s)
    return tuple(lags) or (0.0,)


def _memory(run: Run) -> dict[str, float]:
    peaks: dict[str, float] = {}
    for sample in run.records.samples:
        if sample.name == "memory_mib":
            peaks[sample.label] = max(peaks.get(sample.label, 0.0), sample.value)
    return peaks
