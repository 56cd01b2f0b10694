-- Roles and schemas. Each duty has a group role that may do that duty and nothing else;
-- the login role of the worker is a member of all of them and takes on one at a time
-- (`SET ROLE`, worker/clients/postgres.py). The runner grants the groups to the login.
--
-- Schemas: app = riders, their favorites and notifications; gtfs = the live timetable
-- (views over the version that is loaded); ops = what the worker knows about itself.
-- The migrating role needs CREATEROLE and the ownership of the database, as `postgres`
-- has on Supabase; it need not be a superuser.

do $body$
declare
    group_role text;
begin
    foreach group_role in array
        array['worker_loader', 'worker_matcher', 'worker_sender', 'worker_upkeep']
    loop
        if not exists (select from pg_roles where rolname = group_role) then
            execute format('create role %I nologin', group_role);
        end if;
        execute format('grant %I to current_user', group_role);
    end loop;
    -- Every version of the timetable is a schema of its own, made by the loader.
    execute format(
        'grant create on database %I to worker_loader', current_database()
    );
end
$body$;

create schema if not exists app;
create schema if not exists ops;
create schema if not exists gtfs authorization worker_loader;

revoke all on schema app, ops, gtfs from public;
grant usage on schema app to worker_matcher, worker_sender, worker_upkeep;
grant usage on schema ops to worker_loader, worker_upkeep;
grant usage on schema gtfs to worker_matcher, worker_sender, worker_upkeep;

-- For every version that the loader will make, whatever its schema is named by then.
alter default privileges for role worker_loader
    grant usage on schemas to worker_matcher, worker_sender, worker_upkeep;
alter default privileges for role worker_loader
    grant select on tables to worker_matcher, worker_sender, worker_upkeep;
