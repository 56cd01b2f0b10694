"""Matching: one statement joins what happens with what riders want to hear of.

A rider is told of one subject (a line in a part of the day, a trip, an alert) once, and
once more when it gets worse: its bucket is higher than any told before. The unique key
of the table holds even if two matchers meet.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain, groupby
from operator import sub

from psycopg.errors import UniqueViolation

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
    rows = disruptions
    days = [day for day in map(service_day, set(rows.service_date)) if day is not None]
    windows = around(days)
    values: dict[str, object] = {
        "starts": [day.starts_at for day in windows],
        "weekdays": [day.weekday for day in windows],
        "kind": _texts(rows.kind),
        "route_id": _texts(rows.route_id),
        "stop_id": _texts(rows.stop_id),
        "trip_id": _texts(rows.trip_id),
        "delay_s": _few_numbers(rows.delay_s),
        "to_at": _numbers(rows.to_at),
        "alerts_from_at": rows.alerts_from_at,
        "opens_at": min(chain(rows.alerts_from_at, map(sub, rows.to_at, rows.delay_s))),
        "closes_at": max(rows.to_at),
        **_runs("dates", rows.service_date),
        **_runs("timed", [at is not None for at in rows.expected_at]),
        **_runs("alert", rows.alert),
        **_runs("published", rows.published_at),
        "separator": _SEPARATOR,
        "alerts": disruptions.alerts,
        "buckets": list(policy.realtime.delay_buckets_s),
        "remembered_s": policy.matching.remembered_s,
        "told_again_s": policy.matching.told_again_after_s,
        "block": str(int(now.timestamp()) // policy.matching.told_again_after_s),
        "cap": policy.matching.max_per_rider_hour,
        "expiry_s": policy.push.expiry_s,
        "environment": environment,
        "now_s": int(now.timestamp()),
        "ahead_s": int(now.timestamp()) + policy.matching.delay_lead_s,
        "real": now - timedelta(seconds=clock_offset_s),
        "offset_s": clock_offset_s,
    }
    try:
        with db.transaction():
            ids, capped = _inserted(db, values, timetable=timetable, conflicts=False)
    except UniqueViolation:
        ids, capped = _inserted(db, values, timetable=timetable, conflicts=True)
    return Matched(ids=ids, capped=capped)


def _inserted(
    db: Connection, values: Mapping[str, object], *, timetable: bool, conflicts: bool
) -> tuple[list[int], int]:
    query = statement(timetable=timetable, conflicts=conflicts)
    found = db.execute(query.encode(), values).fetchone()
    assert found is not None
    ids, capped = found
    return list(ids), int(capped)  # type: ignore[call-overload]


def _numbers(column: Sequence[float]) -> str:
    """A column as PostgreSQL reads an array: many times faster than psycopg's own."""
    return "{" + str(column)[1:-1] + "}"


def _few_numbers(column: Sequence[int]) -> str:
    """``_numbers`` of a column with few different ones: each is written once."""
    written = {number: str(number) for number in set(column)}
    return "{" + ",".join(map(written.__getitem__, column)) + "}"


def _runs(name: str, column: Sequence[object]) -> dict[str, list[object]]:
    """A column in which many rows on end say the same: ``name`` holds what they say,
    ``name_from`` the number of the first row that says it, counted from 1.
    """
    values: list[object] = []
    first: list[object] = []
    row = 1
    for value, run in groupby(column):
        values.append(value)
        first.append(row)
        row += len(list(run))
    return {name: values, f"{name}_from": first}


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
    row = db.execute("select to_regproc('gtfs.way') is not null").fetchone()
    return row == (True,)
