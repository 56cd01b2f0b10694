-- What an app asks. Bodies are text and name `gtfs`, so they follow the swap. Compiling
-- a plan costs more than these queries take, hence no jit in those with costly plans.

create function runs_on(first_day date, days bit varying, day date) returns boolean
language sql immutable parallel safe as $$
    select case when day >= first_day and day < first_day + length(days)
        then get_bit(days, day - first_day) = 1 else false end
$$;

-- The instant from which a service day's clock times count: noon minus 12 hours, which
-- is not midnight on the two days a year when the clocks change.
create function day_start(day date, timezone text) returns timestamptz
language sql stable parallel safe as $$
    select ((day + time '12:00') at time zone timezone) - interval '12 hours'
$$;

-- The days on which a service runs, in a range that includes both ends.
create function service_days(service_id text, from_day date, to_day date)
returns setof date language sql stable as $$
    select d.day::date
    from gtfs.services s
    cross join generate_series(
        greatest(from_day, s.first_day)::timestamp,
        least(to_day, s.first_day + length(s.days) - 1)::timestamp,
        interval '1 day'
    ) as d (day)
    where s.service_id = service_days.service_id
        and gtfs.runs_on(s.first_day, s.days, d.day::date)
    order by 1
$$;

-- What leaves a stop, or any platform of a station, between two instants. The last call
-- of a trip and calls without boarding are left out.
create function departures(
    stop_id text, starting timestamptz, lasting interval default '1 hour'
)
returns table (
    departs_at timestamptz, service_day date, trip_id text, route_id text,
    route_short_name text, headsign text, platform_id text, platform_code text,
    stop_sequence integer
)
language sql stable rows 100 set jit = off as $$
    with days as materialized (
        select
            d.day::date as day,
            gtfs.day_start(d.day::date, v.timezone) as midnight
        from (select timezone, last_second from gtfs.version limit 1) v
        cross join generate_series(
            (starting at time zone v.timezone)::date::timestamp
                - (v.last_second / 86400) * interval '1 day',
            (starting + lasting) at time zone v.timezone,
            interval '1 day'
        ) as d (day)
        limit 40  -- never reached: tells the planner that days are few
    ),
    windows as materialized (
        select
            day, midnight,
            extract(epoch from starting - midnight)::integer as from_s,
            extract(epoch from starting + lasting - midnight)::integer as to_s
        from days
    ),
    calls as materialized (
        select
            p.time_pattern,
            (coalesce(p.due, p.departure, p.arrival))[c.at] as due,
            coalesce(o.seq[c.at], c.at) as seq,
            o.attributes[case when cardinality(o.attributes) > 1 then c.at else 1 end]
                as attributes,
            s.stop_id, s.platform_code
        from gtfs.stops_rows s
        join gtfs.stop_patterns o on o.stops @> array[s.stop]
        cross join lateral unnest(array_positions(o.stops, s.stop)) as c (at)
        join gtfs.time_patterns p on p.stop_pattern = o.stop_pattern
        where (s.stop_id = departures.stop_id
            or s.parent_station = departures.stop_id)
            and c.at < cardinality(o.stops)
    ),
    due as (
        select t.route, t.service, t.attributes, t.trip_id, c.seq,
            c.attributes as call, c.stop_id, c.platform_code, w.day, w.midnight,
            t.start + c.due as second
        from windows w
        cross join calls c
        -- offset 0: one index probe a call, whatever the planner believes of windows.
        cross join lateral (
            select r.route, r.service, r.attributes, r.trip_id, r.start
            from gtfs.trip_rows r
            where r.time_pattern = c.time_pattern
                and r.start >= w.from_s - c.due and r.start < w.to_s - c.due
                and not r.repeated
            offset 0
        ) t
        union all
        select t.route, t.service, t.attributes, t.trip_id, c.seq, c.attributes,
            c.stop_id, c.platform_code, w.day, w.midnight, n.second + c.due
        from gtfs.frequencies_rows f
        join gtfs.trip_rows t on t.trip_id = f.trip_id
        join calls c on c.time_pattern = t.time_pattern
        cross join windows w
        cross join lateral generate_series(
            f.start_time, f.end_time - 1, greatest(f.headway_secs, 1)
        ) as n (second)
        where n.second + c.due >= w.from_s and n.second + c.due < w.to_s
    )
    select
        d.midnight + d.second * interval '1 second',
        d.day, d.trip_id, r.route_id, r.route_short_name,
        coalesce(a.stop_headsign, b.trip_headsign),
        d.stop_id, d.platform_code,
        d.seq
    from due d
    -- offset 0 again: few rows are due, so each looks up what it refers to.
    cross join lateral (
        select s.first_day, s.days from gtfs.services s
        where s.service = d.service offset 0
    ) v
    cross join lateral (
        select c.stop_headsign, c.pickup_type from gtfs.call_attributes c
        where c.attributes = d.call offset 0
    ) a
    cross join lateral (
        select x.route_id, x.route_short_name from gtfs.routes_rows x
        where x.route = d.route offset 0
    ) r
    cross join lateral (
        select x.trip_headsign from gtfs.trip_attributes x
        where x.attributes = d.attributes offset 0
    ) b
    where gtfs.runs_on(v.first_day, v.days, d.day)
        and coalesce(a.pickup_type, 0) <> 1
    order by 1, 3
