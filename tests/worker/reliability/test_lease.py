"""The lease on real servers: who may start, who may finish."""

import threading
import time

import pytest

from worker import keys
from worker.clients import postgres
from worker.errors import PermanentError, TransientError
from worker.policy import POLICY
from worker.reliability import lease

NAME = "gtfs_static_sync"
LONG = {"ttl_s": 60, "renew_every_s": 20}
SHORT = {"ttl_s": 0.6, "renew_every_s": 0.1}


@pytest.fixture
def db(database_url):
    with postgres.connect(database_url, "loader", POLICY) as connection:
        yield connection
    postgres.close_all()


@pytest.fixture
def other_db(database_url, db):
    with postgres.connect(database_url, "loader", POLICY) as connection:
        yield connection


def until(claim, within_s=10.0):
    """Wait for a condition; fails loudly when it does not come."""
    give_up_at = time.monotonic() + within_s
    while not claim():
        assert time.monotonic() < give_up_at, "it did not come to pass"
        threading.Event().wait(0.01)


def test_a_second_holder_is_refused_while_the_first_works(redis, db, other_db):
    with (
        lease.held(redis, db, NAME, **LONG),
        pytest.raises(TransientError, match=f"another holder has the lease {NAME}"),
        lease.held(redis, other_db, NAME, **LONG),
    ):
        pass


def test_the_lease_is_free_when_its_block_ends(redis, db):
    with lease.held(redis, db, NAME, **LONG) as first:
        pass
    with lease.held(redis, db, NAME, **LONG) as second:
        pass

    assert second.fence == first.fence + 1
    assert not redis.exists(keys.lease(NAME))


def test_a_lease_is_not_released_by_a_stranger(redis, db):
    with lease.held(redis, db, NAME, **LONG):
        redis.set(keys.lease(NAME), "stranger", px=60_000)

    assert redis.get(keys.lease(NAME)) == b"stranger"


def test_a_lease_is_renewed_for_as_long_as_its_holder_works(redis, db):
    with lease.held(redis, db, NAME, **SHORT) as mine:
        renewals = []

        def renewed():
            left_ms = redis.pttl(keys.lease(NAME))
            if left_ms > 300:
                renewals.append(left_ms)
                redis.pexpire(keys.lease(NAME), 200)
            return len(renewals) >= 3

        until(renewed)

        assert not mine.lost


def test_a_holder_learns_that_its_lease_was_taken_over(redis, db):
    with lease.held(redis, db, NAME, **SHORT) as mine:
        mine.check()
        redis.set(keys.lease(NAME), "stranger", px=60_000)

        until(lambda: mine.lost)

        with pytest.raises(TransientError, match="taken over"):
            mine.check()


def test_a_restarted_redis_costs_the_holder_nothing(redis, db):
    with lease.held(redis, db, NAME, **SHORT) as mine:
        redis.flushall()

        until(lambda: redis.exists(keys.lease(NAME)))

        mine.check()
        mine.prove(db)


def test_a_paused_holder_cannot_commit_after_a_later_one_began(redis, db, other_db):
    with lease.held(redis, db, NAME, **LONG) as paused:
        redis.delete(keys.lease(NAME))  # its time ran out while it was paused
        with lease.held(redis, other_db, NAME, **LONG) as later:
            with pytest.raises(TransientError, match="taken over"):
                paused.prove(db)
            later.prove(other_db)


def test_a_later_holder_waits_for_a_commit_that_was_proven(redis, db, other_db):
    with lease.held(redis, db, NAME, **LONG) as first:
        first.prove(db)
        redis.delete(keys.lease(NAME))
        began = threading.Event()

        def take_over():
            with lease.held(redis, other_db, NAME, **LONG):
                began.set()

        later = threading.Thread(target=take_over)
        later.start()
        until(lambda: _waits_for_a_lock(db))
        assert not began.is_set()
        db.commit()
        later.join()

    assert began.is_set()


def _waits_for_a_lock(db):
    (waiting,) = db.execute(
        "select count(*) from pg_locks where not granted"
    ).fetchone()
    return waiting > 0


def test_a_lease_that_cannot_be_fenced_is_given_back(redis, database_url):
    with (
        pytest.raises(PermanentError, match="permission denied"),
        postgres.connect(database_url, "sender", POLICY) as db,
        lease.held(redis, db, NAME, **LONG),
    ):
        pass

    assert not redis.exists(keys.lease(NAME))
