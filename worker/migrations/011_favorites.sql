-- What riders want to hear of. Assumption about the app's backend: riders write their own
-- rows; ids are those of the timetable and may be unknown to it.
--
-- A favorite is a line (route_id), a stop (stop_id; a station means all its platforms),
-- a line at a stop (both), a way from stop to stop (stop_id, to_stop_id), or a trip.
-- The window is in minutes of the Sydney service day, half open: 1380 to 60 and 1380 to
-- 1500 both mean 23:00 to 01:00; 480 to 480 is empty and never matches. It ends by the
-- end of the next day: what happens is looked up in the windows of two days.

create table app.favorites (
    id bigint generated always as identity primary key,
    user_id uuid not null,
    from_minute integer not null default 0 check (from_minute between 0 and 2879),
    to_minute integer not null default 1440 check (to_minute between 0 and 2880),
    weekdays smallint not null default 127       -- Monday 1, Tuesday 2 ... Sunday 64
        check (weekdays between 0 and 127),
    threshold_s integer not null default 300 check (threshold_s between 0 and 86400),
    -- Of a window that is empty -1: it is open at no minute.
    until_minute integer not null generated always as (
        case
            when to_minute = from_minute then -1
            when to_minute < from_minute then to_minute + 1440
            else to_minute
        end
    ) stored,
    route_id text check (length(route_id) between 1 and 200),
    stop_id text check (length(stop_id) between 1 and 200),
    to_stop_id text check (length(to_stop_id) between 1 and 200),
    trip_id text check (length(trip_id) between 1 and 200),
    created_at timestamptz not null default now(),
    check (route_id is not null or stop_id is not null or trip_id is not null),
    check (to_stop_id is null or stop_id is not null),
    constraint window_within_two_days check (
        until_minute = -1 or until_minute between from_minute and 2880
    )
);
create index favorites_of_user on app.favorites (user_id);
-- The matcher reads all favorites once: too many windows are open at a time for an index
-- to spare it much. Few are open after midnight.
create index favorites_into_next_day on app.favorites (until_minute)
    where until_minute >= 1440;  -- 1440 itself: open at that minute

-- Twice what the most eager rider was imagined with; a client that inserts in a loop
-- would fill the database and slow the match of everybody. Counted as the rider, who
-- sees his own rows alone, once a statement.
create function app.bound_favorites() returns trigger
language plpgsql set search_path = '' as $$
begin
    if exists (
        select from app.favorites
        where user_id in (select user_id from added)
        group by user_id
        having count(*) > 1000
    ) then
        raise check_violation using
            message = 'a rider has at most 1000 favorites',
            detail = 'Nothing of this statement was kept.',
            hint = 'Delete favorites first.';
    end if;
    return null;
end
$$;
create trigger bound after insert on app.favorites referencing new table as added
    for each statement execute function app.bound_favorites();

alter table app.favorites enable row level security;
grant select, insert, update, delete on app.favorites to authenticated, service_role;
create policy riders on app.favorites to authenticated
    using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));
grant select on app.favorites to worker_matcher;
create policy matcher on app.favorites for select to worker_matcher using (true);
