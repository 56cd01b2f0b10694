"""Matching: one statement joins what happens with what riders want to hear of.

A rider is told of one subject (a line in a part of the day, a trip, an alert) once, and
once more when it gets worse: its bucket is higher than any told before. The unique key
of the table holds even if two matchers meet.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from worker.clients.postgres import Connection
from worker.notifications import planned
from worker.notifications.disruptions import Disruptions
from worker.notifications.service_days import around, service_day
from worker.notifications.statement import PREPARE, statement
from worker.policy import Policy

_SEPARATOR = "\x1f"
_LOCK = 5_012_001  # any number that nobody else locks: one matcher at a time


@dataclass(frozen=True, kw_only=True, slots=True)
class Matched:
    """What a match left: ids of new notifications, and how many the cap held back."""

    ids: list[int]
    capped: int


def insert_notifications(
    db: Connection,
    disruptions: Disruptions,
    *,
    policy: Policy,
    environment: str,
    now: datetime,
    clock_offset_s: float,
) -> Matched:
    """Insert what riders are to be told now and were not told before.

    ``now`` is service time, ``clock_offset_s`` what it is ahead of the real clock;
    ``environment``: whose devices Apple's address takes. Commit, then enqueue the ids.
    """
    timetable = _timetable_is_loaded(db)
    if timetable:
        planned.complete(db, disruptions, now)
    if not disruptions.kind:
        return Matched(ids=[], capped=0)
    db.execute(
        PREPARE, {"lock": _LOCK, "work_mem": f"{policy.matching.work_mem_mib}MB"}
    )
    dates = {date: service_day(date) for date in set(disruptions.service_date)}
    days = {date: day for date, day in dates.items() if day is not None}
    windows = around(days.values())
    numbers = {date: number for number, date in enumerate(days, 1)}
    row = db.execute(
        statement(timetable=timetable).encode(),
        {
            "days": [day.day for day in days.values()],
            "starts": [day.starts_at for day in windows],
            "weekdays": [day.weekday for day in windows],
            "kind": _texts(disruptions.kind),
            "route_id": _texts(disruptions.route_id),
            "stop_id": _texts(disruptions.stop_id),
            "trip_id": _texts(disruptions.trip_id),
            "day": _same_numbers([numbers[date] for date in disruptions.service_date]),
            "delay_s": _same_numbers(disruptions.delay_s),
            "expected_at": _numbers([at or 0 for at in disruptions.expected_at]),
            "from_at": _numbers(disruptions.from_at),
            "to_at": _numbers(disruptions.to_at),
            "opens_at": min(disruptions.from_at),
            "closes_at": max(disruptions.to_at),
            "published_at": _same_numbers(disruptions.published_at),
            "alert": _same_numbers(disruptions.alert),
            "separator": _SEPARATOR,
            "alerts": disruptions.alerts,
            "buckets": list(policy.realtime.delay_buckets_s),
            "remembered_s": policy.matching.trip_lead_s + policy.matching.trip_tail_s,
            "told_again_s": policy.matching.told_again_after_s,
            "block": str(int(now.timestamp()) // policy.matching.told_again_after_s),
            "cap": policy.matching.max_per_rider_hour,
            "expiry_s": policy.push.expiry_s,
            "environment": environment,
            "now_s": int(now.timestamp()),
            "real": now - timedelta(seconds=clock_offset_s),
            "offset_s": clock_offset_s,
        },
    ).fetchone()
    assert row is not None
    ids, capped = row
    return Matched(ids=list(ids), capped=int(capped))  # type: ignore[call-overload]


def _numbers(column: Sequence[float]) -> str:
    """A column as PostgreSQL reads an array: many times faster than psycopg's own."""
    return "{" + str(column)[1:-1] + "}"


def _same_numbers(column: Sequence[float]) -> str:
    """``_numbers`` of a column with few different ones: each is written once."""
    written = {number: repr(number) for number in set(column)}
    return "{" + ",".join(map(written.__getitem__, column)) + "}"


def _texts(column: Sequence[str]) -> str:
    """A column for string_to_array; the separator never stands inside a text.

    It ends with a separator, so with one text too many: nothing alone would be no text.
    """
    joined = _SEPARATOR.join(column)
    if joined.count(_SEPARATOR) >= len(column) or "\0" in joined:
        without = str.maketrans("", "", f"{_SEPARATOR}\0")
        joined = _SEPARATOR.join(text.translate(without) for text in column)
    return joined + _SEPARATOR


def _timetable_is_loaded(db: Connection) -> bool:
    row = db.execute("select to_regproc('gtfs.trip_calls') is not null").fetchone()
    return row == (True,)
