"""From a scenario and a calibration to the tables of a run."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from simulation.demands import SYNC, Calibration, TaskDemand
from simulation.layout import Layout
from simulation.runs import Run
from simulation.scenario import Scenario
from simulation.tables import Counts, Floats, Machine, Stream, Tables, Window
from worker.errors import UsageError
from worker.policy import Daily, Every
from worker.policy.tasks import TIMEZONE

DRAWS = 1024
"""Length of a stream: a few hundred ticks an hour; longer runs draw it again."""


_Sized = tuple[float, int]
_Other = tuple[Any, float, float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Happenings:
    """What happens to the workers in a run, wherever it was described or recorded.

    ``onsets``: (published_at, riders), epoch seconds; ``syncs``: when a timetable sync
    is published besides its daily tick; ``groups``: (published_at, notifications) that
    a publisher hands to the senders, who get them in batches. ``warm``: the workers
    have worked before.
    """

    start_at: float
    end_at: float
    onsets: tuple[tuple[float, int], ...]
    windows: tuple[Window, ...] = ()
    syncs: tuple[float, ...] = ()
    groups: tuple[tuple[float, int], ...] = ()
    warm: bool = False

    @classmethod
    def of(cls, scenario: Scenario, *, start_at: float) -> "Happenings":
        """What the scenario describes, begun at ``start_at``."""
        onsets, others = [], []
        for event in scenario.events():
            at = start_at + event.at_s
            if event.kind == "delay":
                lines = [event.line] if event.line >= 0 else range(scenario.lines)
                riders = sum(len(scenario.commuters_of(line)) for line in lines)
                onsets.append((at, riders))
            else:
                others.append((event.kind, at, event.value, event.duration_s))
        return cls(
            start_at=start_at,
            end_at=start_at + scenario.duration_s,
            onsets=tuple(onsets),
            windows=_windows(others),
            syncs=tuple(at for kind, at, _, _ in others if kind == "sync"),
            groups=tuple((start_at + at_s, size) for at_s, size in scenario.groups()),
        )

    @classmethod
    def recorded(cls, run: Run) -> "Happenings":
        """What happened in a recorded run: its window, its onsets, how many rode, what
        was published, what the outside was made to do.

        That is the run's input, not its outcome: when a delay was published and how
        many riders it concerned is known before a worker has done anything. Without an
        event list it is read from the deliveries, which knows no onset without riders.
        """
        try:
            others, groups, listed = _told(run)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise UsageError(
                f"{run.name}/run.json tells of events, groups or happenings in a way "
                f"that cannot be read ({error!r})"
            ) from None
        if not listed:
            riders: dict[float, set[str]] = {}
            for push in run.records.deliveries:
                riders.setdefault(push.published_at, set()).add(push.notification_id)
            listed = [(at, len(ids)) for at, ids in riders.items()]
        return cls(
            start_at=run.records.started_at,
            end_at=run.records.finished_at,
            onsets=tuple(sorted(listed)),
            windows=_windows(others),
            syncs=tuple(at for kind, at, _, _ in others if kind == "sync"),
            groups=groups,
            warm=bool(run.about.get("runs_before")),
        )


def _told(run: Run) -> tuple[list[_Other], tuple[_Sized, ...], list[_Sized]]:
    """What else happened, groups and onsets, as run.json tells them."""
    others = [
        (e["kind"], float(e["at"]), float(e["value"]), float(e["duration_s"]))
        for e in run.about.get("happened") or ()
    ]
    published = run.about.get("groups") or {"published_at": (), "notifications": ()}
    groups = tuple(
        (float(at), int(size))
        for at, size in zip(
            published["published_at"], published["notifications"], strict=True
        )
    )
    listed = [
        (float(event["published_at"]), int(event["riders"]))
        for event in run.about.get("events") or ()
        if "published_at" in event and "riders" in event
    ]
    sized = [*groups, *listed]
    if not all(0 <= at < inf and size >= 0 for at, size in sized):
        raise ValueError("a time or a size that is none")
    return others, groups, listed


def _windows(others: Sequence[_Other]) -> tuple[Window, ...]:
    """Of (kind, at, value, duration_s) those that hamper the outside for a while."""
    return tuple(
        Window(start_at=at, end_at=at + duration_s, kind=kind, value=value)
        for kind, at, value, duration_s in others
        if kind not in ("sync", "publish")
    )


def stream(*names: str | int) -> np.random.Generator:
    """The random stream of that name: the same names, the same numbers, and no other
    stream's draws change it.
    """
    words = [
        name if isinstance(name, int) else int.from_bytes(name.encode(), "little")
        for name in names
    ]
    return np.random.default_rng(np.random.SeedSequence(words))


def tables_of(
    happenings: Happenings,
    calibration: Calibration,
    layout: Layout,
    *,
    seed: int = 1,
    replication: int = 0,
    belief: int | None = None,
    machine: Machine | None = None,
    uncertain: bool = True,
) -> Tables:
    """Draw a run: one replication of what happens, on the calibrated demands.

    ``uncertain``: each replication first resamples the calibration's own samples, so
    that a handful of measured attempts is not taken for the whole truth. Replications
    of the same ``belief`` (else each its own) share that resample.
    """
    believed = replication if belief is None else belief
    pace = _pace(calibration, (seed, believed)) if uncertain else 1.0
    at, codes, names = _ticks(happenings, calibration, layout, (seed, replication))
    return Tables(
        start_at=happenings.start_at,
        end_at=happenings.end_at,
        tick_at=at,
        tick_task=codes,
        ticking=names,
        streams={
            name: drawn(
                calibration.demands[name],
                seed,
                replication,
                belief=believed if uncertain else None,
                pace=pace,
            )
            for name in layout.tasks
            if name in calibration.demands
        },
        machine=machine or calibration.machine,
        onset_at=[at for at, _ in happenings.onsets],
        onset_riders=[riders for _, riders in happenings.onsets],
        group_at=[at for at, _ in happenings.groups],
        group_size=[size for _, size in happenings.groups],
        windows=happenings.windows,
        arrivals=calibration.arrivals,
        blind=_blind(calibration, (seed, believed), uncertain=uncertain),
        warm=happenings.warm,
    )


def drawn(
    demand: TaskDemand,
    seed: int,
    replication: int,
    *,
    belief: int | None,
    pace: float = 1.0,
    draws: int = DRAWS,
) -> Stream:
    """A stream of ``draws`` demands, drawn jointly from the resample of the measured
    attempts that is the ``belief``; without one each of them in turn, so that a few
    draws have the mean of all. Each is ``pace`` times as long.
    """
    rng = stream(seed, replication, demand.task)
    measured = len(demand.io_s)
    if belief is None:
        turns = [rng.permutation(measured) for _ in range(-(-draws // measured))]
        rows = np.concatenate(turns)[:draws]
    else:
        pool = stream(seed, belief, demand.task, "belief").integers(
            measured, size=measured
        )
        rows = pool[rng.integers(measured, size=draws)]
    return Stream(
        io_s=np.asarray(demand.io_s)[rows] * pace,
        cpu_s=np.asarray(demand.cpu_s)[rows] * pace,
        rss_mib=np.asarray(demand.rss_mib)[rows],
        luck=rng.random(draws),
        chance=rng.random(draws),
        lag_s=np.asarray(demand.lag_s)[rows] if demand.lag_s else None,
        io_per_unit_s=demand.io_per_unit_s * pace,
        cpu_per_unit_s=demand.cpu_per_unit_s * pace,
        failure=demand.failure,
        cold_s=demand.cold_s,
    )


def slots(row: Every | Daily, start_at: float, end_at: float) -> Floats:
    """The instants in [start, end) at which a tick is due, epoch seconds."""
    if isinstance(row, Every):
        first = np.ceil(start_at / row.period_s) * row.period_s
        return np.arange(first, end_at, row.period_s, dtype=np.float64)
    zone = ZoneInfo(TIMEZONE)
    day = datetime.fromtimestamp(start_at, zone).date()
    due: list[float] = []
    while True:
        at = datetime(
            day.year, day.month, day.day, row.hour, row.minute, tzinfo=zone
        ).timestamp()
        if at >= end_at:
            return np.array(due, dtype=np.float64)
        if at >= start_at:
            due.append(at)
        day += timedelta(days=1)


def _pace(calibration: Calibration, seeds: Sequence[int]) -> float:
    """As slow or as quick as one of the calibration's windows was."""
    return float(stream(*seeds, "pace").choice(np.asarray(calibration.pace)))


