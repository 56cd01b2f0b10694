"""What ``python -m simulation scaling`` found: computed in minutes, kept as a file.

SCALING.md, its tables and the notebooks read the file; nobody edits it. It names what
it was made from, so that a calibration, a limit or an assumption that has changed since
is noticed.
"""

import hashlib
import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

from simulation import capacity, days, hour, loop, scaling, signals, sizing, storms
from simulation.assumptions import ASSUMPTIONS
from simulation.calibration import calibrate
from simulation.capacity import limits
from simulation.demands import Calibration
from simulation.hour import deployed, platform
from simulation.kept import FULL, kept
from simulation.layout import Layout
from simulation.prices import PRICES
from simulation.rules import derivation, rules_of, validity
from simulation.scaling import scores
from simulation.sizing import cheapest, grid
from simulation.storms import causes, sensitivity, waiting
from worker.errors import UsageError
from worker.policy import POLICY, Policy

RESULTS = Path(__file__).resolve().with_name("scaling.json")
USERS = (10_000, 100_000)
GRID_USERS = (1_000, 3_000, 10_000, 30_000, 100_000)
CHILDREN = (1, 2, 3, 4, 6, 12)
MODEL = (capacity, days, hour, loop, scaling, signals, sizing, storms)
Step = Callable[[str], None]


def found() -> dict[str, Any]:
    """The kept results; raises UsageError when there are none."""
    if not RESULTS.exists():
        raise UsageError(
            "there is no simulation/scaling.json; "
            "'python -m simulation scaling' makes it"
        )
    document: dict[str, Any] = json.loads(RESULTS.read_text())
    return document


def base(*, strict: bool = False) -> Calibration:
    """The kept runs that everything is derived from where nobody names others, as they
    were measured: what differs on the platform, ``deployed`` says.
    """
    return calibrate(kept("calibration", FULL), strict=strict)


def fingerprint(calibration: Calibration, policy: Policy = POLICY) -> dict[str, str]:
    """What results depend on, each as a short hash: to see which of them has moved.

    Of a policy it is all that a layout takes from it, the scaling rules and what is
    promised; of the model, the constants of the modules that make the results.
    """
    parts = {
        "calibration": calibration.as_json(),
        "policy": [
            repr(Layout.of(policy)),
            repr(rules_of(policy)),
            repr(policy.objectives["late_pushes"]),
        ],
        "assumptions": repr(sorted(ASSUMPTIONS.items())),
        "prices": repr(sorted(PRICES.items())),
        "model": [_constants(module) for module in MODEL],
    }
    return {
        name: hashlib.sha256(json.dumps(part).encode()).hexdigest()[:12]
        for name, part in parts.items()
    }


def make(
    *, weeks: int, hours: int, seed: int = 1, jobs: int = -1,
    step: Step = lambda _: None,
) -> dict[str, Any]:  # fmt: skip
    """Everything that SCALING.md says, from the kept calibration run."""
    calibration = base()
    most = USERS[-1]
    how: dict[str, Any] = {"hours": hours, "seed": seed}
    step(f"every rule in the loop over {weeks} weeks at {_listed(USERS)} users")
    scored = scores(calibration, users=USERS, weeks=weeks, seed=seed, jobs=jobs)
    step(f"{hours} storm hours: where riders wait, and what it hangs on")
    here = deployed(calibration)
    layout = Layout.of(POLICY)
    document = {
        "calibration": calibration.run,
        "made_from": fingerprint(calibration),
        "seed": seed,
        "weeks": weeks,
        "hours": hours,
        "users": list(USERS),
        "valid_for": validity(here, layout),
        "scores": [score.as_json() for score in scored],
        "rules": [
            {
                "name": rule.name,
                "sample": rule.sample,
                "label": rule.label,
                "threshold": rule.threshold,
                "sustain_s": rule.sustain_s,
                "action": rule.action,
                "derivation": derivation(rule, here, layout),
            }
            for rule in rules_of(POLICY)
        ],
        "limits": limit_rows(calibration),
        "waiting": [
            row for users in USERS for row in waiting(calibration, users, **how)
        ],
        "causes": [row for users in USERS for row in causes(calibration, users, **how)],
        "sensitivity": sensitivity(calibration, most, **how),
    }
    step(f"{len(CHILDREN)} numbers of children over {weeks} weeks, in batches")
    spread: dict[str, Any] = {"weeks": weeks, "seed": seed, "jobs": jobs}
    batched = grid(calibration, GRID_USERS, CHILDREN, **spread)
    step("the same one by one")
    single = grid(calibration, GRID_USERS[:3], CHILDREN, batch_size=1, **spread)
    document["grid"] = [*batched, *single]
    document["cheapest"] = [
        {**row, "batches": "batched" if rows is batched else "one by one"}
        for rows in (batched, single)
        for row in cheapest(rows)
    ]
    rounded: dict[str, Any] = _rounded(document)
    return rounded


def limit_rows(calibration: Calibration) -> list[dict[str, Any]]:
    """What binds at how many users, from the first on."""
    here, machine = deployed(calibration), platform(calibration)
    return [
        {name: getattr(row, name) for name in row.__dataclass_fields__}
        for row in limits(here, POLICY, machine)
    ]


def write(document: dict[str, Any], path: Path = RESULTS) -> Path:
    """Keep the results."""
    path.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n")
    return path


def _constants(module: ModuleType) -> list[str]:
    """Its numbers, words and tables of them, by name."""
    plain = (int, float, str, tuple, date)
    return [
        f"{name}={value!r}"
        for name, value in sorted(vars(module).items())
        if name.isupper() and isinstance(value, plain)
    ]


def _listed(numbers: tuple[int, ...]) -> str:
    return ", ".join(f"{number:,}" for number in numbers)


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_rounded(each) for each in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value
