"""One line of the bench: what it costs, what the bare thing costs, what is wanted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from gc import collect
from statistics import median
from time import perf_counter


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One measure, a median; ``target`` bounds the ratio where there is a baseline,
    else the value. None: shown beside the others, so that a change is seen."""

    name: str
    value: float
    unit: str
    repeats: int
    target: float | None
    baseline: str = ""
    baseline_value: float | None = None
    peak_rss_mib: float | None = None

    @property
    def ratio(self) -> float | None:
        """Value over baseline; None without one."""
        return self.value / self.baseline_value if self.baseline_value else None

    @property
    def met(self) -> bool:
        """Whether the target is kept, if there is one."""
        if self.target is None:
            return True
        return (self.value if self.ratio is None else self.ratio) <= self.target

    def as_json(self) -> dict[str, object]:
        """The line as plain values."""
        return {
            "name": self.name,
            "value": round(self.value, 4),
            "unit": self.unit,
            "baseline": self.baseline or None,
            "baseline_value": self.baseline_value and round(self.baseline_value, 4),
            "ratio": self.ratio and round(self.ratio, 3),
            "peak_rss_mib": self.peak_rss_mib,
            "repeats": self.repeats,
            "target": self.target,
            "met": self.met,
        }


def medians(
    parts: Sequence[Callable[[], object]], *, repeats: int, warm: int = 1
) -> list[float]:
    """Milliseconds of each part, run in turn so that a busy machine is fair to all, and
    none of them clears away what the one before it left.
    """
    times: list[list[float]] = [[] for _ in parts]
    for number in range(warm + repeats):
        for part, kept in zip(parts, times, strict=True):
            collect()
            began = perf_counter()
            part()
            if number >= warm:
                kept.append((perf_counter() - began) * 1e3)
    return [median(each) for each in times]
