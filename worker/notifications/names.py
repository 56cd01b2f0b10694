"""What riders call a line and a stop, from the timetable that is loaded."""

from collections.abc import Iterable
from dataclasses import dataclass

from worker.clients.postgres import Connection


@dataclass(frozen=True, kw_only=True, slots=True)
class Names:
    """Names by id; an id that the timetable does not know is missing."""

    routes: dict[str, str]
    stops: dict[str, str]


def of(db: Connection, route_ids: Iterable[str], stop_ids: Iterable[str]) -> Names:
    """The names of these; none when no timetable is loaded."""
    loaded = db.execute("select to_regclass('gtfs.stops') is not null").fetchone()
    if loaded != (True,):
        return Names(routes={}, stops={})
    rows = db.execute(
        _NAMES, (sorted(set(route_ids)), sorted(set(stop_ids)))
    ).fetchall()
    found: dict[object, dict[str, str]] = {"route": {}, "stop": {}}
    for what, id_, name in rows:
        found[what][str(id_)] = str(name)
    return Names(routes=found["route"], stops=found["stop"])


_NAMES = """
select 'route', route_id, coalesce(nullif(route_short_name, ''), route_long_name)
from gtfs.routes
where route_id = any(%s)
    and coalesce(nullif(route_short_name, ''), nullif(route_long_name, '')) is not null
union all
select 'stop', stop_id, stop_name
from gtfs.stops
where stop_id = any(%s) and stop_name <> ''
"""
