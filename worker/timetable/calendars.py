"""Service days: calendars and their exceptions as one row of bits a service."""

import re
from dataclasses import dataclass, field
from datetime import date

from worker.timetable.sink import copy_text

_DIGITS = re.compile(r"[0-9]{8}")
_MAX_DAYS = 40 * 366


def service_date(text: str) -> date | None:
    """A date of eight digits, or None."""
    if not _DIGITS.fullmatch(text):
        return None
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return None


@dataclass(kw_only=True, slots=True)
class _Days:
    """Bit i of ``bits`` stands for the day ``first`` + i, an ordinal."""

    first: int
    bits: int

    def set(self, day: int, runs: bool) -> None:
        if day < self.first:
            self.bits <<= self.first - day
            self.first = day
        mask = 1 << (day - self.first)
        self.bits = self.bits | mask if runs else self.bits & ~mask


@dataclass(kw_only=True, slots=True)
class Services:
    """The services of one bundle, by id."""

    days: dict[str, _Days] = field(default_factory=dict)

    def add_calendar(self, row: dict[str, str]) -> str | None:
        """Take one row of calendar.txt; the reason when it makes no sense."""
        first, last = service_date(row["start_date"]), service_date(row["end_date"])
        if first is None or last is None:
            return "start_date or end_date is not a date"
        length = (last - first).days + 1
        if length > _MAX_DAYS:
            return f"service {row['service_id']} lasts longer than 40 years"
        names = (
            "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"
        )  # fmt: skip
        week = "".join("1" if row[name].strip() == "1" else "0" for name in names)
        turned = week[first.weekday() :] + week[: first.weekday()]
        run = (turned * (max(length, 0) // 7 + 1))[: max(length, 0)]
        bits = int(run[::-1], 2) if run else 0
        self.days[row["service_id"]] = _Days(first=first.toordinal(), bits=bits)
        return None

    def add_exception(self, row: dict[str, str]) -> str | None:
        """Take one row of calendar_dates.txt; the reason when it makes no sense."""
        day = service_date(row["date"])
        kind = row["exception_type"].strip()
        if day is None or kind not in ("1", "2"):
            return f"exception_type {kind} is not 1 or 2"
        at = day.toordinal()
        days = self.days.setdefault(row["service_id"], _Days(first=at, bits=0))
        if abs(at - days.first) > _MAX_DAYS:
            return f"service {row['service_id']} lasts longer than 40 years"
        days.set(at, kind == "1")
        return None

    def line(self, key: int, service_id: str, name: str) -> str:
        """The COPY line of one service, under the id ``name``."""
        days = self.days[service_id]
        bits = f"{days.bits:b}"[::-1] if days.bits else ""
        first = date.fromordinal(days.first).isoformat()
        return f"{key}\t{copy_text(name)}\t{first}\t{bits}\n"

    def last_day(self) -> date | None:
        """The last day on which any service runs."""
        ends = [d.first + d.bits.bit_length() - 1 for d in self.days.values() if d.bits]
        return date.fromordinal(max(ends)) if ends else None

    def runs_on(self, day: date) -> bool:
        """Whether any service runs on ``day``."""
        at = day.toordinal()
        return any(
            at >= d.first and d.bits >> (at - d.first) & 1 for d in self.days.values()
        )
