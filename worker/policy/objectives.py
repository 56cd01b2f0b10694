"""What riders are promised; an objective also defines what "late" means."""

from dataclasses import dataclass
from typing import Literal

from worker.errors import PolicyError


@dataclass(frozen=True, kw_only=True, slots=True)
class Objective:
    """``measure`` (a name of worker.measures) must stay at ``limit`` or better."""

    name: str
    measure: str
    sense: Literal["at_most", "at_least"]
    limit: float
    reason: str

    def __post_init__(self) -> None:
        if self.sense not in ("at_most", "at_least"):
            raise PolicyError(f"objectives.{self.name}: sense is at_most or at_least")

    def met(self, value: float) -> bool:
        """Whether ``value`` keeps the promise; not a number never does."""
        if self.sense == "at_most":
            return value <= self.limit
        return value >= self.limit


LATE_PUSH_S = 20.0
"""A push later than this after its delay was published is late: one poll period, and
five seconds to match and to send. Declared here, read by measures and the model."""

NEARLY_ALL_PUSH_S = 25.0
"""What 99 of 100 pushes keep: one nudge may be missed. Declared here like the other."""

PROMISED_POLL_S = 15
"""The poll period that both are promised for: the shortest, of the core feeds."""


def promised_push_s(awaited_s: int) -> tuple[float, float]:
    """(p95, p99) of pushes whose poll and match are awaited ``awaited_s`` at worst:
    what matching and sending may take is the same for all.
    """
    longer_s = awaited_s - PROMISED_POLL_S
    return LATE_PUSH_S + longer_s, NEARLY_ALL_PUSH_S + longer_s


OBJECTIVES: dict[str, Objective] = {
    objective.name: objective
    for objective in (
        Objective(
            name="push_p95",
            measure="p95_push_s",
            sense="at_most",
            limit=LATE_PUSH_S,
            reason="15 s until the next poll at worst, 5 s to match and to send.",
        ),
        Objective(
            name="push_p99",
            measure="p99_push_s",
            sense="at_most",
            limit=NEARLY_ALL_PUSH_S,
            reason="One missed nudge costs a poll less than a second tick would.",
        ),
        Objective(
            name="late_pushes",
            measure="late_push_fraction",
            sense="at_most",
            limit=0.05,
            reason="The same promise as push_p95, as a share.",
        ),
        Objective(
            name="nothing_lost",
            measure="lost",
            sense="at_most",
            limit=0,
            reason="A row is written before a message is sent.",
        ),
        Objective(
            name="realtime_age",
            measure="realtime_age_p99_s",
            sense="at_most",
            limit=45.0,
            reason="Three polls at the busiest cadence: one may fail unnoticed.",
        ),
        Objective(
            name="queue_wait",
            measure="queue_wait_p95_s",
            sense="at_most",
            limit=5.0,
            reason="What matching and sending may wait and still keep push_p95.",
        ),
        Objective(
            name="success",
            measure="success_rate",
            sense="at_least",
            limit=0.99,
            reason="The user's own figure: tasks complete above 99 %.",
        ),
        Objective(
            name="budget",
            measure="usd_per_month",
            sense="at_most",
            limit=25.0,
            reason="The user's own figure for 1,000 users.",
        ),
    )
}
