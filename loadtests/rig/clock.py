"""Service time: the clock of the scenario, at real speed."""

import math
import time
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

SYDNEY = ZoneInfo("Australia/Sydney")
LATE_NIGHT_H = 30
"""GTFS hours run past 24: until then a trip may belong to the day before."""


@dataclass(frozen=True, slots=True)
class Clock:
    """``offset_s`` is service time minus real time."""

    offset_s: float = 0.0

    @classmethod
    def starting_at(cls, service: datetime) -> "Clock":
        """Service time is ``service`` now; in whole seconds, and never before it."""
        return cls(float(math.ceil(service.timestamp() - time.time())))

    def now(self) -> float:
        """Service time, epoch seconds."""
        return time.time() + self.offset_s

    def today(self) -> date:
        """The date in Sydney, by service time."""
        return datetime.fromtimestamp(self.now(), SYDNEY).date()


def midnight(day: date) -> float:
    """Where GTFS times of a service day begin: noon minus twelve hours, epoch s.

    https://gtfs.org/documentation/schedule/reference/#field-types
    """
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=SYDNEY)
    return noon.timestamp() - 12 * 3600


def service_days(now: float) -> list[tuple[date, float]]:
    """Today and yesterday, each with the GTFS seconds that have passed in it."""
    today = datetime.fromtimestamp(now, SYDNEY).date()
    days = (today, today - timedelta(days=1))
    return [(day, now - midnight(day)) for day in days]
