"""The match statement: one piece of SQL, so longer than a file should be."""


def statement(*, timetable: bool) -> str:
    """The statement; without a timetable, what needs one matches nothing."""
    parts = _WITH_TIMETABLE if timetable else _WITHOUT_TIMETABLE
    return _STATEMENT.format(in_window=_IN_WINDOW, worth_it=_WORTH_IT, **parts)


# A window belongs to a service day and may reach into the next; an event belongs to one
# too and may lie beyond its midnight: so three days are looked at.
_IN_WINDOW = """(
        f.weekdays & p.weekday <> 0
        and f.from_minute <= p.to_minute and p.from_minute < f.until_minute
        or f.weekdays & p.weekday_before <> 0
        and f.from_minute <= p.to_minute + 1440
        and p.from_minute + 1440 < f.until_minute
        or f.weekdays & p.weekday_after <> 0
        and f.from_minute <= p.to_minute - 1440
        and p.from_minute - 1440 < f.until_minute
    ) and f.from_minute < f.until_minute"""

_WORTH_IT = "(p.kind <> 'delay' or p.delay_s >= f.threshold_s)"

_WITH_TIMETABLE = {
    # Where a trip that does not run would still have called.
    "calls": """
    select s.n, c.stop_id, extract(epoch from c.departs_at)::bigint as at
    from said s
    cross join lateral gtfs.trip_calls(s.trip_id, s.service_date) c
    where s.kind in ('canceled', 'replaced') and s.stop_id = '' and s.trip_id <> ''
        and c.departs_at > %(now)s""",
    # A favorite station means all its platforms.
    "stations": """
    union all
    select p.*, s.parent_station as place
    from at_stop p
    join gtfs.stops s using (stop_id)
    where s.parent_station <> ''""",
    "ways": f"""
    union all
    select w.user_id, w.n, w.stop_id, w.expected_at, w.from_minute, false
    from (
        select f.user_id, f.to_stop_id, p.*
        from place p
        join app.favorites f on f.stop_id = p.place
        where f.to_stop_id is not null and f.trip_id is null
            and (f.route_id is null or f.route_id = p.route_id)
            and {_IN_WINDOW} and {_WORTH_IT}
        offset 0
    ) w
    -- The trip calls there before it calls where the rider wants to go.
    cross join lateral (
        select
            min(c.stop_sequence) filter (where c.stop_id = w.stop_id) as here,
            max(c.stop_sequence) filter (
                where w.to_stop_id in (s.stop_id, s.parent_station)
            ) as there
        from gtfs.stop_times c
        join gtfs.stops s using (stop_id)
        where c.trip_id = w.trip_id
    ) way
    where way.here < way.there""",
}

