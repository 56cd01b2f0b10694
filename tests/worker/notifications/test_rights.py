"""What a rider may see and do: his own rows, and nothing of the outbox's making.

As Supabase asks: the app connects as ``authenticated``; ``auth.uid()`` is the rider.
"""

from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from uuid import uuid4

import psycopg
import pytest
from psycopg.errors import CheckViolation, InsufficientPrivilege

from worker.clients import postgres
from worker.errors import PermanentError
from worker.notifications.service_days import today
from worker.policy import POLICY

LINE = {"route_id": "T1"}
TOKEN = "ab" * 32
TABLES = ("devices", "favorites", "notifications")


@pytest.fixture
def signed_in(database):
    """A connection of the app, on behalf of a rider; commits at its end."""

    @contextmanager
    def connected(user):
        with psycopg.connect(database.admin_url) as connection:
            connection.execute("set local role authenticated")
            connection.execute(
                "select set_config('request.jwt.claim.sub', %s, true)", (str(user),)
            )
            yield connection

    return connected


@pytest.fixture
def two(riders, match, happens, owner):
    """Two riders who were both told of their line."""
    pair = riders.one(LINE), riders.one(LINE)
    now = datetime.now(UTC)
    assert len(match(happens.late(now, service_date=today(now)), now=now).ids) == 2
    owner.execute("update app.notifications set state = 'sent'")
    return pair


def register(db, token, environment="production"):
    return db.execute(
        "select app.register_device(%s, %s)", (token, environment)
    ).fetchone()[0]


def insert_window(db, rider, first, last):
    db.execute(
        "insert into app.favorites (user_id, route_id, from_minute, to_minute) "
        "values (%s, 'T1', %s, %s)",
        (rider, first, last),
    )


@pytest.mark.parametrize("table", TABLES)
def test_a_rider_sees_his_own_rows_alone(two, signed_in, table):
    mine, _ = two

    with signed_in(mine) as db:
        seen = db.execute(f"select user_id from app.{table}".encode()).fetchall()

    assert seen == [(mine,)]


@pytest.mark.parametrize(
    ("state", "seen"),
    [("new", 0), ("sending", 0), ("sent", 1), ("expired", 1), ("failed", 1)],
)
def test_a_rider_sees_a_notification_when_it_has_ended(
    two, signed_in, owner, state, seen
):
    owner.execute("update app.notifications set state = %s", (state,))

    with signed_in(two[0]) as db:
        found = db.execute("select state from app.notifications").fetchall()

    assert found == [(state,)] * seen


@pytest.mark.parametrize("table", TABLES)
def test_nobody_sees_nothing(two, signed_in, table):
    with signed_in(uuid4()) as db:
        assert db.execute(f"select * from app.{table}".encode()).fetchall() == []


def test_a_rider_changes_and_deletes_his_own_favorites_alone(two, signed_in, owner):
    mine, other = two

    with signed_in(mine) as db:
        changed = db.execute("update app.favorites set threshold_s = 60").rowcount
        deleted = db.execute(
            "delete from app.favorites where user_id = %s", (other,)
        ).rowcount

    assert (changed, deleted) == (1, 0)
    kept = owner.execute("select user_id, threshold_s from app.favorites").fetchall()
    assert set(kept) == {(mine, 60), (other, 300)}


# 25:00 to 24:01 would end two days on, and 26:40 to 01:00 before it begins.
@pytest.mark.parametrize(
    ("window", "is_kept"),
    [
        ((1380, 60), True),
        ((1380, 1500), True),
        ((480, 480), True),
        ((0, 2880), True),
        ((1440, 2880), True),
        ((2879, 2880), True),
        ((1439, 1438), True),
        ((1500, 1440), True),
        ((1500, 1441), False),
        ((2879, 2878), False),
        ((1600, 60), False),
    ],
)
def test_a_window_ends_by_the_end_of_the_next_day(signed_in, window, is_kept):
    rider = uuid4()
    refused = nullcontext() if is_kept else pytest.raises(CheckViolation)

    with refused, signed_in(rider) as db:
        insert_window(db, rider, *window)


def test_a_rider_has_so_many_favorites_and_no_more(signed_in, riders):
    rider, other = uuid4(), riders.one(LINE)
    many = "insert into app.favorites (user_id, route_id) select %s, 'T1' "
    with signed_in(rider) as db:
        db.execute(many + "from generate_series(1, 999)", (rider,))
    with signed_in(rider) as db:
        db.execute(many, (rider,))

    for count in (1, 500):
        with (
            pytest.raises(CheckViolation, match="at most 1000 favorites"),
            signed_in(rider) as db,
        ):
            db.execute(many + "from generate_series(1, %s)", (rider, count))

    with signed_in(rider) as db:
        gone = (
            "delete from app.favorites where id = (select min(id) from app.favorites)"
        )
        db.execute(gone)
        db.execute(many, (rider,))
    with signed_in(other) as db:
        db.execute(many, (other,))


