"""The match statement, and its first half: whom what happens concerns.

One piece of SQL, so longer than a file should be; ``telling`` goes on from here.

What happens is many rows, and few of them concern anybody now. So the favorites whose
window is open near the time of all that happens are sought first; what happens is then
read once for each way in which a favorite can want it, and looked up among them.
"""

from worker.notifications.telling import LEFT_OUT, TELLING


def statement(*, timetable: bool, conflicts: bool) -> str:
    """The statement; without a timetable, what needs one matches nothing.

    ``conflicts``: what the table holds already is left out, row by row. Without it such
    a row is an error: the statement looks before it writes, and looking twice costs a
    tenth of it.
    """
    parts = _WITH_TIMETABLE if timetable else _WITHOUT_TIMETABLE
    return (_CANDIDATES + TELLING).format(
        said=_SAID,
        wanted=_WANTED,
        of_line=_OF_LINE,
        open=_OPEN,
        is_open=_IS_OPEN,
        conflicts=LEFT_OUT if conflicts else "",
        **parts,
    )


_SAID = "p.n, p.kind, p.route_id, p.trip_id, p.delay_s, p.stop_id, p.at"

# The favorite names no other line.
_OF_LINE = "(f.any_line or p.route_id in ('', f.route_id))"

# The window is open at some time of the event, and the delay is worth a word.
_WANTED = """f.opens_at <= p.to_at and p.from_at < f.closes_at
        and (p.kind <> 'delay' or p.delay_s >= f.threshold_s)"""

# What a favorite names is said by booleans: what the planner assumes of those that he
# has no statistics of is good enough, what he assumes of nulls is ruin.
_OPEN = """
        f.user_id, f.route_id, f.stop_id, f.to_stop_id, f.trip_id, f.threshold_s,
        f.route_id is null as any_line, f.stop_id is not null as at_stop,
        f.to_stop_id is not null as on_way, f.trip_id is not null as of_trip,
        m.starts_at + 60 * f.from_minute as opens_at,
        m.starts_at + 60 * f.until_minute as closes_at"""

# What sets most aside comes first.
_IS_OPEN = """m.from_minute <= f.until_minute
        and f.from_minute <= m.to_minute and f.weekdays & m.weekday <> 0
        and (f.from_minute <= m.soon_minute or case
            when f.trip_id is not null then f.trip_id in (select trip_id from odd)
            when f.stop_id is not null then f.stop_id in (select name from called)
            else f.route_id in (select route_id from odd)
        end)"""

_WITH_TIMETABLE = {
    # Where and when a trip that does not run would have called.
    "planned": """
    select
        s.n, s.trip_id, c.stop_id, coalesce(t.parent_station, '') as station,
        extract(epoch from c.departs_at)::bigint as at
    from odd s
    cross join lateral gtfs.trip_calls(
        s.trip_id,
        (%(dates)s::date[])[width_bucket(s.n, %(dates_from)s::bigint[])]
    ) c
    left join gtfs.stops t on t.stop_id = c.stop_id
    where s.kind in ('canceled', 'replaced') and s.stop_id = ''
        and s.trip_id <> ''""",
    # A favorite station means all its platforms.
    "platforms": """
    select stop_id, parent_station from gtfs.stops where parent_station <> ''""",
    # The trip calls there before it calls where the rider wants to go.
    "ways": """
    select p.trip_id, p.stop_id, p.to_stop_id
    from (
        select distinct trip_id, stop_id, to_stop_id
        from at_place
        where on_way and trip_id <> ''
    ) p
    cross join lateral gtfs.way(p.trip_id, p.stop_id, p.to_stop_id) w
    where w.first_from < w.last_to""",
    "trip_lines": """
    select t.trip_id, r.route_id
    from gtfs.trip_rows t
    join gtfs.routes_rows r using (route)""",
}

_WITHOUT_TIMETABLE = {
    "planned": "select 0::bigint as n, '' as trip_id, '' as stop_id, '' as station, "
    "0::bigint as at where false",
    "platforms": "select '' as stop_id, '' as parent_station where false",
    "ways": "select '' as trip_id, '' as stop_id, '' as to_stop_id where false",
    "trip_lines": "select '' as trip_id, '' as route_id where false",
}

# One matcher at a time. Its joins are of a few thousand rows with many favorites, which
# hashing reads once; the planner, who cannot know, would sort them. What he fears it
# costs would also have it compiled, which takes longer than it runs.
PREPARE = """
select
    pg_advisory_xact_lock(%(lock)s),
    set_config('work_mem', %(work_mem)s, true),
    set_config('enable_mergejoin', 'off', true),
    set_config('jit', 'off', true)
"""

