"""What recorded runs say about the workers: demands, overheads, cores."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

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
from simulation.estimates import cold_of, demand_of, demands_of, pace
from simulation.layout import Layout
from simulation.memory import peaks_mib
from simulation.news import arrival_shares, blind_polls
from simulation.noise import complaints, v_eff_of
from simulation.overheads import beat_lags, overheads, with_lag
from simulation.runs import Run
from simulation.tables import Machine
from simulation.workload import Happenings, tables_of
from worker.errors import UsageError
from worker.policy import POLICY, Policy, apply_settings
from worker.records import Outcome, TaskRecord, task_record

NEEDED = (POLL, MATCH, PUSH)
"""Tasks without which a run says nothing about a rider's wait."""

Input = tuple[Happenings, Policy, float | None]
"""What happened in a run, under which policy, on how many cores."""


def policy_of(run: Run, policy: Policy = POLICY) -> Policy:
    """The policy that the run obeyed: today's, with the run's own ``--set``."""
    settings = run.about.get("settings") or ()
    if isinstance(settings, Mapping):
        settings = [f"{path}={value}" for path, value in settings.items()]
    return apply_settings(policy, settings)


def apns_rtt_s(run: Run) -> float | None:
    """How long Apple's stand-in takes to answer in the run; None: it does not say."""
    milliseconds = (run.about.get("input") or {}).get("apns_rtt_ms")
    return None if milliseconds is None else float(milliseconds) / 1000


def calibrate(runs: Run | Sequence[Run], *, strict: bool = True) -> Calibration:
    """Read one run or several; raises UsageError when they say nothing, or when one is
    noisy and ``strict``, or when Apple's stand-in did not answer alike in them.

    Several runs of different load tell what depends on it: their attempts are read
    together. What a run's own machine gave it is taken from its own canary.
    """
    runs = [runs] if isinstance(runs, Run) else list(runs)
    if not runs:
        raise UsageError("a calibration needs a run: name its folder")
    name = " + ".join(run.name for run in runs)
    policies = [policy_of(run) for run in runs]
    each = [[r for r in run.records.tasks if r.started_at is not None] for run in runs]
    attempts = [record for mine in each for record in mine]
    wrong = [f"{run.name}: {why}" for run in runs for why in complaints(run)]
    if strict and wrong:
        raise UsageError(
            f"{name} is refused as a calibration: {'; '.join(wrong)}; "
            "record it again on a quiet machine"
        )
    _refuse_silence(name, attempts)
    answers = {apns_rtt_s(run) for run in runs}
    if len(answers) > 1:
        raise UsageError(
            f"{name} cannot calibrate together: Apple's stand-in took "
            f"{', '.join(f'{each} s' for each in answers)} to answer in them"
        )
    between = overheads(list(zip(each, policies, strict=True)))
    inputs = [Happenings.recorded(run) for run in runs]
    cold = [
        is_first
        for mine, policy, happened in zip(each, policies, inputs, strict=True)
        for is_first in cold_of(mine, policy, happened.warm)
    ]
    demands = demands_of(attempts, policies[0], cold)
    if SYNC not in demands:
        demands[SYNC] = _sync_before(runs)
    cores = [v_eff_of(run) for run in runs]
    known = [v_eff for v_eff in cores if v_eff is not None]
    pushes = [push for run in runs for push in run.records.deliveries]
    synced = [r for r, given in zip(runs, inputs, strict=True) if given.syncs]
    others = [r for r, given in zip(runs, inputs, strict=True) if not given.syncs]
    first = Calibration(
        run=name,
        users=max(int(run.about["users"]) for run in runs),
        demands={
            task: replace(demand, lag_s=with_lag(demand, between.lags))
            for task, demand in demands.items()
        },
        machine=Machine(
            v_eff=float(np.mean(known)) if known else None,
            parent_s=between.parent_s,
            between_s=between.between_s,
            respawn_s=between.respawn_s or assumed("respawn_s"),
        ),
        beat_lag_s=beat_lags(
            [r for run in runs for r in run.records.tasks], policies[0]
        ),
        arrivals=arrival_shares(attempts, pushes),
        blind=blind_polls(attempts, pushes),
        memory_mib=_memory(others or runs),
        memory_sync_mib=_memory(synced),
        pace=pace(each, demands),
        complaints=tuple(wrong),
        apns_rtt_s=answers.pop(),
    )
    return unbiased(first, list(zip(inputs, policies, cores, strict=True)))


def _refuse_silence(name: str, attempts: Sequence[TaskRecord]) -> None:
    silent = [
        task
        for task in NEEDED
        if not any(r.task == task and r.outcome is Outcome.SUCCEEDED for r in attempts)
    ]
    if silent:
        raise UsageError(
            f"{name} cannot calibrate: no attempt of {', '.join(silent)} succeeded "
            "in it; look at its tasks.csv, or record another run"
        )


def unbiased(
    first: Calibration, inputs: Sequence[Input], *, replications: int = 4
) -> Calibration:
    """Take the estimator's own bias away (indirect inference, one step).

    Time outside is service less CPU, so waiting for a core counts as outside, and the
    model would make it wait again. The model made of the first estimate is run on the
    runs' own inputs and estimated in the same way: what that finds too much of, the
    first estimate has too much of as well.
    """
    found: dict[str, list[TaskDemand]] = {}
    for replication in range(replications):
        attempts: list[TaskRecord] = []
        cold: list[bool] = []
        for happenings, policy, v_eff in inputs:
            layout = Layout.of(policy)
            tables = tables_of(
                happenings,
                first,
                layout,
                replication=replication,
                machine=replace(first.machine, v_eff=v_eff),
                uncertain=False,
            )
            mine = task_records(simulate(layout, tables).journal, layout)
            attempts += mine
            cold += cold_of(mine, policy, happenings.warm)
        for name, demand in demands_of(attempts, inputs[0][1], cold).items():
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


def _sync_before(runs: Sequence[Run]) -> TaskDemand:
    """The timetable sync as it was before the runs, where none is in them, else as
    assumed: the first one of a database takes longer than those that follow. A measured
    sync is of the timetable that was given, perhaps a small one.
    """
    before = {
        record.task_id: record
        for record in (
            task_record(r.about["sync"]) for r in runs if r.about.get("sync")
        )
    }
    done = [r for r in before.values() if r.outcome is Outcome.SUCCEEDED]
    return demand_of(done) if done else assumed_sync()


def _memory(runs: Sequence[Run]) -> dict[str, float]:
    """Label -> peak of what the gauges saw, the mean over runs."""
    peaks: dict[str, list[float]] = {}
    for run in runs:
        for label, peak in peaks_mib(run.records.samples).items():
            peaks.setdefault(label, []).append(peak)
    return {label: float(np.mean(each)) for label, each in peaks.items()}
