"""Sydney service days: where their minutes count from, and which weekday they are.

A clock time of the timetable counts from noon minus 12 hours, which is not midnight on
the two days a year when the clocks change: https://gtfs.org/documentation/schedule/reference/
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from worker.policy.tasks import TIMEZONE

SYDNEY = ZoneInfo(TIMEZONE)


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceDay:
    """``starts_at``: epoch seconds. Weekdays as bits, Monday 1 to Sunday 64, of the
    day itself, of the day before and of the day after.
    """

    day: date
    starts_at: int
    weekday: int
    weekday_before: int
    weekday_after: int


@lru_cache(maxsize=8)
def service_day(yyyymmdd: str) -> ServiceDay | None:
    """The service day that a feed names; None when it is not a date."""
    try:
        day = datetime.strptime(yyyymmdd, "%Y%m%d").replace(tzinfo=SYDNEY).date()
        noon = datetime.combine(day, time(12), SYDNEY).astimezone(UTC)
        midnight = noon - timedelta(hours=12)
    except (ValueError, OverflowError):  # the year 1 has a first day
        return None
    return ServiceDay(
        day=day,
        starts_at=int(midnight.timestamp()),
        weekday=_bit(day.weekday()),
        weekday_before=_bit(day.weekday() - 1),
        weekday_after=_bit(day.weekday() + 1),
    )


def today(now: datetime) -> str:
    """The Sydney date of an instant, YYYYMMDD."""
    return now.astimezone(SYDNEY).strftime("%Y%m%d")


def _bit(weekday: int) -> int:
    return 1 << weekday % 7
