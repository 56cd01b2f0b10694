-- Devices that riders are reached on. Assumption about the app's backend, which was not
-- given: it keeps one row a device token here, through app.register_device, as the
-- signed-in rider: PostgREST (with the schema app exposed) or FastAPI with the rider's
-- JWT. A service_role has no auth.uid(): it writes the table itself.

create table app.devices (
    id bigint generated always as identity primary key,
    user_id uuid not null,          -- auth.users.id; the backend deletes both together
    token text not null unique check (token ~ '^[0-9a-f]{16,200}$'),
    environment text not null default 'production'
        check (environment in ('production', 'sandbox')),
    registered_at timestamptz not null default now(),
    disabled_at timestamptz,        -- Apple said that the token is dead
    disabled_reason text,
    check ((disabled_at is null) = (disabled_reason is null))
);
create index devices_of_user on app.devices (user_id);

-- A phone that changes hands keeps its token: the last rider to register it has it.
-- Row-level security would hide the other rider's row, so the function runs as its owner.
create function app.register_device(token text, environment text default 'production')
returns bigint
language sql security definer set search_path = '' as $$
    insert into app.devices (user_id, token, environment)
    select auth.uid(), lower(register_device.token), register_device.environment
    where auth.uid() is not null
    on conflict on constraint devices_token_key do update set
        user_id = excluded.user_id,
        environment = excluded.environment,
        registered_at = now(),
        disabled_at = null,
        disabled_reason = null
    returning id
$$;
revoke execute on function app.register_device from public;
grant execute on function app.register_device to authenticated;

alter table app.devices enable row level security;
grant usage on schema app to authenticated, service_role;
grant select, delete on app.devices to authenticated;
grant select, insert, update, delete on app.devices to service_role;
create policy riders on app.devices to authenticated
    using (user_id = (select auth.uid()));

-- The matcher never sees a token.
grant select (id, user_id, environment, disabled_at) on app.devices to worker_matcher;
create policy matcher on app.devices for select to worker_matcher using (true);
grant select, update (disabled_at, disabled_reason) on app.devices to worker_sender;
create policy sender on app.devices to worker_sender using (true);
grant select, delete on app.devices to worker_upkeep;
create policy upkeep on app.devices to worker_upkeep using (true);