@pytest.mark.parametrize(
    "statement",
    [
        "insert into app.favorites (user_id, route_id) values (%s, 'T1')",
        "update app.favorites set user_id = %s",
        "insert into app.devices (user_id, token) values (%s, repeat('cd', 32))",
        "update app.devices set user_id = %s",
        "update app.notifications set user_id = %s",
        "delete from app.notifications where user_id = %s",
    ],
)
def test_a_rider_writes_nothing_for_another(two, signed_in, statement):
    mine, other = two

    with pytest.raises(InsufficientPrivilege), signed_in(mine) as db:
        db.execute(statement.encode(), (other,))


def test_a_device_registered_twice_is_one_device(riders, signed_in, owner):
    rider = uuid4()

    with signed_in(rider) as db:
        first = register(db, TOKEN)
        again = register(db, TOKEN.upper(), "sandbox")

    assert first == again
    rows = owner.execute("select user_id, token, environment from app.devices")
    assert rows.fetchall() == [(rider, TOKEN, "sandbox")]


def test_a_dead_device_that_registers_again_lives(signed_in, owner):
    rider = uuid4()
    with signed_in(rider) as db:
        register(db, TOKEN)
    owner.execute(
        "update app.devices set registered_at = now() - interval '1 day', "
        "disabled_at = now(), disabled_reason = 'Unregistered'"
    )

    with signed_in(rider) as db:
        register(db, TOKEN)

    row = owner.execute(
        "select disabled_at, disabled_reason, registered_at > now() - interval '1 min' "
        "from app.devices"
    ).fetchone()
    assert row == (None, None, True)


def test_a_phone_that_changes_hands_leaves_its_last_rider(signed_in, owner):
    last, next_ = uuid4(), uuid4()
    with signed_in(last) as db:
        register(db, TOKEN)

    with signed_in(next_) as db:
        register(db, TOKEN)

    assert owner.execute("select user_id from app.devices").fetchall() == [(next_,)]


@pytest.mark.parametrize("state", ["new", "sending", "sent", "expired", "failed"])
def test_what_a_device_was_told_or_waits_for_goes_with_it(
    riders, match, signed_in, happens, now, owner, state
):
    favorite = {"route_id": "T1"}
    rider, other = riders.one(favorite), riders.one(favorite)
    riders.device(rider)
    match(happens.late(now))
    owner.execute("update app.notifications set state = %s", (state,))
    assert len(riders.told(rider)) == 2

    with signed_in(rider) as db:
        db.execute(
            "delete from app.devices where id = (select min(id) from app.devices)"
        )

    assert len(riders.told(rider)) == len(riders.told(other)) == 1


@pytest.mark.parametrize("token", ["", "zz" * 32, "ab" * 101, "ab; drop", "ab" * 7])
def test_what_is_no_token_is_refused(signed_in, token):
    with pytest.raises(CheckViolation), signed_in(uuid4()) as db:
        register(db, token)


def test_nobody_registers_without_being_signed_in(database):
    with psycopg.connect(database.admin_url) as db:
        db.execute("set local role anon")
        with pytest.raises(InsufficientPrivilege):
            register(db, TOKEN)


@pytest.mark.parametrize(
    ("duty", "statement"),
    [
        ("matcher", "select token from app.devices"),
        ("matcher", "update app.devices set disabled_at = now()"),
        ("matcher", "update app.notifications set state = 'sent'"),
        ("matcher", "delete from app.notifications"),
        ("matcher", "update app.favorites set threshold_s = 0"),
        ("sender", "select * from app.favorites"),
        ("sender", "update app.devices set token = 'ab'"),
        ("sender", "delete from app.devices"),
        ("sender", "delete from app.notifications"),
        ("sender", "insert into app.notifications default values"),
        ("upkeep", "select * from app.favorites"),
        ("upkeep", "update app.devices set disabled_at = now()"),
        ("loader", "select * from app.devices"),
        ("loader", "select * from app.notifications"),
    ],
)
def test_a_duty_may_do_to_riders_what_it_needs_and_no_more(database, duty, statement):
    with (
        pytest.raises(PermanentError, match="permission denied"),
        postgres.connect(database.url, duty, POLICY) as db,
    ):
        db.execute(statement.encode())


@pytest.mark.parametrize(
    "statement",
    [
        "alter table app.favorites disable row level security",
        "drop table app.devices",
        "create table app.mine ()",
        "update app.favorites set threshold_s = 0",
        "insert into app.devices (user_id, token) values (gen_random_uuid(), 'ab')",
        "update app.devices set token = 'ab'",
        "select * from auth.users",
        "select app.register_device('ab')",
        "set role service_role",
    ],
)
def test_the_login_has_no_more_rights_than_its_duties(database, statement):
    with psycopg.connect(database.url, autocommit=True) as login:
        role = login.execute(
            "select rolsuper, rolbypassrls, rolcreaterole, rolcreatedb from pg_roles "
            "where rolname = current_user"
        ).fetchone()

        assert role == (False,) * 4
        with pytest.raises(InsufficientPrivilege):
            login.execute(statement.encode())
