"""The named scenarios, one row each."""

from collections.abc import Callable
from dataclasses import replace

from simulation.scenario import Scenario
from worker.errors import UsageError


def _disruption(users: int, duration_s: float) -> Scenario:
    return Scenario(
        name="disruption",
        question="How soon do the riders of one delayed line know?",
        users=users,
        duration_s=duration_s,
        lines=96,
        onset_every_s=max(2.0, (duration_s - 60.0) / 96),
    )


SCENARIOS: dict[str, Callable[[int, float], Scenario]] = {
    "disruption": _disruption,
}


def scenario(
    name: str, *, users: int, duration_s: float, seed: int = 1, lines: int | None = None
) -> Scenario:
    """The named scenario at a size; raises UsageError for a name not in the table."""
    if name not in SCENARIOS:
        raise UsageError(
            f"there is no scenario '{name}'; choose one of {', '.join(SCENARIOS)}"
        )
    chosen = replace(SCENARIOS[name](users, duration_s), seed=seed)
    return chosen if lines is None else replace(chosen, lines=lines)
