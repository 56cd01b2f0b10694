"""The second half of the match statement: who is told of what, and was not before.

It begins where ``candidate`` stands, one row a rider, favorite and disruption. Only
``statement`` reads it.
"""

LEFT_OUT = """
    on conflict on constraint told_once do nothing"""

TELLING = """-- What is said of each of them, worked out once for all its riders.
story as materialized (
    select
        *, left(encode(sha256(convert_to(subject, 'UTF8')), 'hex'), 32) as collapse_id
    from (
        select
            n, by_trip, service_date, alert, published_at, timed,
            width_bucket(delay_s, %(buckets)s::int[]) as bucket,
            case
                when kind = 'alert' then 'alert ' || (
                    (%(alerts)s::json[])[alert + 1] ->> 'id'
                )
                when trip_id <> '' and (kind <> 'delay' or by_trip)
                    then concat_ws(' ', kind, service_date, trip_id)
                else concat_ws(' ', kind, %(block)s::text, route_id)
            end as subject
        from (
            select
                n, s.kind, s.route_id, s.trip_id, s.delay_s, c.by_trip,
                (%(dates)s::date[])[width_bucket(n, %(dates_from)s::bigint[])]
                    as service_date,
                (%(alert)s::int[])[width_bucket(n, %(alert_from)s::bigint[])] as alert,
                (%(published)s::double precision[])[
                    width_bucket(n, %(published_from)s::bigint[])
                ] as published_at,
                s.kind <> 'delay' or (%(timed)s::boolean[])[
                    width_bucket(n, %(timed_from)s::bigint[])
                ] as timed
            from said s
            join (select distinct n, by_trip from candidate) c using (n)
        ) s
    ) s
),
worst as (
    select distinct on (c.user_id, s.collapse_id)
        c.*, s.service_date, s.alert, s.published_at, s.bucket, s.collapse_id,
        case when s.timed then c.at end as expected_at
    from candidate c
    join story s using (n, by_trip)
    order by
        c.user_id, s.collapse_id, s.bucket desc, c.delay_s desc,
        case when s.timed then c.at end, n
),
-- A rider of both the line and the trip hears of the trip.
once as (
    select distinct on (user_id, kind, trip) *
    from (
        select
            *,
            case
                when kind = 'alert' or trip_id = '' then collapse_id else trip_id
            end as trip
        from worst
    ) w
    order by user_id, kind, trip, by_trip desc
),
-- What was told of late, and of these trips before, read at once: it lies together, and
-- is looked up for all.
recent as materialized (
    select
        user_id, device_id, kind, route_id, trip_id, service_date, collapse_id, bucket,
        matched_at, state not in ('expired', 'failed') as told
    from app.notifications
    where matched_at > %(real)s - %(remembered_s)s * interval '1 second' and (
        matched_at > %(real)s - greatest(3600, %(told_again_s)s) * interval '1 second'
        or trip_id in (select trip_id from said where trip_id <> '')
    )
),
heard as (
    select device_id, user_id, count(*) as told
    from recent
    where told and matched_at > %(real)s - interval '1 hour'
    group by device_id, user_id
),
-- What ended unsent was not told, but would end so again.
fresh as (
    select o.*, d.id as device_id, coalesce(h.told, 0) as told
    from once o
    cross join lateral (
        select id, user_id
        from app.devices
        where user_id = o.user_id and disabled_at is null
            and environment = %(environment)s
        offset 0  -- looked up by its index, whatever the planner believes of nulls
    ) d
    left join heard h on h.device_id = d.id and h.user_id = d.user_id
    where not exists (
        select from recent n
        where n.device_id = d.id and n.user_id = d.user_id and n.bucket >= o.bucket
            and case when n.collapse_id = o.collapse_id
            then n.told or n.bucket = o.bucket
            else n.told and (
                n.kind = o.kind and n.trip_id = o.trip_id and n.trip_id <> ''
                and n.kind <> 'alert' and n.service_date = o.service_date
            or (
                -- The line's story goes on, though the block has changed.
                n.kind = 'delay' and o.kind = 'delay' and not o.by_trip
                and n.route_id = o.route_id
                and n.matched_at > %(real)s - %(told_again_s)s * interval '1 second'
            )) end
    )
    -- An alert may stand for weeks, and a trip is known for days: told ever.
    and ((o.kind = 'delay' and not o.by_trip) or not exists (
        select from app.notifications n
        where n.collapse_id = o.collapse_id and n.user_id = d.user_id
            and n.device_id = d.id and n.bucket >= o.bucket
            and (n.bucket = o.bucket or n.state not in ('expired', 'failed'))
    ))
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
    where r.place <= %(cap)s{conflicts}
    returning id
)
select
    coalesce((select array_agg(id order by id) from inserted), '{{}}'),
    (select count(*) from ranked where place > %(cap)s)
"""
