"""Migrations on a real PostgreSQL: once, in order, and with the least privileges."""

import threading

import psycopg
import pytest
from psycopg import sql

from worker.clients import postgres
from worker.errors import PermanentError
from worker.migrate import Migration, migrate, migrations, pending
from worker.policy import POLICY


@pytest.fixture
def owner(empty_database):
    with postgres.connect_as_owner(empty_database.admin_url, POLICY) as connection:
        yield connection


def test_a_second_run_applies_nothing(owner):
    first = migrate(owner, POLICY, login="transit_worker")
    second = migrate(owner, POLICY, login="transit_worker")

    assert first == [file.name for file in migrations()]
    assert second == []


def test_pending_names_what_is_missing(owner):
    before = pending(owner)

    migrate(owner, POLICY, login="transit_worker")

    assert before == [file.name for file in migrations()]
    assert pending(owner) == []


def test_an_applied_file_that_changed_is_refused(owner):
    applied = Migration(name="901_first", statements="create table app.first ()")
    migrate(owner, POLICY, login="", files=[*migrations(), applied])

    changed = Migration(name="901_first", statements="create table app.other ()")

    with pytest.raises(PermanentError, match="901_first was applied with other text"):
        migrate(owner, POLICY, login="", files=[changed])


def test_a_file_that_fails_leaves_nothing_behind(owner):
    broken = Migration(name="901_x", statements="create table ops.x (); select 1 / 0")

    with pytest.raises(PermanentError, match=r"901_x failed .* division by zero"):
        migrate(owner, POLICY, login="", files=[*migrations(), broken])

    assert owner.execute("select to_regclass('ops.x')").fetchone() == (None,)


def test_two_runs_at_once_apply_each_file_once(empty_database):
    applied: list[str] = []

    def run():
        with postgres.connect_as_owner(empty_database.admin_url, POLICY) as connection:
            applied.extend(migrate(connection, POLICY, login="transit_worker"))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(applied) == [file.name for file in migrations()]


def test_an_owner_who_is_no_superuser_can_migrate(empty_database, servers):
    name = empty_database.admin_url.rpartition("/")[2]
    with psycopg.connect(empty_database.admin_url, autocommit=True) as superuser:
        # As `postgres` on Supabase: owns the database, may create roles, no more. The
        # groups of other tests' databases were made by the superuser, who lends them.
        superuser.execute("create role tenant login createrole password 'tenant'")
        owns = sql.SQL("alter database {} owner to tenant").format(sql.Identifier(name))
        superuser.execute(owns)
        superuser.execute("grant usage on schema auth to tenant with grant option")
        for group in ("loader", "matcher", "sender", "upkeep"):
            there = superuser.execute(
                "select 1 from pg_roles where rolname = %s", (f"worker_{group}",)
            ).fetchone()
            if there:
                superuser.execute(
                    f"grant worker_{group} to tenant with admin option".encode()
                )
        try:
            address = empty_database.admin_url.rpartition("@")[2]
            url = f"postgresql://tenant:tenant@{address}"
            with postgres.connect_as_owner(url, POLICY) as tenant:
                applied = migrate(tenant, POLICY, login="transit_worker")
        finally:
            superuser.execute(f'alter database "{name}" owner to current_user'.encode())
            superuser.execute("reassign owned by tenant to current_user")
            superuser.execute("drop owned by tenant")
            superuser.execute("drop role tenant")

    assert applied == [file.name for file in migrations()]


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        ("sender", "select * from ops.leases"),
        ("matcher", "insert into ops.samples values (now(), 'a', 'b', 1)"),
        ("loader", "delete from ops.leases"),
        ("upkeep", "create table ops.mine ()"),
        ("upkeep", "create schema mine"),
        ("matcher", "create table gtfs.mine ()"),
    ],
)
def test_a_duty_may_not_do_what_is_not_its_own(database_url, role, statement):
    with (
        pytest.raises(PermanentError, match="permission denied"),
        postgres.connect(database_url, role, POLICY) as db,
    ):
        db.execute(statement.encode())


def test_the_loader_swaps_in_a_schema_that_the_matcher_reads(database_url):
    with postgres.connect(database_url, "loader", POLICY) as db:
        db.execute("create schema gtfs_1")
        db.execute("create table gtfs_1.stops as select 'central' as stop_id")
        db.execute("alter schema gtfs rename to gtfs_0")
        db.execute("alter schema gtfs_1 rename to gtfs")

    with postgres.connect(database_url, "matcher", POLICY) as db:
        assert db.execute("select stop_id from gtfs.stops").fetchall() == [("central",)]


@pytest.mark.parametrize(
    ("stranger", "schema"),
    [("anon", "app"), ("anon", "gtfs"), ("anon", "ops"), ("authenticated", "ops")],
)
def test_a_stranger_may_not_look_into_our_schemas(database, stranger, schema):
    with psycopg.connect(database.admin_url, autocommit=True) as admin:
        may = admin.execute(
            "select has_schema_privilege(%s, %s, 'usage')", (stranger, schema)
        ).fetchone()

    assert may == (False,)


def test_every_table_of_ours_has_row_level_security(database):
    with psycopg.connect(database.admin_url, autocommit=True) as admin:
        without = admin.execute(
            "select oid::regclass::text from pg_class where relkind = 'r' "
            "and relnamespace in ('app'::regnamespace, 'ops'::regnamespace) "
            "and not relrowsecurity"
        ).fetchall()

    assert without == []
