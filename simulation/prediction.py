"""Runs of the model on the input of a run of the workers."""

from dataclasses import fields, replace
from typing import Any

import numpy as np

from simulation.calibration import apns_rtt_s, policy_of
from simulation.chosen import Level
from simulation.demands import Calibration
from simulation.engine import simulate
from simulation.engine.recorded import recorded
from simulation.layout import Layout
from simulation.noise import v_eff_of
from simulation.runs import Run
from simulation.scenario import Event, Scenario
from simulation.tables import Machine, Stream, Tables, Window
from simulation.workload import Happenings, tables_of
from worker.errors import UsageError
from worker.measures import Recorded

ALIKE = 2
"""Replications in a row that share a belief about the demands."""


def predict(
    calibration: Calibration,
    run: Run,
    *,
    replications: int = 80,
    seed: int = 1,
    level: Level = "resampled",
) -> list[Recorded]:
    """Replications of the run on the model.

    ``resampled`` is the prediction: the run's input, its policy and its canary's cores
    are read, nothing else. ``replay`` also takes each attempt's own time from the run,
    so that only the queue is modelled. ``generative`` knows the scenario alone, and
    draws arrivals with another seed each time.
    """
    layout = Layout.of(policy_of(run))
    machine = replace(
        calibration.machine, v_eff=v_eff_of(run) or calibration.machine.v_eff
    )
    happened = Happenings.recorded(run)
    drawn = []
    apart_s = _answers_later_s(calibration, run)
    for replication in range(1 if level == "replay" else replications):
        happenings = _another(run, replication) if level == "generative" else happened
        happenings = _answered_later(happenings, apart_s)
        tables = tables_of(
            happenings,
            calibration,
            layout,
            seed=seed,
            replication=replication,
            belief=replication // ALIKE,
            machine=machine,
        )
        drawn.append(_replayed(tables, run, layout) if level == "replay" else tables)
    return [
        recorded(simulate(layout, tables), layout, every_s=None) for tables in drawn
    ]


def _answers_later_s(calibration: Calibration, run: Run) -> float:
    """How much later than in the calibration Apple's stand-in answered: an input."""
    here_s, there_s = apns_rtt_s(run), calibration.apns_rtt_s
    return 0.0 if here_s is None or there_s is None else here_s - there_s


def _answered_later(happenings: Happenings, apart_s: float) -> Happenings:
    if not apart_s:
        return happenings
    throughout = Window(
        start_at=happenings.start_at,
        end_at=happenings.end_at,
        kind="apns_slow",
        value=apart_s,
    )
    return replace(happenings, windows=(*happenings.windows, throughout))


def _another(run: Run, replication: int) -> Happenings:
    """The run's scenario, drawn again."""
    described: dict[str, Any] = dict(run.about.get("scenario_as_run") or {})
    if not described:
        raise UsageError(f"{run.name} does not say of what scenario it was")
    events = tuple(Event(**event) for event in described.pop("extra_events", ()))
    known = {field.name for field in fields(Scenario)}
    given: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in described.items()
        if name in known
    }
    scenario = Scenario(**given, extra_events=events)
    # A run's own seed is small: these are of no run.
    again = replace(scenario, seed=scenario.seed + 10_007 * (replication + 1))
    return Happenings.of(again, start_at=run.records.started_at)


def _replayed(tables: Tables, run: Run, layout: Layout) -> Tables:
    """The n-th message of a task takes the time that it took in the run: waiting for
    cores is in it, so that cores are not shared again.
    """
    streams = dict(tables.streams)
    for task in streams:
        mine = [r for r in run.records.tasks if r.task == task and r.service_s > 0]
        mine.sort(key=lambda record: record.enqueued_at)
        if not mine:
            continue
        luck = np.full(len(mine), 0.5)
        streams[task] = Stream(
            io_s=np.array([record.service_s for record in mine]),
            cpu_s=np.zeros(len(mine)),
            rss_mib=np.array([record.peak_rss_mib for record in mine]),
            luck=luck,
            chance=luck,
            lag_s=np.resize(tables.streams[task].lag_s, len(mine)),
        )
    alone = Machine(
        v_eff=float(layout.children),
        parent_s=tables.machine.parent_s,
        between_s=tables.machine.between_s,
        respawn_s=tables.machine.respawn_s,
    )
    return replace(tables, streams=streams, machine=alone, windows=())
