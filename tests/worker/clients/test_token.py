"""One provider token for all, renewed in Apple's window."""

import os
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from worker import keys
from worker.clients import redis as redis_client
from worker.clients import token
from worker.clients.token import SigningKey
from worker.errors import PermanentError, TransientError
from worker.policy import POLICY

PUSH = POLICY.push
NOON = 1_800_000_000.0


@pytest.fixture(scope="module")
def key() -> SigningKey:
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return SigningKey(pem=pem.decode(), key_id="ABC123DEFG", team_id="DEF123GHIJ")


def at(seconds):
    return lambda: NOON + seconds


def in_a_process(redis_url, key):
    """(its number, the token it was given)"""
    with redis_client.connect(redis_url, policy=POLICY) as client:
        return os.getpid(), token.current(client, key, PUSH).text


def no_sleep(_seconds):
    pytest.fail("nobody should have to wait")


def test_apple_gets_what_it_asks_for(redis, key):
    made = token.current(redis, key, PUSH, now=at(0))

    assert jwt.get_unverified_header(made.text) == {
        "alg": "ES256",
        "kid": "ABC123DEFG",
        "typ": "JWT",
    }
    claims = jwt.decode(made.text, options={"verify_signature": False})
    assert claims == {"iss": "DEF123GHIJ", "iat": int(NOON)}


def test_all_threads_use_one_token(redis, key):
    with ThreadPoolExecutor(8) as pool:
        runs = [pool.submit(token.current, redis, key, PUSH) for _ in range(40)]
        texts = {run.result().text for run in runs}

    assert len(texts) == 1


def test_processes_that_start_at_once_use_one_token(redis_url, key):
    with ProcessPoolExecutor(3, mp_context=get_context("fork")) as pool:  # as a pool's
        runs = [pool.submit(in_a_process, redis_url, key) for _ in range(12)]
        pids, texts = zip(*(run.result() for run in runs), strict=True)

    assert len(set(pids)) > 1
    assert len(set(texts)) == 1


def test_a_token_is_renewed_between_20_and_60_minutes(redis, key):
    first = token.current(redis, key, PUSH, now=at(0))

    kept = token.current(redis, key, PUSH, now=at(PUSH.token_refresh_s - 1))
    renewed = token.current(redis, key, PUSH, now=at(PUSH.token_refresh_s))

    assert kept.text == first.text
    assert renewed.text != first.text
    assert 1200 <= PUSH.token_refresh_s <= 3600


def test_while_one_signs_the_others_use_the_old_one(redis, key):
    first = token.current(redis, key, PUSH, now=at(0))
    redis.set(keys.apns_signing(key.key_id), 1)

    due = at(PUSH.token_refresh_s + 1)
    assert token.current(redis, key, PUSH, now=due, sleep=no_sleep) == first


def test_when_the_signer_dies_the_next_takes_over(redis, key):
    redis.set(keys.apns_signing(key.key_id), 1)
    waits = []

    def sleep(seconds):
        waits.append(seconds)
        redis.delete(keys.apns_signing(key.key_id))

    assert token.current(redis, key, PUSH, now=at(0), sleep=sleep).text
    assert len(waits) == 1


def test_when_nobody_signs_it_is_a_transient_error(redis, key):
    redis.set(keys.apns_signing(key.key_id), 1)

    with pytest.raises(TransientError, match="signing"):
        token.current(redis, key, PUSH, now=at(0), sleep=lambda _: None)


def test_a_refused_token_is_replaced_once_for_all(redis, key):
    old = token.current(redis, key, PUSH, now=at(0))
    later = at(PUSH.token_least_s)

    fresh = token.current(redis, key, PUSH, refused=old, now=later)
    again = token.current(redis, key, PUSH, refused=old, now=later)

    assert fresh.text != old.text
    assert again.text == fresh.text


def test_a_young_token_that_is_called_expired_blames_the_clock(redis, key):
    young = token.current(redis, key, PUSH, now=at(0))

    with pytest.raises(PermanentError, match="clock"):
        token.current(redis, key, PUSH, refused=young, now=at(60))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"pem": ""}, "APNS_KEY or APNS_KEY_FILE is not set"),
        ({"key_id": ""}, "APNS_KEY_ID is not set"),
        ({"team_id": ""}, "APNS_TEAM_ID is not set"),
    ],
)
def test_what_is_missing_is_said(changed, words):
    given = {"pem": "x", "file": None, "key_id": "k", "team_id": "t", **changed}

    with pytest.raises(PermanentError, match=words):
        token.signing_key(**given)


def test_a_key_that_cannot_sign_is_said_without_showing_it(redis):
    bad = SigningKey(pem="secret words", key_id="k", team_id="t")

    with pytest.raises(PermanentError, match="APNS_KEY cannot sign") as said:
        token.current(redis, bad, PUSH)

    assert "secret" not in str(said.value)
    assert "secret" not in repr(bad)


def test_a_key_file_that_others_can_read_is_refused(tmp_path):
    file = tmp_path / "key.p8"
    file.write_text("pem")
    given = {"pem": None, "file": file, "key_id": "k", "team_id": "t"}

    file.chmod(0o644)
    with pytest.raises(PermanentError, match="chmod 600"):
        token.signing_key(**given)
    file.chmod(0o600)

    assert token.signing_key(**given).pem == "pem"
