"""What one recorded run says about the workers: demands, overheads, cores."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from simulation.assumptions import assumed
from simulation.demands import (
    MATCH,
    POLL,
    PUSH,
    SYNC,
    Calibration,
    TaskDemand,
    assumed_sync,
)
from simulation.engine import simulate
from simulation.engine.recorded import task_records
from simulation.layout import Layout
from simulation.noise import complaints, v_eff_of
from simulation.runs import Run
from simulation.tables import Floats, Machine
from simulation.workload import Happenings, tables_of
from worker.errors import UsageError
from worker.policy import POLICY, Every, Policy, apply_settings
from worker.records import Delivery, Outcome, TaskRecord, task_record

NEEDED = (POLL, MATCH, PUSH)
"""Tasks without which a run says nothing about a rider's wait."""


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
    first = Calibration(
        run=run.name,
        users=int(run.about["users"]),
        demands={**demands_of(attempts, policy), SYNC: _sync(run, attempts)},
        machine=Machine(
            v_eff=v_eff_of(run),
            parent_s=overheads(attempts, policy)[0],
            between_s=overheads(attempts, policy)[1],
            respawn_s=assumed("respawn_s"),
        ),
        beat_lag_s=_beat_lags(run.records.tasks, policy),
        arrivals=arrival_shares(attempts, run.records.deliveries),
        blind=blind_polls(attempts, run.records.deliveries),
        memory_mib=_memory(run),
        complaints=tuple(wrong),
    )
    return unbiased(first, Happenings.recorded(run), policy)


def unbiased(
    first: Calibration, happenings: Happenings, policy: Policy, *, replications: int = 4
) -> Calibration:
    """Take the estimator's own bias away (indirect inference, one step).

    Time outside is service less CPU, so waiting for a core counts as outside, and the
    model would make it wait again. The model made of the first estimate is run on the
    run's own input and estimated in the same way: what that finds too much of, the
    first estimate has too much of as well.
    """
    layout = Layout.of(policy)
    found: dict[str, list[TaskDemand]] = {}
    for replication in range(replications):
        tables = tables_of(
            happenings, first, layout, replication=replication, uncertain=False
        )
        attempts = task_records(simulate(layout, tables).journal, layout)
        for name, demand in demands_of(attempts, policy).items():
            found.setdefault(name, []).append(demand)
    return replace(
        first,
        demands={
            name: _less_bias(demand, found.get(name, ()))
            for name, demand in first.demands.items()
        },
    )


def _less_bias(first: TaskDemand, again: Sequence[TaskDemand]) -> TaskDemand:
    """The estimate less what the same estimator adds; never below zero."""
    if not again:
        return first
    slope = float(np.mean([demand.io_per_unit_s for demand in again]))
    base = float(np.mean([np.mean(demand.io_s) for demand in again]))
    extra_s = base - float(np.mean(first.io_s))
    return replace(
        first,
        io_per_unit_s=max(0.0, 2 * first.io_per_unit_s - slope),
        io_s=tuple(max(0.0, io_s - extra_s) for io_s in first.io_s),
    )


def demands_of(attempts: Sequence[TaskRecord], policy: Policy) -> dict[str, TaskDemand]:
    """The demand of each task that succeeded at least once."""
    mine: dict[str, list[TaskRecord]] = {}
    for record in attempts:
        if record.started_at is not None:
            mine.setdefault(record.task, []).append(record)
    return {
        name: demand_of(mine[name])
        for name in policy.tasks
        if any(r.outcome is Outcome.SUCCEEDED for r in mine.get(name, ()))
    }


def units_of(record: TaskRecord) -> int:
    """Notifications that an attempt made, or claimed to send; else 0."""
    made = (record.detail.get(name) for name in ("notifications", "claimed"))
    return next((int(count) for count in made if count), 0)


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
    """When in a sender's time its first and its last push arrive, as shares of it.

    Senders that overlap are read as one group: its first arrival is of the sender that
    began first, its last of the one that ended last. (0, 1) when nothing arrived.
    """
    senders = sorted(
        (record.finished_at - record.service_s, record.finished_at)
        for record in attempts
        if record.task == PUSH and record.outcome is Outcome.SUCCEEDED
    )
    groups: list[list[tuple[float, float]]] = []
    for sender in senders:
        if groups and sender[0] <= max(end for _, end in groups[-1]):
            groups[-1].append(sender)
        else:
            groups.append([sender])
    arrived = np.sort([d.arrived_at for d in deliveries if d.arrived_at is not None])
    firsts, lasts = [], []
    for group in groups:
        begun, left = group[0], max(group, key=lambda sender: sender[1])
        within = slice(*np.searchsorted(arrived, (begun[0], left[1])))
        mine = arrived[within]
        if len(mine) and begun[1] > begun[0] and left[1] > left[0]:
            firsts.append((mine[0] - begun[0]) / (begun[1] - begun[0]))
            lasts.append((mine[-1] - left[0]) / (left[1] - left[0]))
    if not firsts:
        return 0.0, 1.0
    first = min(1.0, float(np.median(firsts)))
    return first, min(1.0, max(first, float(np.median(lasts))))


def blind_polls(
    attempts: Sequence[TaskRecord], deliveries: Sequence[Delivery]
) -> tuple[int, int]:
    """(blind, judged) polls: of those that could have brought news, how many did not.

    A poll asks for the feeds that are due; a feed that is slowed down, refused or
    broken is not asked, and riders wait for a later poll. A poll is judged when delays
    were published before it that no earlier poll had brought.
    """
    starts = sorted(
        record.finished_at - record.service_s
        for record in attempts
        if record.task == POLL and record.outcome is Outcome.SUCCEEDED
    )
    matched: dict[float, float] = {}
    for push in deliveries:
        if push.arrived_at is not None:
            at = push.published_at
            matched[at] = min(push.matched_at, matched.get(at, np.inf))
    blind = judged = 0
    for start, following in pairwise((*starts, np.inf)):
        waiting = [m for at, m in matched.items() if at < start < m]
        judged += bool(waiting)
        blind += bool(waiting) and min(waiting) > following
    return blind, judged


def _sync(run: Run, attempts: Sequence[TaskRecord]) -> TaskDemand:
    """The timetable sync as the run recorded it, or the one before it, else as assumed.

    A measured sync is of the timetable that was given, which may be a small one.
    """
    before = run.about.get("sync")
    known = [*attempts, *([task_record(before)] if before else [])]
    done = [
        record
        for record in known
        if record.task == SYNC and record.outcome is Outcome.SUCCEEDED
    ]
    return demand_of(done) if done else assumed_sync()


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
