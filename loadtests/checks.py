"""``--check 'p95_push_s<=20'``: a wanted figure, and whether a run has it."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import eq, ge, le

from worker.errors import UsageError
from worker.measures import MEASURES, Recorded

SENSES: dict[str, Callable[[float, float], bool]] = {"<=": le, ">=": ge, "==": eq}
_FORM = re.compile(r"\s*(\w+)\s*(<=|>=|==)\s*(\S+)\s*")


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """A measure that must stand in that sense to a number."""

    measure: str
    sense: str
    wanted: float

    def failure(self, run: Recorded) -> str:
        """What is wrong, as one line; empty when the run passes.

        A figure that was not measured (NaN) never passes.
        """
        value = MEASURES[self.measure].function(run)
        if not math.isnan(value) and SENSES[self.sense](value, self.wanted):
            return ""
        return (
            f"check failed: {self.measure} is {value:.4g}, "
            f"wanted {self.sense} {self.wanted:g}"
        )


def parse_check(text: str) -> Check:
    """A check from its words; raises UsageError for another form or measure."""
    found = _FORM.fullmatch(text)
    if found is None:
        raise UsageError(
            f"--check '{text}' is not MEASURE<=NUMBER (or >=, ==), such as "
            "'p95_push_s<=20'"
        )
    measure, sense, wanted = found.groups()
    if measure not in MEASURES:
        raise UsageError(
            f"--check '{text}': there is no measure {measure}; choose one of "
            f"{', '.join(MEASURES)}"
        )
    try:
        number = float(wanted)
    except ValueError:
        raise UsageError(f"--check '{text}': {wanted} is not a number") from None
    if not math.isfinite(number):
        raise UsageError(
            f"--check '{text}': {wanted} decides nothing; give a number that a run can "
            "miss or keep"
        )
    return Check(measure=measure, sense=sense, wanted=number)


def verdict(checks: Sequence[Check], run: Recorded) -> tuple[bool, list[str]]:
    """Whether the run passes all, and the lines that say so."""
    failures = [failure for check in checks if (failure := check.failure(run))]
    return not failures, failures or ["check passed"]
