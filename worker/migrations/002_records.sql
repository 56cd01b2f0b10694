-- What the worker knows about itself: attempts, gauges, dead letters, leases.
-- Times are those of the worker's clock. Written by upkeep from Redis, so that nothing
-- that riders wait for waits for this database.

create table ops.task_records (
    task_id text not null,
    attempt integer not null,
    task text not null,
    queue text not null,
    worker text not null,
    enqueued_at timestamptz not null,
    started_at timestamptz,      -- null: it never started
    deadline_at timestamptz,     -- when an open attempt must have ended
    finished_at timestamptz,     -- null: it is open
    outcome text check (
        outcome in (
            'succeeded', 'failed', 'retried', 'skipped',
            'expired', 'timed_out', 'killed', 'lost'
        )
    ),
    cpu_s real not null default 0,
    peak_rss_mib real not null default 0,
    detail jsonb not null default '{}',
    primary key (task_id, attempt),
    check ((outcome is null) = (finished_at is null))
);
create index task_records_by_time on ops.task_records (enqueued_at);
create index task_records_open on ops.task_records (deadline_at) where outcome is null;

create table ops.samples (
    at timestamptz not null,
    name text not null,
    label text not null,
    value double precision not null,
    primary key (at, name, label)
);

create table ops.dead_letters (
    id text primary key,
    task text not null,
    args jsonb not null,
    attempt integer not null,
    error text not null,
    reason text not null,
    parked_at timestamptz not null,
    replays integer not null default 0,
    replayed_at timestamptz
);

-- One row a lease; the fence only ever rises. A holder proves its number in the
-- transaction that makes its work visible.
create table ops.leases (
    name text primary key,
    fence bigint not null,
    owner text not null,
    taken_at timestamptz not null
);

do $body$
declare
    relation text;
begin
    foreach relation in array
        array['task_records', 'samples', 'dead_letters', 'leases']
    loop
        execute format('alter table ops.%I enable row level security', relation);
        execute format(
            'grant select, insert, update, delete on ops.%I to worker_upkeep', relation
        );
        execute format(
            'create policy upkeep on ops.%I to worker_upkeep '
            'using (true) with check (true)', relation
        );
    end loop;
end
$body$;

grant select on ops.migrations to worker_upkeep;
create policy readers on ops.migrations for select to worker_upkeep using (true);

grant select, insert, update on ops.leases to worker_loader;
create policy holders on ops.leases to worker_loader using (true) with check (true);

-- Skipped and retried attempts are not judged: another attempt tells their end.
create view ops.success_rate with (security_invoker = true) as
select
    task,
    count(*) filter (where outcome = 'succeeded') as succeeded,
    count(*) as judged,
    count(*) filter (where outcome = 'succeeded')::double precision / count(*)
        as success_rate
from ops.task_records
where
    enqueued_at > now() - interval '24 hours'
    and outcome is not null and outcome not in ('skipped', 'retried')
group by task;

create view ops.durations with (security_invoker = true) as
select
    task,
    count(*) as attempts,
    percentile_cont(array[0.5, 0.95, 0.99]) within group (
        order by extract(epoch from finished_at - started_at)::double precision
    ) as service_s,
    percentile_cont(array[0.5, 0.95, 0.99]) within group (
        order by extract(epoch from started_at - enqueued_at)::double precision
    ) as wait_s
from ops.task_records
where
    enqueued_at > now() - interval '24 hours'
    and started_at is not null and outcome is not null and outcome <> 'skipped'
group by task;

create view ops.memory with (security_invoker = true) as
select
    label as process,
    max(value) as highest_mib,
    percentile_cont(0.5) within group (order by value) as median_mib
from ops.samples
where name = 'memory_mib' and at > now() - interval '24 hours'
group by label;

grant select on ops.success_rate, ops.durations, ops.memory to worker_upkeep;
