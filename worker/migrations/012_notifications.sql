-- The outbox: one row a notification and device. The row is the promise, a message in a
-- queue only a hint. Written by the matcher, moved on by the sender, swept by upkeep.
--
-- state: new -> sending -> sent | failed | expired, or back to new to be tried again.
-- due_at: when it may be claimed: at once, when the claim on it ends, or after a pause.
-- hinted_at: when a message with its id was last published.
-- expected_at is service time (a replay's clock), everything else the real clock.
-- collapse_id names what it is about: a worse delay replaces the lesser one on the phone.

create table app.notifications (
    id bigint generated always as identity primary key,
    apns_id uuid not null default gen_random_uuid(),
    user_id uuid not null,
    device_id bigint not null,      -- of app.devices; no foreign key, see below
    kind text not null check (kind in ('delay', 'canceled', 'replaced', 'alert')),
    route_id text not null,
    stop_id text not null,
    trip_id text not null,
    service_date date not null,
    delay_s integer not null,
    expected_at timestamptz,
    alert jsonb,
    collapse_id text not null check (octet_length(collapse_id) <= 64),
    bucket smallint not null,
    published_at timestamptz not null,
    matched_at timestamptz not null,
    expires_at timestamptz not null,
    state text not null default 'new'
        check (state in ('new', 'sending', 'sent', 'expired', 'failed')),
    due_at timestamptz not null,
    hinted_at timestamptz not null,
    attempts smallint not null default 0,
    sent_at timestamptz,
    outcome text,
    title text,
    body text,
    -- What it is about comes first: a match writes thousands of rows about few things,
    -- which then lie on few pages of the index, not on one page each.
    constraint told_once unique (collapse_id, user_id, device_id, bucket)
) with (fillfactor = 80);
create index notifications_waiting on app.notifications (due_at)
    where state in ('new', 'sending');
-- Of what has ended, which is what a rider sees: the app asks for these states, or no
-- index helps it. A match writes thousands of rows, which need not lie here too.
create index notifications_of_user on app.notifications (user_id)
    where state in ('sent', 'expired', 'failed');
create index notifications_by_time on app.notifications (matched_at);

-- A foreign key would look up and lock the device of every row, which the matcher has
-- just read: an eighth of a match. A row without a device is never claimed, and what a
-- device waits for goes with it here.
create function app.forget_notifications()
returns trigger
language plpgsql security definer set search_path = '' as $$
begin
    delete from app.notifications n
    using gone
    where n.user_id = gone.user_id and n.device_id = gone.id
        and n.state in ('sent', 'expired', 'failed');
    delete from app.notifications n
    using gone
    where n.user_id = gone.user_id and n.device_id = gone.id
        and n.state in ('new', 'sending');
    return null;
end
$$;
create trigger forget_notifications after delete on app.devices
    referencing old table as gone
    for each statement execute function app.forget_notifications();

alter table app.notifications enable row level security;
grant select on app.notifications to authenticated, service_role;
create policy riders on app.notifications for select to authenticated
    using (user_id = (select auth.uid()) and state in ('sent', 'expired', 'failed'));
grant select, insert on app.notifications to worker_matcher;
create policy matcher on app.notifications to worker_matcher
    using (true) with check (true);
grant select, update on app.notifications to worker_sender;
create policy sender on app.notifications to worker_sender using (true) with check (true);
grant select, update, delete on app.notifications to worker_upkeep;
create policy upkeep on app.notifications to worker_upkeep using (true) with check (true);

-- The sender names lines and stops to riders.
grant usage on schema gtfs to worker_sender;
alter default privileges for role worker_loader in schema gtfs
    grant select on tables to worker_sender;