_WITHOUT_TIMETABLE = {
    "calls": "select 0::bigint as n, '' as stop_id, 0::bigint as at where false",
    "stations": "",
    "ways": "",
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

_STATEMENT = """
with said as materialized (
    -- Days are looked up, not joined: the planner then knows how many rows there are.
    select
        s.*, (%(days)s::date[])[s.day] as service_date,
        (%(starts)s::bigint[])[s.day] as starts_at,
        (%(weekdays)s::int[])[s.day] as weekday,
        (%(before)s::int[])[s.day] as weekday_before,
        (%(after)s::int[])[s.day] as weekday_after,
        (s.from_at - (%(starts)s::bigint[])[s.day]) / 60 as from_minute,
        (s.to_at - (%(starts)s::bigint[])[s.day]) / 60 as to_minute
    from unnest(
        string_to_array(%(kind)s, %(separator)s),
        string_to_array(%(route_id)s, %(separator)s),
        string_to_array(%(stop_id)s, %(separator)s),
        string_to_array(%(trip_id)s, %(separator)s), %(day)s::int[], %(delay_s)s::int[],
        %(expected_at)s::bigint[], %(from_at)s::bigint[], %(to_at)s::bigint[],
        %(published_at)s::double precision[], %(alert)s::int[]
    ) with ordinality as s (
        kind, route_id, stop_id, trip_id, day, delay_s, expected_at, from_at, to_at,
        published_at, alert, n
    )
    where s.day is not null
),
call as materialized ({calls}
),
-- One row a disruption: where and when it begins to matter.
whole as materialized (
    select
        s.n, s.kind, s.route_id, s.trip_id, s.delay_s, s.weekday, s.weekday_before,
        s.weekday_after, coalesce(c.stop_id, s.stop_id) as stop_id,
        coalesce(c.at, nullif(s.expected_at, 0)) as expected_at,
        coalesce((c.at - s.starts_at) / 60, s.from_minute) as from_minute,
        coalesce((c.at - s.starts_at) / 60, s.to_minute) as to_minute
    from said s
    left join (select distinct on (n) * from call order by n, at) c using (n)
),
-- For riders of a line: of each quarter of an hour the worst is enough, told to those
-- whom any of it concerns.
line as materialized (
    select
        w.n, w.kind, w.route_id, w.delay_s, w.weekday, w.weekday_before,
        w.weekday_after, w.stop_id, w.expected_at, worst.from_minute, worst.to_minute
    from whole w
    join (
        select
            max(delay_s::bigint << 32 | n) & 4294967295 as n,
            min(from_minute) as from_minute, max(to_minute) as to_minute
        from whole
        group by
            route_id, from_minute / 15, kind, case when kind <> 'delay' then n end
    ) worst using (n)
),
-- One row a disruption and stop.
at_stop as (
    select
        n, kind, route_id, trip_id, delay_s, weekday, weekday_before, weekday_after,
        stop_id, nullif(expected_at, 0) as expected_at, from_minute, to_minute
    from said
    where stop_id <> ''
    union all
    select
        n, s.kind, s.route_id, s.trip_id, s.delay_s, s.weekday, s.weekday_before,
        s.weekday_after, c.stop_id, c.at, (c.at - s.starts_at) / 60,
        (c.at - s.starts_at) / 60
    from call c
    join said s using (n)
),
place as materialized (
    select p.*, p.stop_id as place from at_stop p{stations}
),
-- Favorites of a stop that something happens at, at some time near their window: few,
-- where the planner would hash all there are.
near as materialized (
    select
        f.user_id, f.route_id, f.stop_id, f.from_minute, f.until_minute, f.weekdays,
        f.threshold_s
    from (
        select place, min(from_minute) as opens, max(to_minute) as closes
        from place
        group by place
    ) p
    join app.favorites f on f.stop_id = p.place
    where f.to_stop_id is null and f.trip_id is null and (
        f.from_minute <= p.closes and p.opens < f.until_minute
        or f.from_minute <= p.closes + 1440 and p.opens + 1440 < f.until_minute
        or f.from_minute <= p.closes - 1440 and p.opens - 1440 < f.until_minute
    )
),
candidate as (
    select f.user_id, p.n, p.stop_id, p.expected_at, p.from_minute, false as by_trip
    from line p
    join app.favorites f on f.route_id = p.route_id
    where f.stop_id is null and f.trip_id is null and {in_window} and {worth_it}
    union all
    select f.user_id, p.n, p.stop_id, p.expected_at, p.from_minute, false
    from whole p
    join app.favorites f on f.route_id = p.route_id
    where p.kind = 'alert' and p.stop_id = '' and p.trip_id = ''
        and f.stop_id is not null and f.trip_id is null and {in_window}
    union all
    select f.user_id, p.n, p.stop_id, p.expected_at, p.from_minute, false
    from place p
    join near f on f.stop_id = p.place and f.route_id = p.route_id
    where {in_window} and {worth_it}
    union all
    select f.user_id, p.n, p.stop_id, p.expected_at, p.from_minute, false
    from place p
    join near f on f.stop_id = p.place
    where f.route_id is null and {in_window} and {worth_it}
    union all
    select f.user_id, p.n, p.stop_id, p.expected_at, p.from_minute, false
    from place p
    join near f on f.stop_id = p.place
    where p.route_id = '' and f.route_id is not null and {in_window} and {worth_it}
    union all
    -- Trips are wanted by few: read at once, not looked for at each disruption.
    select f.user_id, p.n, p.stop_id, p.expected_at, p.from_minute, true
    from whole p
    join (select * from app.favorites where trip_id is not null offset 0) f
        on f.trip_id = p.trip_id
    where (f.stop_id is null or f.stop_id = p.stop_id or p.kind <> 'delay')
        and {in_window} and {worth_it}{ways}
),
about as (
    select
        c.user_id, c.n, c.stop_id, c.expected_at, c.by_trip, s.kind, s.route_id,
        s.trip_id, s.service_date, s.delay_s, s.published_at, s.alert,
        width_bucket(s.delay_s, %(buckets)s::int[]) as bucket,
        case
            when s.kind = 'alert' then 'alert ' || (
                (%(alerts)s::json[])[s.alert + 1] ->> 'id'
            )
            when s.trip_id <> '' and (s.kind <> 'delay' or c.by_trip)
                then concat_ws(' ', s.kind, s.service_date, s.trip_id)
            else concat_ws(' ', s.kind, %(block)s::text, s.route_id)
        end as subject
    from candidate c
    join said s using (n)
),
worst as (
    select distinct on (user_id, subject) *
    from about
    order by user_id, subject, bucket desc, delay_s desc, expected_at, n
),
-- A rider of both the line and the trip hears of the trip.
once as (
    select distinct on (user_id, kind, trip) *
    from (
        select
            *,
            case
                when kind = 'alert' or trip_id = '' then subject else trip_id
            end as trip
        from worst
    ) w
    order by user_id, kind, trip, by_trip desc
),
fresh as materialized (
    select o.*, d.id as device_id, i.collapse_id, h.told
    from once o
    join app.devices d on d.user_id = o.user_id
        and d.disabled_at is null and d.environment = %(environment)s
    cross join lateral (
        select encode(sha256(convert_to(o.subject, 'UTF8')), 'hex') as collapse_id
    ) i
    -- Told ever: one look into the unique key.
    cross join lateral (
        select max(n.bucket) as bucket
        from app.notifications n
        where n.device_id = d.id and n.collapse_id = i.collapse_id
    ) b
    -- Told of late: what a rider hears in a day and a half is little.
    cross join lateral (
        select
            count(*) filter (
                where n.device_id = d.id
                    and n.matched_at > %(real)s - interval '1 hour'
            ) as told,
            bool_or(
                n.device_id = d.id and n.bucket >= o.bucket and n.kind = o.kind and ((
                    n.trip_id = o.trip_id and n.trip_id <> '' and n.kind <> 'alert'
                    and n.service_date = o.service_date
                ) or (
                    -- The line's story goes on, though the block has changed.
                    o.kind = 'delay' and not o.by_trip and n.route_id = o.route_id
                    and n.matched_at > %(real)s - %(told_again_s)s * interval '1 second'
                ))
            ) as known
        from app.notifications n
        where n.user_id = o.user_id
            and n.matched_at > %(real)s - interval '36 hours'
    ) h
    where h.known is not true and coalesce(b.bucket < o.bucket, true)
),
ranked as materialized (
    select
        *,
        told + row_number() over (
            partition by device_id
            order by
                array_position(array['canceled', 'replaced', 'alert', 'delay'], kind),
                by_trip desc, expected_at, n
        ) as place
    from fresh
),
-- One random number a match, and which of its rows it is: random ones for all took a
-- tenth of the time of a match.
inserted as (
    insert into app.notifications (
        apns_id, user_id, device_id, kind, route_id, stop_id, trip_id, service_date,
        delay_s, expected_at, alert, collapse_id, bucket, published_at, matched_at,
        expires_at, due_at, hinted_at
    )
    select
        (
            (select left(gen_random_uuid()::text, 24))
            || lpad(to_hex(r.device_id * %(cap)s + r.place), 12, '0')
        )::uuid,
        r.user_id, r.device_id, r.kind, r.route_id, r.stop_id, r.trip_id,
        r.service_date, r.delay_s, to_timestamp(r.expected_at),
        (%(alerts)s::jsonb[])[r.alert + 1], r.collapse_id, r.bucket,
        to_timestamp(r.published_at - %(offset_s)s), %(real)s,
        least(
            %(real)s + %(expiry_s)s * interval '1 second',
            to_timestamp(r.expected_at - %(offset_s)s)
        ),
        %(real)s, %(real)s
    from ranked r
    where r.place <= %(cap)s
    on conflict on constraint told_once do nothing
    returning id
)
select
    coalesce((select array_agg(id order by id) from inserted), '{{}}'),
    (select count(*) from ranked where place > %(cap)s)
"""