_CANDIDATES = """
with said as materialized (
    -- Alerts come first, and say since when they hold.
    select
        s.*,
        coalesce((%(alerts_from_at)s::bigint[])[s.n], s.to_at - s.delay_s) as from_at
    from unnest(
        string_to_array(%(kind)s, %(separator)s),
        string_to_array(%(route_id)s, %(separator)s),
        string_to_array(%(stop_id)s, %(separator)s),
        string_to_array(%(trip_id)s, %(separator)s), %(delay_s)s::int[],
        %(to_at)s::bigint[]
    ) with ordinality as s (kind, route_id, stop_id, trip_id, delay_s, to_at, n)
    where s.to_at is not null
),
-- What is no delay: few.
odd as materialized (
    select * from said where kind <> 'delay'
),
planned as materialized ({planned}
),
call as materialized (
    select * from planned where at > %(now_s)s
),
platform as materialized ({platforms}
),
called as (
    select stop_id as name from call
    union all
    select station from call where station <> ''
),
-- The service days whose windows may be open while all this happens, and from which
-- minute of theirs to which that is; after soon_minute there are calls alone.
midnight as materialized (
    select
        d.starts_at, d.weekday, div(%(opens_at)s - d.starts_at, 60)::int as from_minute,
        div(%(closes_at)s - d.starts_at, 60)::int as soon_minute,
        div(closes_at - d.starts_at, 60)::int as to_minute
    from unnest(%(starts)s::bigint[], %(weekdays)s::int[]) as d (starts_at, weekday)
    cross join (
        select greatest(%(closes_at)s, max(at)) as closes_at from call
    ) c
    where d.starts_at <= c.closes_at
),
-- Favorites while their window is open; of later windows, when only trips that do not
-- run matter, those that such a trip can concern.
open as materialized (
    select {open}
    from midnight m
    join app.favorites f on {is_open}
    where m.from_minute < 1440
    union all
    -- Few windows reach into the next day, which an index knows.
    select {open}
    from midnight m
    join app.favorites f on f.until_minute >= 1440 and {is_open}
    where m.from_minute >= 1440
),
place as materialized (
    select o.*, o.stop_id as place
    from open o
    where o.at_stop and not o.of_trip
    union all
    select o.*, s.stop_id
    from open o
    join platform s on s.parent_station = o.stop_id
    where not o.of_trip
),
-- Where and when what is no delay begins to matter: a trip that does not run from its
-- first call to come to its last.
whole as materialized (
    select
        s.n, s.kind, s.route_id, s.trip_id, s.delay_s,
        coalesce(c.stop_id, s.stop_id) as stop_id, c.at,
        coalesce(c.at, s.from_at) as from_at, coalesce(c.last_at, s.to_at) as to_at
    from odd s
    left join (
        select distinct on (n) *, max(at) over (partition by n) as last_at
        from call
        order by n, at
    ) c using (n)
    -- What would be over by now is told no more.
    where c.n is not null or s.n not in (select n from planned)
),
-- One row a disruption and stop, where somebody waits.
at_stop as materialized (
    select
        n, kind, route_id, trip_id, delay_s, stop_id,
        case when kind = 'delay' then to_at end as at, from_at, to_at
    from said
    where stop_id in (select place from place)
        and (kind <> 'delay' or from_at <= %(ahead_s)s)
    union all
    select
        n, s.kind, s.route_id, s.trip_id, s.delay_s, c.stop_id, c.at, c.at, c.at
    from call c
    join odd s using (n)
),
-- An alert at a stop concerns its station and platforms too. Joined, not looked up row
-- by row: alerts name many stops, and there are thousands of platforms.
alert_at as materialized (
    select a.*, null::bigint as at, a.stop_id as name
    from odd a
    where a.kind = 'alert' and a.stop_id <> ''
    union all
    select a.*, null, s.parent_station
    from odd a
    join platform s on s.stop_id = a.stop_id
    where a.kind = 'alert'
    union all
    select a.*, null, s.stop_id
    from odd a
    join platform s on s.parent_station = a.stop_id
    where a.kind = 'alert'
),
-- For riders of a line: of each quarter of an hour the worst is enough, told to those
-- whom any of it concerns; of an alert one row, however many of its stops it names.
line as materialized (
    select
        s.n, s.kind, s.route_id, s.trip_id, s.delay_s, s.stop_id, s.to_at as at,
        worst.from_at, worst.to_at
    from said s
    join (
        select
            max(delay_s::bigint << 32 | n) & 4294967295 as n,
            min(from_at) as from_at, max(to_at) as to_at
        from said
        where kind = 'delay' and from_at <= %(ahead_s)s and route_id in (
            select route_id from open where not at_stop and not of_trip
        )
        group by route_id, from_at / 900
    ) worst using (n)
    union all
    select * from whole where kind <> 'alert'
    union all
    (
        select distinct on (
            route_id, width_bucket(n, %(alert_from)s::bigint[])
        ) *
        from whole
        where kind = 'alert'
        order by
            route_id, width_bucket(n, %(alert_from)s::bigint[]), trip_id <> '', n
    )
),
-- Who likes a trip likes its line that day, as far as alerts go: a line that does not
-- run has no delays to tell him. Of a stop he hears if it is where he gets on or off.
-- Looked up for few favorites, and only if there are alerts.
liked as materialized (
    select
        o.user_id, t.route_id, o.stop_id, o.to_stop_id, o.threshold_s, o.opens_at,
        o.closes_at, t.route_id is null as any_line, o.at_stop, o.on_way
    from open o
    left join ({trip_lines}
    ) t using (trip_id)
    where o.of_trip and exists (select from odd where kind = 'alert')
),
at_place as materialized (
    select {said}, f.user_id, f.to_stop_id, f.on_way
    from at_stop p
    join place f on f.place = p.stop_id and f.route_id = p.route_id
    where {wanted}
    union all
    select {said}, f.user_id, f.to_stop_id, f.on_way
    from at_stop p
    join place f on f.place = p.stop_id
    where f.any_line and {wanted}
    union all
    select {said}, f.user_id, f.to_stop_id, f.on_way
    from at_stop p
    join place f on f.place = p.stop_id
    where p.route_id = '' and not f.any_line and not f.on_way
        and {wanted}
    union all
    -- An alert of a trip at an end of a way, told if the trip goes that way. Of a trip
    -- and no stop its own riders and those of its line hear: who waits where it calls
    -- hears of the delay or the cancellation that it causes.
    select
        p.n, p.kind, p.route_id, p.trip_id, p.delay_s, f.stop_id, p.at, f.user_id,
        f.to_stop_id, f.on_way
    from alert_at p
    join (
        select *, stop_id as name from open where on_way
        union all
        select *, to_stop_id from open where on_way
    ) f using (name)
    where p.trip_id <> '' and not f.of_trip and {of_line} and {wanted}
),
way as ({ways}
),
candidate as materialized (
    select {said}, f.user_id, false as by_trip
    from line p
    join open f on f.route_id = p.route_id
    where not f.at_stop and not f.of_trip and {wanted}
    union all
    select {said}, f.user_id, false
    from (select *, null::bigint as at from odd) p
    join open f on f.route_id = p.route_id
    where p.kind = 'alert' and p.stop_id = '' and p.trip_id = ''
        and f.at_stop and not f.of_trip and {wanted}
    union all
    select {said}, p.user_id, false
    from at_place p
    where not p.on_way
    union all
    select {said}, p.user_id, false
    from at_place p
    join way using (trip_id, stop_id, to_stop_id)
    union all
    select {said}, f.user_id, false
    from alert_at p
    join open f on f.stop_id = p.name
    where not f.of_trip and (not f.on_way or p.trip_id = '')
        and {of_line} and {wanted}
    union all
    -- Where a way ends matters as well.
    select {said}, f.user_id, false
    from alert_at p
    join open f on f.to_stop_id = p.name
    where not f.of_trip and p.trip_id = ''
        and {of_line} and {wanted}
    union all
    select {said}, f.user_id, true
    from line p
    join liked f on f.route_id = p.route_id
    where p.kind = 'alert' and p.trip_id = '' and (not f.at_stop or p.stop_id = '')
        and {wanted}
    union all
    select {said}, f.user_id, true
    from alert_at p
    join (
        select *, stop_id as name from liked where at_stop
        union all
        select *, to_stop_id from liked where on_way
    ) f using (name)
    where p.trip_id = '' and {of_line} and {wanted}
    union all
    select {said}, f.user_id, true
    from alert_at p
    join open f on f.trip_id = p.trip_id
    where p.name in (f.stop_id, f.to_stop_id) and {wanted}
    union all
    select {said}, f.user_id, true
    from (select *, to_at as at from said where kind = 'delay') p
    join open f on f.trip_id = p.trip_id
    where (
            not f.at_stop or f.stop_id = p.stop_id or (p.stop_id, f.stop_id) in (
                select stop_id, parent_station from platform
            )
        ) and {wanted}
    union all
    select {said}, f.user_id, true
    from whole p
    join open f on f.trip_id = p.trip_id
    where (not f.at_stop or p.stop_id = '') and {wanted}
    union all
    -- Of a trip that does not run, whose calls are known, where it would have called.
    select {said}, f.user_id, true
    from (
        select
            s.n, s.kind, s.route_id, c.trip_id, s.delay_s, c.stop_id, c.at,
            c.at as from_at, c.at as to_at, c.station
        from call c
        join odd s using (n)
    ) p
    join open f on f.trip_id = p.trip_id
    where f.stop_id in (p.stop_id, p.station) and {wanted}
),
"""
