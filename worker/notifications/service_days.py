"""Sydney service days: where their minutes count from, and which weekday they are.

A clock time of the timetable counts from noon minus 12 hours, which is not midnight on
the two days a year when the clocks change: https://gtfs.org/documentation/schedule/reference/
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from worker.policy.tasks import TIMEZONE

SYDNEY = ZoneInfo(TIMEZONE)


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceDay:
    """``starts_at``: epoch seconds. ``weekday``: a bit, Monday 1 to Sunday 64."""

    day: date
    starts_at: int
    weekday: int


@lru_cache(maxsize=16)
def service_day(yyyymmdd: str) -> ServiceDay | None:
    """The service day that a feed names; None when it is not a date."""
    if len(yyyymmdd) != 8:  # strptime takes 2026061 for 1 June
        return None
    try:
        day = datetime.strptime(yyyymmdd, "%Y%m%d").replace(tzinfo=SYDNEY).date()
        noon = datetime.combine(day, time(12), SYDNEY).astimezone(UTC)
        midnight = noon - timedelta(hours=12)
    except (ValueError, OverflowError):  # the year 1 has a first day
        return None
    return ServiceDay(
        day=day,
        starts_at=int(midnight.timestamp()),
        weekday=1 << day.weekday(),
    )


def today(now: datetime) -> str:
    """The Sydney date of an instant, YYYYMMDD."""
    return now.astimezone(SYDNEY).strftime("%Y%m%d")


def around(days: Iterable[ServiceDay]) -> list[ServiceDay]:
    """These days, and those before and after them, each once."""
    near = {
        (each.day + timedelta(days=apart)).strftime("%Y%m%d")
        for each in days
        for apart in (-1, 0, 1)
    }
    found = (service_day(date) for date in sorted(near))
    return [day for day in found if day is not None]
