"""How many figures were decided, and of how many the predicted interval was right."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simulation.comparison import Comparison


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """Counts of figures. ``longer``: a longer run would decide. ``noisy``: nothing is
    concluded from a noisy run. ``open``: no length decides, or nothing was measured.
    ``covered``, of the ``judged``: those of which both sides are numbers;
    ``covered_by_chance``: of what replications alone spread over, None where intervals
    are no wider than that. ``reach``: by what share the middle one of their intervals
    reaches to either side.
    """

    within: int
    outside: int
    longer: int
    noisy: int
    open: int
    covered: int
    covered_by_chance: int | None
    judged: int
    reach: float

    @property
    def inconclusive(self) -> int:
        """Undecided for whatever reason."""
        return self.longer + self.noisy + self.open

    def verdicts(self) -> str:
        """The counts in words; a reason that none has is not named."""
        undecided = (
            (self.longer, "need longer runs"),
            (self.noisy, "undecided because the run was noisy"),
            (self.open, "undecided at any length"),
        )
        return ", ".join(
            (
                f"{self.within} within",
                f"{self.outside} outside",
                *(f"{count} {why}" for count, why in undecided if count),
            )
        )

    def coverage(self) -> str:
        """How often the predicted interval held what was measured."""
        share = self.covered / max(1, self.judged)
        known = (
            "which knows chance alone, not how runs differ"
            if self.covered_by_chance is None
            else f"{self.covered_by_chance} in what chance alone makes of a run"
        )
        return (
            f"{self.covered} of {self.judged} ({share:.0%}) measured values lie in the "
            f"predicted 95 % interval, {known}; half of these intervals reach "
            f"{self.reach:.1%} or less to either side"
        )


def tally(rows: Sequence[Comparison]) -> Tally:
    """Count the verdicts of some figures."""
    undecided = [row for row in rows if row.verdict == "inconclusive"]
    quiet = [row for row in undecided if not row.noisy]
    judged = [row for row in rows if row.judged]
    longer = sum(row.needed_s is not None for row in quiet)
    return Tally(
        within=sum(row.verdict == "within" for row in rows),
        outside=sum(row.verdict == "outside" for row in rows),
        longer=longer,
        noisy=len(undecided) - len(quiet),
        open=len(quiet) - longer,
        covered=sum(row.covered for row in rows),
        covered_by_chance=sum(row.covered_by_chance for row in rows)
        if any(row.by_chance for row in rows)
        else None,
        judged=len(judged),
        reach=float(np.median([row.reach for row in judged])) if judged else 0.0,
    )
