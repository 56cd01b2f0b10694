"""What the feed leaves out and the timetable knows: a trip's line, a delay's time.

Trains send delays without a time: the timetable says when the trip would have called
there; the delay comes on top.
"""

from datetime import datetime

from worker.clients.postgres import Connection
from worker.notifications.disruptions import Disruptions
from worker.notifications.service_days import service_day


def complete(db: Connection, disruptions: Disruptions, now: datetime) -> None:
    """Name the line of trips without one, and give delays without a time the one that
    the timetable implies, where it knows the trip; those of vehicles that have left are
    told no more.
    """
    _name_lines(db, disruptions)
    _expect(db, disruptions, now)


def _name_lines(db: Connection, disruptions: Disruptions) -> None:
    trips = disruptions.without_line()
    if trips:
        lines = {str(trip): str(line) for trip, line in db.execute(_LINES, (trips,))}
        disruptions.name_lines(lines)


def _expect(db: Connection, disruptions: Disruptions, now: datetime) -> None:
    # PostgreSQL's text cannot hold this one character.
    rows = [
        row
        for row in disruptions.without_time()
        if "\0" not in disruptions.trip_id[row]
    ]
    if not rows:
        return
    trips = {
        (disruptions.trip_id[row], disruptions.service_date[row]): None for row in rows
    }
    days = [service_day(date) for _, date in trips]
    calls: dict[tuple[str, str, str], list[int]] = {}
    for trip_id, date, stop_id, departs_at in db.execute(
        _CALLS,
        {
            "trips": [trip_id for trip_id, _ in trips],
            "dates": [date for _, date in trips],
            "days": [day.day if day else None for day in days],
        },
    ):
        call = (str(trip_id), str(date), str(stop_id))
        calls.setdefault(call, []).append(int(departs_at))  # type: ignore[call-overload]
    now_s, expected_at = int(now.timestamp()), {}
    for row in rows:
        d = disruptions
        planned = calls.get((d.trip_id[row], d.service_date[row], d.stop_id[row]))
        if planned is not None:
            at = [each + d.delay_s[row] for each in planned]
            # A trip that calls twice at a stop is expected at the call to come.
            expected_at[row] = min((each for each in at if each > now_s), default=at[0])
    disruptions.expect(expected_at, now)


_LINES = """
select t.trip_id, r.route_id
from gtfs.trip_rows t
join gtfs.routes_rows r using (route)
where t.trip_id = any(%s)
"""
_CALLS = """
select t.trip_id, t.date, c.stop_id, extract(epoch from c.departs_at)::bigint
from unnest(%(trips)s::text[], %(dates)s::text[], %(days)s::date[])
    as t (trip_id, date, day)
cross join lateral gtfs.trip_calls(t.trip_id, t.day) c
where t.trip_id <> ''
order by c.departs_at
"""
