"""The checks against real servers: what is wrong is named with its fix."""

from dataclasses import replace
from functools import partial

import pytest

from worker.clients import postgres
from worker.clients import redis as redis_client
from worker.errors import TransientError
from worker.operate import checks
from worker.operate.checks import Subject
from worker.policy import POLICY, vary


@pytest.fixture
def subject(redis, redis_url, database_url):
    redis.config_set("maxmemory-policy", "noeviction")
    yield Subject(
        policy=POLICY,
        policy_set="",
        redis_url=redis_url,
        database_url=database_url,
        redis=lambda: redis,
        postgres=lambda role: postgres.connect(database_url, role, POLICY),
        given={"NSW_API_KEY": True},
    )
    postgres.close_all()


def found(subject):
    return {check.name: check for check in checks.every(subject)}


def test_a_good_world_passes_every_check(subject):
    bad = [check for check in checks.every(subject) if not check.ok]

    assert bad == []


def test_every_bad_check_says_what_to_do(subject):
    def away():
        raise TransientError("Redis is away")

    def none(role):
        raise TransientError("PostgreSQL is away")

    bad = [
        check
        for check in checks.every(replace(subject, redis=away, postgres=none))
        if not check.ok
    ]

    assert {check.name for check in bad} == {
        *("redis_server", "visibility", "database_roles", "migrations"),
        "database_size",
    }
    assert all(check.fix for check in bad)


def test_an_evicting_redis_is_refused(subject, redis):
    redis.config_set("maxmemory-policy", "allkeys-lru")
    try:
        check = found(subject)["redis_eviction"]
    finally:
        redis.config_set("maxmemory-policy", "noeviction")

    assert not check.ok
    assert "noeviction" in check.fix


def test_a_redis_that_is_nearly_full_is_named(subject, redis):
    before = redis.config_get("maxmemory")["maxmemory"]
    redis.config_set("maxmemory", redis.info()["used_memory"] + 100_000)
    try:
        check = found(subject)["redis_memory"]
    finally:
        redis.config_set("maxmemory", before)

    assert not check.ok


def test_a_varied_policy_is_loud(subject):
    check = found(replace(subject, policy_set="pools.bg.children=4"))["policy"]

    assert check.detail == "NOT AS DEPLOYED: POLICY_SET varies pools.bg.children=4"


def test_a_missing_variable_is_named(subject):
    check = found(replace(subject, given={"NSW_API_KEY": False, "APNS_KEY": True}))

    assert not check["variables"].ok
    assert check["variables"].detail == "not set: NSW_API_KEY"


def test_a_message_hidden_for_too_long_is_named(subject, redis):
    seconds, _ = redis.time()
    long_ago = seconds - POLICY.broker.visibility_timeout_s - 1000
    redis.zadd(f"{POLICY.broker.key_prefix}unacked_index", {"tag": long_ago})

    assert not found(subject)["visibility_timeout"].ok


@pytest.mark.parametrize(
    ("url", "ok"),
    [
        ("redis://127.0.0.1:6379", True),
        ("redis://redis.railway.internal:6379", True),
        ("redis://10.0.0.7", True),
        ("rediss://redis.example.com", True),
        ("redis://redis.example.com", False),
        ("redis://93.184.215.14:6379", False),
    ],
)
def test_a_link_over_a_public_network_must_be_encrypted(subject, url, ok):
    assert found(replace(subject, redis_url=url))["redis_link"].ok is ok


@pytest.mark.parametrize(
    ("url", "ok"),
    [
        ("postgresql://u@127.0.0.1/d", True),
        ("postgresql://u@db.example.com/d?sslmode=verify-full", True),
        ("postgresql://u@db.example.com/d?sslmode=require", False),
        ("postgresql://u@db.example.com/d", False),
    ],
)
def test_a_public_database_must_be_verified(subject, url, ok):
    assert found(replace(subject, database_url=url))["database_link"].ok is ok


def test_a_superuser_is_refused(subject, database):
    as_admin = partial(_connect_as, database.admin_url)

    check = found(replace(subject, postgres=as_admin))["database_login"]

    assert not check.ok
    assert "transit_worker" in check.fix


def test_a_database_without_our_roles_is_told_to_migrate(subject, empty_database):
    as_new = partial(_connect_as, empty_database.url)

    check = found(replace(subject, postgres=as_new))["migrations"]

    assert not check.ok
    assert "python -m worker migrate" in check.fix + check.detail


def test_a_database_beyond_its_size_is_named(subject):
    tiny = vary(POLICY, "database.size_limit_mib", 1)

    assert not found(replace(subject, policy=tiny))["database_size"].ok


def test_an_address_is_never_in_a_sentence(subject, redis_url):
    wrong = "redis://u:planted-secret@127.0.0.1:1/0"
    subject = replace(
        subject,
        redis_url=wrong,
        redis=lambda: redis_client.connect(wrong, policy=POLICY),
    )

    said = checks.as_table(checks.every(subject)).markdown()

    assert "redis_server" in said
    assert "planted-secret" not in said


def _connect_as(url, role):
    return postgres.connect(url, role, POLICY)
