-- What lives as long as one version: the compact tables. Run with the version's schema
-- as the search path. Tables of the files kept row by row come from files.py; indexes
-- are made after the load. A clock time is seconds after noon minus 12 hours.

create table version (
    version text not null,
    loaded_at timestamptz not null default now(),
    checked_at timestamptz not null default now(),  -- last found unchanged
    rejected_at timestamptz,                        -- set by a rollback
    bundles jsonb not null,                         -- [{name, sha256, etag, modified}]
    result jsonb not null,                          -- what the sync reported
    layout integer not null,                        -- of these tables: tables.py
    timezone text not null,
    last_second integer not null                    -- of the longest service day
);

-- Which days a service runs: bit i stands for first_day + i.
create table services (
    service integer not null,
    service_id text not null,
    first_day date,
    days bit varying
);

create table shape_ids (shape integer not null, shape_id text not null);

create table trip_attributes (
    attributes integer not null,
    direction_id integer,
    wheelchair_accessible integer,
    bikes_allowed integer,
    cars_allowed integer,
    trip_headsign text,
    trip_note text,
    route_direction text,
    extra jsonb
);

create table call_attributes (
    attributes integer not null,
    pickup_type integer,
    drop_off_type integer,
    continuous_pickup integer,
    continuous_drop_off integer,
    timepoint integer,
    stop_headsign text,
    stop_note text,
    extra jsonb
);

-- Unknown columns of shapes.txt.
create table point_attributes (attributes integer not null, extra jsonb);

-- seq: null when 1, 2, 3 ...; attributes: one element when the same at every stop;
-- distance: times 10 ^ distance_places.
create table stop_patterns (
    stop_pattern integer not null,
    stops integer[] not null,
    seq integer[],
    attributes integer[] not null,
    distance_places smallint not null,
    distance bigint[]
);

-- Seconds after the trip's start. departure: null when equal to arrival; due: when to
-- leave, with blanks filled in, null when there are none.
create table time_patterns (
    time_pattern integer not null,
    stop_pattern integer not null,
    arrival integer[] not null,
    departure integer[],
    due integer[]
);

create table trip_rows (
    route integer not null,
    service integer not null,
    shape integer,
    attributes integer not null,
    time_pattern integer,
    start integer not null,
    repeated boolean not null,  -- frequencies.txt gives its departures
    trip_id text not null,
    trip_short_name text,
    block_id text
);

-- A point, then size - 1 records of `octets` bytes: the bits above the smallest
-- difference of latitude (lowest bits), longitude and distance. seq: null when counted
-- up from first_seq. attributes: null when there are none, one element when the same at
-- every point. distance_places: -1 when distances are blank.
create table shape_parts (
    shape integer not null,
    part integer not null,
    size integer not null,
    degree_places smallint not null,
    distance_places smallint not null,
    latitude bigint not null,
    latitude_low bigint not null,
    latitude_bits smallint not null,
    longitude bigint not null,
    longitude_low bigint not null,
    longitude_bits smallint not null,
    distance bigint not null,
    distance_low bigint not null,
    distance_bits smallint not null,
    first_seq integer not null,
    seq integer[],
    attributes integer[],
    octets smallint not null,
    points bytea not null
);
-- The records hardly compress: do not try.
alter table shape_parts alter column points set storage external;

create function clock(seconds integer) returns text
language sql immutable parallel safe
return lpad((seconds / 3600)::text, greatest(2, length((seconds / 3600)::text)), '0')
    || to_char(seconds % 3600 / 60, 'FM":"00') || to_char(seconds % 60, 'FM":"00');

create view trips as
select
    r.route_id, s.service_id, t.trip_id, a.trip_headsign, t.trip_short_name,
    a.direction_id, t.block_id, i.shape_id, a.wheelchair_accessible, a.bikes_allowed,
    a.cars_allowed, a.trip_note, a.route_direction, a.extra
from trip_rows t
join routes_rows r using (route)
join services s using (service)
join trip_attributes a using (attributes)
left join shape_ids i using (shape);

create view stop_times as
select
    t.trip_id,
    clock(t.start + p.arrival[c.at]) as arrival_time,
    clock(t.start + (coalesce(p.departure, p.arrival))[c.at]) as departure_time,
    s.stop_id,
    coalesce(o.seq[c.at], c.at::integer) as stop_sequence,
    a.stop_headsign, a.pickup_type, a.drop_off_type, a.continuous_pickup,
    a.continuous_drop_off,
    (o.distance[c.at] / power(10::numeric, o.distance_places))::double precision
        as shape_dist_traveled,
    a.timepoint, a.stop_note, a.extra
from trip_rows t
join time_patterns p using (time_pattern)
join stop_patterns o using (stop_pattern)
cross join lateral unnest(o.stops) with ordinality as c (stop, at)
join stops_rows s on s.stop = c.stop
join call_attributes a
    on a.attributes
    = o.attributes[case when cardinality(o.attributes) > 1 then c.at else 1 end];

create view shapes as
select
    i.shape_id,
    (p.latitude + d.latitude) / power(10::double precision, p.degree_places)
        as shape_pt_lat,
    (p.longitude + d.longitude) / power(10::double precision, p.degree_places)
        as shape_pt_lon,
    coalesce(p.seq[d.at + 1], p.first_seq + d.at) as shape_pt_sequence,
    case when p.distance_places >= 0 then
        (p.distance + d.distance) / power(10::double precision, p.distance_places)
    end as shape_dist_traveled,
    a.extra
from shape_parts p
join shape_ids i using (shape)
-- offset 0: read the points once a part, not once a point.
cross join lateral (select encode(p.points, 'hex') as digits offset 0) h
cross join lateral (
    select
        k.at,
        k.at * p.latitude_low + coalesce(sum(
            r.record & ((1::bigint << p.latitude_bits) - 1)
        ) over w, 0)::bigint as latitude,
        k.at * p.longitude_low + coalesce(sum(
            (r.record >> p.latitude_bits) & ((1::bigint << p.longitude_bits) - 1)
        ) over w, 0)::bigint as longitude,
        k.at * p.distance_low + coalesce(sum(
            r.record >> (p.latitude_bits + p.longitude_bits)
        ) over w, 0)::bigint as distance
    from generate_series(0, p.size - 1) as k (at)
    cross join lateral (
        select case when k.at > 0 and p.octets > 0 then
            ('x' || lpad(
                substr(h.digits, 1 + 2 * p.octets * (k.at - 1), 2 * p.octets), 16, '0'
            ))::bit(64)::bigint
        else 0 end as record
    ) r
    window w as (order by k.at)
) d
left join point_attributes a
    on a.attributes
    = p.attributes[case when cardinality(p.attributes) > 1 then d.at + 1 else 1 end];
