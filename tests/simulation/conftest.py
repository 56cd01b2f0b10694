"""A known truth to recover: demands that we made, and runs that the model made."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from simulation.demands import MATCH, POLL, PUSH, Calibration, TaskDemand
from simulation.engine import simulate
from simulation.engine.recorded import recorded
from simulation.layout import Layout
from simulation.runs import Run, write_run
from simulation.scenario import Scenario
from simulation.scenarios import scenario
from simulation.tables import Machine
from simulation.workload import Happenings, tables_of
from worker.policy import POLICY, apply_settings
from worker.records import Sample

SLOT = 1_800_000_000.0  # a multiple of every tick's period
V_EFF = 1.6


def made_demand(
    task: str,
    io_s: float,
    cpu_s: float,
    rss_mib: float,
    *,
    io_per_unit_s: float = 0.0,
    cpu_per_unit_s: float = 0.0,
    spread: float = 0.25,
) -> TaskDemand:
    """Sixty lognormal attempts around the given medians, always the same."""
    rng = np.random.default_rng([*task.encode()])

    def around(median: float) -> tuple[float, ...]:
        return tuple((median * rng.lognormal(0, spread, 60)).tolist())

    return TaskDemand(
        task=task,
        io_s=around(io_s),
        cpu_s=around(cpu_s),
        rss_mib=around(rss_mib),
        io_per_unit_s=io_per_unit_s,
        cpu_per_unit_s=cpu_per_unit_s,
    )


@pytest.fixture(scope="session")
def truth() -> Calibration:
    """The made world: what a calibration on a run of it must find again."""
    demands = (
        made_demand(POLL, 0.5, 0.4, 110.0),
        made_demand(MATCH, 0.10, 0.05, 70.0, io_per_unit_s=2e-4),
        made_demand(PUSH, 0.05, 0.02, 70.0, io_per_unit_s=2e-3, cpu_per_unit_s=1e-3),
        made_demand("upkeep", 0.05, 0.02, 60.0),
    )
    return Calibration(
        run="made",
        users=1_000,
        demands={demand.task: demand for demand in demands},
        machine=Machine(v_eff=V_EFF, parent_s=0.004, between_s=0.002),
        beat_lag_s=(0.004, 0.010, 0.020),
        arrivals=(0.15, 0.95),
        memory_mib={"rt": 150.0, "bg": 260.0},
    )


MakeRun = Callable[..., Run]


@pytest.fixture
def make_run(truth: Calibration, tmp_path: Path) -> MakeRun:
    """Writes a run folder that the model made, as a load run would leave it."""

    def make(
        name: str = "run",
        *,
        users: int = 2_000,
        duration_s: float = 240.0,
        seed: int = 1,
        role: str = "calibration",
        settings: tuple[str, ...] = (),
        drift: float = 0.0,
        described: Scenario | None = None,
        source: Calibration | None = None,
        onset_every_s: float = 6.0,
    ) -> Run:
        source = source or truth
        described = described or replace(
            scenario("disruption", users=users, duration_s=duration_s, seed=seed),
            onset_every_s=onset_every_s,
        )
        layout = Layout.of(apply_settings(POLICY, settings))
        happenings = Happenings.of(described, start_at=SLOT)
        tables = tables_of(happenings, source, layout, seed=seed, uncertain=False)
        records = recorded(simulate(layout, tables), layout)
        canary = [
            Sample(
                at=SLOT + second,
                name="v_eff",
                label="host",
                value=V_EFF * (1 + drift * (1 if second < duration_s / 2 else -1)),
            )
            for second in range(0, int(duration_s), 2)
        ]
        memory = [
            Sample(at=SLOT + 30, name="memory_mib", label=label, value=value)
            for label, value in source.memory_mib.items()
        ]
        about = {
            "scenario": described.name,
            "users": described.users,
            "seed": seed,
            "settings": list(settings),
            "source": "model",
            "role": role,
            "versions": {"python": "3.11"},
            "machine": {"cpus": 2},
            "events": [
                {"published_at": at, "riders": riders}
                for at, riders in happenings.onsets
            ],
        }
        return write_run(
            tmp_path / "runs" / name,
            about,
            replace(records, samples=[*records.samples, *canary, *memory]),
        )

    return make
