"""The PostgreSQL client on a real server: roles, limits, reuse, named failures."""

import os
import threading

import psycopg
import pytest

from worker.clients import postgres
from worker.errors import PermanentError, TransientError, UsageError
from worker.policy import POLICY


@pytest.fixture(autouse=True)
def _nothing_kept():
    yield
    postgres.close_all()


def end_backend(database, pid):
    with psycopg.connect(database.admin_url, autocommit=True) as admin:
        admin.execute("select pg_terminate_backend(%s)", (pid,))


def backend_of(db):
    (pid,) = db.execute("select pg_backend_pid()").fetchone()
    return pid


@pytest.mark.parametrize("role", POLICY.database.roles)
def test_a_block_acts_as_its_duty_within_its_limits(database_url, role):
    with postgres.connect(database_url, role, POLICY) as db:
        found = db.execute(
            "select current_user, current_setting('statement_timeout')::interval "
            "= make_interval(secs => %s), current_setting('application_name')",
            (POLICY.database.roles[role].statement_timeout_s,),
        ).fetchone()

    assert found == (f"worker_{role}", True, f"worker-{role}")


def test_the_next_block_gets_the_same_connection_with_its_limits_restored(database_url):
    with postgres.connect(database_url, "upkeep", POLICY) as db:
        first = backend_of(db)
        db.execute("set statement_timeout = '1h'")
        db.execute("set role worker_sender")

    with postgres.connect(database_url, "upkeep", POLICY) as db:
        assert backend_of(db) == first
        assert db.execute("select current_user").fetchone() == ("worker_upkeep",)
        assert db.execute("show statement_timeout").fetchone() == ("3s",)


def test_a_block_inside_a_block_is_given_another_connection(database_url):
    with (
        postgres.connect(database_url, "upkeep", POLICY) as outer,
        postgres.connect(database_url, "upkeep", POLICY) as inner,
    ):
        assert backend_of(inner) != backend_of(outer)


def test_threads_do_not_share_a_connection(database_url):
    backends = []
    both_open = threading.Barrier(2, timeout=10)

    def work():
        with postgres.connect(database_url, "upkeep", POLICY) as db:
            both_open.wait()
            backends.append(backend_of(db))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(backends)) == 2


def test_a_forked_child_opens_its_own(database_url):
    with postgres.connect(database_url, "upkeep", POLICY) as db:
        mine = backend_of(db)
    read_end, write_end = os.pipe()

    child = os.fork()
    if child == 0:
        with postgres.connect(database_url, "upkeep", POLICY) as db:
            os.write(write_end, str(backend_of(db)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(write_end)

    with os.fdopen(read_end) as told:
        assert int(told.read()) != mine
    with postgres.connect(database_url, "upkeep", POLICY) as db:
        assert backend_of(db) == mine


def test_a_dead_connection_is_replaced(database, database_url):
    with postgres.connect(database_url, "upkeep", POLICY) as db:
        first = backend_of(db)
    end_backend(database, first)

    with postgres.connect(database_url, "upkeep", POLICY) as db:
        assert backend_of(db) != first


def test_a_block_that_raises_changes_nothing(database_url):
    with (
        pytest.raises(ZeroDivisionError),
        postgres.connect(database_url, "upkeep", POLICY) as db,
    ):
        db.execute("insert into ops.samples values (now(), 'a', 'b', 1)").rowcount / 0

    with postgres.connect(database_url, "upkeep", POLICY) as db:
        assert db.execute("select count(*) from ops.samples").fetchone() == (0,)


def test_a_slow_statement_is_a_transient_error(database_url):
    with (
        pytest.raises(TransientError, match="QueryCanceled"),
        postgres.connect(database_url, "upkeep", POLICY) as db,
    ):
        db.execute("set local statement_timeout = '10ms'; select pg_sleep(60)")


def test_a_lock_that_another_holds_is_a_transient_error(database, database_url):
    with psycopg.connect(database.admin_url) as other:
        other.execute("lock table ops.samples in access exclusive mode")

        with (
            pytest.raises(TransientError, match="LockNotAvailable"),
            postgres.connect(database_url, "upkeep", POLICY) as db,
        ):
            db.execute("set local lock_timeout = '10ms'; select * from ops.samples")


def test_a_server_that_dies_under_a_statement_is_a_transient_error(
    database, database_url
):
    with (
        pytest.raises(TransientError, match="PostgreSQL failed worker_upkeep"),
        postgres.connect(database_url, "upkeep", POLICY) as db,
    ):
        end_backend(database, backend_of(db)) or db.execute("select 1")


def test_a_database_that_is_not_migrated_says_what_to_run(empty_database):
    with (
        pytest.raises(PermanentError, match=r"run `python -m worker migrate`"),
        postgres.connect(empty_database.url, "upkeep", POLICY) as db,
    ):
        db.execute("select * from ops.samples")


def test_a_server_that_is_away_is_a_transient_error_without_the_password(database_url):
    user = database_url.partition("//")[2].partition("@")[0]
    away = f"postgresql://{user}@127.0.0.1:1/transit"

    with (
        pytest.raises(TransientError) as caught,
        postgres.connect(away, "upkeep", POLICY),
    ):
        pass

    assert user.partition(":")[2] not in str(caught.value)


def test_a_wrong_password_is_not_tried_again(database_url):
    address = database_url.rpartition("@")[2]
    wrong = f"postgresql://transit_worker:planted-secret@{address}"

    with (
        pytest.raises(PermanentError, match="refused the login") as caught,
        postgres.connect(wrong, "upkeep", POLICY),
    ):
        pass

    assert "planted-secret" not in str(caught.value)


def test_a_transaction_mode_pooler_is_refused():
    pooler = "postgresql://user@pooler.example:6543/postgres"

    with (
        pytest.raises(UsageError, match="session mode"),
        postgres.connect(pooler, "upkeep", POLICY),
    ):
        pass