$$;

-- The calls of one trip on one service day, with the places.
create function trip_calls(trip_id text, service_day date)
returns table (
    stop_sequence integer, stop_id text, stop_name text, platform_code text,
    stop_lat double precision, stop_lon double precision,
    arrives_at timestamptz, departs_at timestamptz,
    pickup_type integer, drop_off_type integer
)
language sql stable rows 50 set jit = off as $$
    select
        coalesce(o.seq[c.at], c.at::integer), s.stop_id, s.stop_name, s.platform_code,
        s.stop_lat, s.stop_lon,
        m.midnight + (t.start + coalesce(p.arrival[c.at], p.due[c.at])) * interval '1 s',
        m.midnight
            + (t.start + (coalesce(p.due, p.departure, p.arrival))[c.at]) * interval '1 s',
        a.pickup_type, a.drop_off_type
    from gtfs.version v
    cross join lateral gtfs.day_start(service_day, v.timezone) as m (midnight)
    join gtfs.trip_rows t on t.trip_id = trip_calls.trip_id
    join gtfs.time_patterns p on p.time_pattern = t.time_pattern
    join gtfs.stop_patterns o on o.stop_pattern = p.stop_pattern
    cross join lateral unnest(o.stops) with ordinality as c (stop, at)
    join gtfs.stops_rows s on s.stop = c.stop
    join gtfs.call_attributes a
        on a.attributes
        = o.attributes[case when cardinality(o.attributes) > 1 then c.at else 1 end]
    order by 1
$$;

-- Which of its calls a trip makes first at one stop and last at another; a station means
-- any of its platforms. The planner puts its body into the query that asks.
create function way(trip_id text, from_stop text, to_stop text)
returns table (first_from bigint, last_to bigint)
language sql stable as $$
    select
        min(c.at) filter (where c.stop = any (k.from_stops)),
        max(c.at) filter (where c.stop = any (k.to_stops))
    from (
        select
            array(
                select s.stop from gtfs.stops_rows s where s.stop_id = way.from_stop
                union all
                select s.stop from gtfs.stops_rows s
                where s.parent_station = way.from_stop
            ) as from_stops,
            array(
                select s.stop from gtfs.stops_rows s where s.stop_id = way.to_stop
                union all
                select s.stop from gtfs.stops_rows s
                where s.parent_station = way.to_stop
            ) as to_stops
        offset 0
    ) k
    cross join gtfs.trip_rows t
    join gtfs.time_patterns p using (time_pattern)
    join gtfs.stop_patterns o using (stop_pattern)
    cross join lateral unnest(o.stops) with ordinality as c (stop, at)
    where t.trip_id = way.trip_id
$$;

-- Stops within a distance, nearest first; haversine on a sphere of 6,371 km.
create function stops_near(
    latitude double precision, longitude double precision,
    radius_m double precision default 500
)
returns table (
    stop_id text, stop_name text, stop_lat double precision,
    stop_lon double precision, distance_m double precision
)
language sql stable rows 50 as $$
    select s.stop_id, s.stop_name, s.stop_lat, s.stop_lon, d.metres
    from gtfs.stops_rows s
    cross join lateral (
        select 2 * 6371000 * asin(least(1, sqrt(
            power(sind((s.stop_lat - latitude) / 2), 2)
            + cosd(latitude) * cosd(s.stop_lat)
            * power(sind((s.stop_lon - longitude) / 2), 2)
        ))) as metres
    ) d
    where s.stop_lat between latitude - radius_m / 111000
            and latitude + radius_m / 111000
        and s.stop_lon between
            longitude - radius_m / (111000 * greatest(cosd(latitude), 0.01))
            and longitude + radius_m / (111000 * greatest(cosd(latitude), 0.01))
        and d.metres <= radius_m
    order by d.metres, s.stop_id
$$;