def _blind(calibration: Calibration, seeds: Sequence[int], *, uncertain: bool) -> float:
    """The share of blind polls; drawn from what so few polls leave open (Jeffreys)."""
    blind, judged = calibration.blind
    if not judged:
        return 0.0
    if not uncertain:
        return blind / judged
    rng = stream(*seeds, "blind")
    return float(rng.beta(blind + 0.5, judged - blind + 0.5))


def _ticks(
    happenings: Happenings,
    calibration: Calibration,
    layout: Layout,
    seeds: Sequence[int],
) -> tuple[Floats, Counts, tuple[str, ...]]:
    """What beat publishes, in order of time: each slot, a measured lag later."""
    rng = stream(*seeds, "beat")
    lags = np.asarray(calibration.beat_lag_s)
    ticking = [
        task
        for task in layout.tasks.values()
        if task.tick is not None and task.name in calibration.demands
    ]
    names, moments = [task.name for task in ticking], []
    for task in ticking:
        assert task.tick is not None
        due = slots(task.tick, happenings.start_at, happenings.end_at)
        moments.append(due + lags[rng.integers(len(lags), size=len(due))])
    if happenings.syncs:
        names.append(SYNC)
        moments.append(np.asarray(happenings.syncs, dtype=np.float64))
    at = np.concatenate([np.empty(0), *moments])
    codes = np.repeat(np.arange(len(names)), [len(each) for each in moments])
    order = np.argsort(at, kind="stable")
    order = order[at[order] < happenings.end_at]
    return at[order], codes[order], tuple(names)
