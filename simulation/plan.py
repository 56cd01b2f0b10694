"""The capacity plan: from a folder of runs to figures, tables and plan.json."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simulation.assumptions import ASSUMPTIONS
from simulation.calibration import calibrate
from simulation.clusters import pushes
from simulation.comparison import Comparison
from simulation.cost import BRIEF, BUDGET_USD, bills, breaks_budget_at
from simulation.demands import Calibration
from simulation.layout import Layout
from simulation.layouts import LAYOUTS
from simulation.prediction import predict
from simulation.prices import PRICES
from simulation.runs import Run, load_run
from simulation.scaling import triggers
from simulation.sweep import Row, sweep
from simulation.validation import validate
from worker.errors import UsageError
from worker.measures import MEASURES
from worker.policy import POLICY, Policy

CALIBRATION, HOLDOUT = "calibration", "holdout"
Step = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Depth:
    """How much a plan computes."""

    users: tuple[int, ...]
    sweep_hours: int
    trigger_weeks: int
    replications: int


FULL = Depth(
    users=tuple(range(1_000, 10_001, 1_000)),
    sweep_hours=20,
    trigger_weeks=8,
    replications=80,
)
QUICK = Depth(
    users=(1_000, 5_000, 10_000), sweep_hours=8, trigger_weeks=2, replications=40
)
COST_USERS = (0, 1_000, 5_000, 10_000, 100_000, 1_000_000)


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """A plan and what its figures are drawn from."""

    document: Mapping[str, Any]
    calibration: Calibration
    comparisons: tuple[Comparison, ...]
    rows: tuple[Row, ...]
    cdf: tuple[Any, tuple[Any, ...]] | None = field(default=None)


def plan(
    folder: Path,
    *,
    quick: bool = False,
    policy: Policy = POLICY,
    seed: int = 1,
    jobs: int = -1,
    step: Step = lambda _: None,
) -> Plan:
    """Calibrate, predict the runs not used, sweep, derive triggers and cost.

    Raises UsageError when the folder lacks a calibration or a hold-out run. ``step`` is
    told what is being done.
    """
    depth = QUICK if quick else FULL
    runs = runs_in(folder)
    bases = [run for run in runs if run.about["role"] == CALIBRATION]
    holdouts = [run for run in runs if run.about["role"] == HOLDOUT]
    step(f"calibrating on {', '.join(run.name for run in bases)}")
    calibration = calibrate(bases, strict=False)
    comparisons: list[Comparison] = []
    for run in holdouts:
        step(f"predicting {run.name}")
        comparisons += validate(
            calibration, run, replications=depth.replications, seed=seed
        )
    cells = len(depth.users) * len(LAYOUTS)
    step(f"sweeping {cells} cells of users and layouts, {depth.sweep_hours} hours each")
    rows = sweep(
        calibration,
        depth.users,
        policy=policy,
        hours=depth.sweep_hours,
        seed=seed,
        jobs=jobs,
    )
    step("trying the scaling rules")
    rules = triggers(
        calibration, policy=policy, weeks=depth.trigger_weeks, seed=seed, jobs=jobs
    )
    layout = Layout.of(policy)
    first = holdouts[0]
    predicted = tuple(
        pushes(each).values
        for each in predict(calibration, first, replications=20, seed=seed)
    )
    described = [_described(run) for run in runs]
    # What the model took from the calibration stands beside the run that gave it.
    base = bases[0]
    described[runs.index(base)]["calibration"] = calibration.as_json()
    document: dict[str, Any] = {
        "input": {
            "folder": folder.name,
            "quick": quick,
            "seed": seed,
            "scenario": base.about.get("scenario"),
            "users": [run.about.get("users") for run in runs],
            **(base.about.get("input") or {}),
        },
        "machine": base.about.get("machine"),
        "versions": base.about.get("versions"),
        "runs": described,
        "validation": [row.as_json() for row in comparisons],
        "sweep": [row.as_json() for row in rows],
        "triggers": [rule.as_json() for rule in rules],
        "cost": _cost(calibration, layout, seed),
    }
    return Plan(
        document=document,
        calibration=calibration,
        comparisons=tuple(comparisons),
        rows=tuple(rows),
        cdf=(pushes(first.records).values, predicted),
    )


def runs_in(folder: Path) -> list[Run]:
    """The run folders with a role; raises UsageError unless both roles are there."""
    if not folder.is_dir():
        raise UsageError(
            f"there is no folder {folder}; 'python -m loadtests matrix plan' writes one"
        )
    runs = [load_run(path.parent) for path in sorted(folder.glob("*/run.json"))]
    runs = [run for run in runs if run.about.get("role") in (CALIBRATION, HOLDOUT)]
    for role in (CALIBRATION, HOLDOUT):
        if not any(run.about["role"] == role for run in runs):
            raise UsageError(
                f"{folder} holds no run whose role is {role}; "
                "'python -m loadtests matrix plan' writes both"
            )
    return runs


def write_document(document: Mapping[str, Any], out: Path) -> Path:
    """Write plan.json into ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / "plan.json"
    path.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n")
    return path


def _described(run: Run) -> dict[str, Any]:
    measured = {
        name: _plain(measure.function(run.records))
        for name, measure in MEASURES.items()
    }
    keep = ("role", "scenario", "users", "seed", "settings", "source", "v_eff", "noise")
    return {
        "name": run.name,
        **{key: run.about[key] for key in keep if key in run.about},
        "duration_s": round(run.records.duration_s, 3),
        "attempts": len(run.records.tasks),
        "pushes": len(run.records.deliveries),
        "measures": measured,
    }


def _cost(calibration: Calibration, layout: Layout, seed: int) -> dict[str, Any]:
    return {
        "by_users": [
            bill.as_json() for bill in bills(calibration, layout, COST_USERS, seed=seed)
        ],
        "budget_usd": BUDGET_USD,
        "breaks_budget_at_users": breaks_budget_at(calibration, layout),
        "brief": [
            {
                "users": line.users,
                "claimed_usd": line.claimed_usd,
                "full_use_usd": line.list_usd,
                "difference_usd": line.list_usd - line.claimed_usd,
            }
            for line in BRIEF
        ],
        "prices": [
            {name: getattr(price, name) for name in price.__dataclass_fields__}
            for price in PRICES.values()
        ],
        "assumptions": [
            {name: getattr(row, name) for name in row.__dataclass_fields__}
            for row in ASSUMPTIONS.values()
        ],
    }


def _plain(value: float) -> float | None:
    return round(value, 6) if value == value and abs(value) != float("inf") else None
