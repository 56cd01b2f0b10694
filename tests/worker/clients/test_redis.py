"""The Redis client on a real server: what it refuses and how it names failures."""

import socket

import pytest
import redis as redis_py

from worker.clients import redis as redis_client
from worker.errors import PermanentError, TransientError, UsageError
from worker.policy import POLICY, vary

NOBODY = "redis://127.0.0.1:1/0"


@pytest.mark.parametrize("words", ["none", "None", "optional"])
def test_an_address_that_turns_certificate_checks_off_is_refused(words):
    with pytest.raises(UsageError, match="certificate checks"):
        redis_client.connect(f"rediss://h/0?ssl_cert_reqs={words}", policy=POLICY)


def test_a_server_that_is_away_is_a_transient_error():
    client = redis_client.connect(NOBODY, policy=POLICY)

    with pytest.raises(TransientError, match="Redis failed at PING"):
        client.ping()


def test_a_pipeline_names_its_failure_too():
    client = redis_client.connect(NOBODY, policy=POLICY)

    with client.pipeline() as pipe, pytest.raises(TransientError, match="pipeline"):
        pipe.set("a", 1).execute()


def test_a_refused_login_is_permanent_and_keeps_the_password_out(redis_url):
    address = redis_url.partition("//")[2]
    client = redis_client.connect(f"redis://u:planted-secret@{address}", policy=POLICY)

    with pytest.raises(PermanentError, match="refused") as caught:
        client.ping()

    assert "planted-secret" not in str(caught.value)


def test_a_server_that_never_answers_is_given_up_after_the_timeout_of_keys():
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"redis://127.0.0.1:{deaf.getsockname()[1]}/0"
        hasty = vary(POLICY, "broker.keys_timeout_s", 1)

        with pytest.raises(TransientError, match="TimeoutError"):
            redis_client.connect(url, policy=hasty).ping()


def test_a_full_server_is_a_transient_error(redis):
    redis.config_set("maxmemory-policy", "noeviction")
    before = redis.config_get("maxmemory")["maxmemory"]
    redis.config_set("maxmemory", "1")
    try:
        with pytest.raises(TransientError, match="OutOfMemoryError"):
            redis.set("a", 1)
    finally:
        redis.config_set("maxmemory", before)


def test_a_server_that_cannot_save_is_a_transient_error(redis):
    script = "return redis.error_reply('MISCONF Redis is configured to save')"

    with pytest.raises(TransientError, match="MISCONF"):
        redis.eval(script, 0)


def test_our_own_mistake_is_not_named_as_theirs(redis):
    redis.set("a", 1)

    with pytest.raises(redis_py.ResponseError, match="WRONGTYPE"):
        redis.lpush("a", 1)


def test_a_connection_that_was_closed_while_idle_costs_nothing(redis, redis_url):
    redis.set("a", 1)
    mine = redis.client_id()
    with redis_py.Redis.from_url(redis_url) as other:
        other.client_kill_filter(_id=str(mine))

    assert redis.get("a") == b"1"
