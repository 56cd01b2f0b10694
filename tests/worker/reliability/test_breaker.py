import pytest

from worker.reliability import breaker
from worker.reliability.breaker import Rule

RULE = Rule(failures=3, open_s=30, open_max_s=100, probe_s=8, state_ttl_s=600)


def fail(redis, times=1, now_s=1000.0, **more):
    return [
        breaker.failed(redis, "nsw", RULE, now_s=now_s, **more) for _ in range(times)
    ]


def state(redis, now_s=1000.0):
    return breaker.read(redis, ["nsw"], now_s=now_s)["nsw"]


def test_it_is_closed_until_failures_in_a_row_open_it(redis):
    assert state(redis).state == "closed"
    assert fail(redis, 2) == [0, 0]
    assert state(redis).state == "closed"

    assert fail(redis) == [30]

    assert state(redis).state == "open"
    assert state(redis, 1029.9).state == "open"
    assert state(redis, 1030).state == "half_open"


def test_a_success_between_failures_begins_anew(redis):
    fail(redis, 2)

    breaker.succeeded(redis, "nsw")

    assert fail(redis, 2) == [0, 0]


def test_it_stays_open_longer_each_time_up_to_a_limit(redis):
    pauses = fail(redis, 3)[-1:]
    pauses += [fail(redis, now_s=1000.0 + 200 * n)[0] for n in range(1, 4)]

    assert pauses == [30, 60, 100, 100]


def test_what_the_server_asks_for_is_the_least_pause(redis):
    assert fail(redis, 3, retry_after_s=240.0)[-1] == 240


@pytest.mark.parametrize("processes", [2, 5])
def test_one_process_probes_when_half_open(redis, processes):
    fail(redis, 3)
    half_open = state(redis, 1040)

    admitted = [breaker.admit(redis, "nsw", half_open, RULE) for _ in range(processes)]

    assert admitted == [True] + [False] * (processes - 1)


def test_a_probe_that_fails_opens_it_again_and_one_that_succeeds_closes_it(redis):
    fail(redis, 3)
    assert breaker.admit(redis, "nsw", state(redis, 1040), RULE)
    fail(redis, now_s=1040.0)
    assert state(redis, 1041).state == "open"

    assert breaker.admit(redis, "nsw", state(redis, 1200), RULE)
    breaker.succeeded(redis, "nsw")

    assert state(redis, 1200).state == "closed"


def test_an_open_breaker_admits_nobody(redis):
    fail(redis, 3)

    assert not breaker.admit(redis, "nsw", state(redis), RULE)


def test_breakers_do_not_share_their_failures(redis):
    fail(redis, 3)

    both = breaker.read(redis, ["nsw", "apns"], now_s=1000.0)

    assert (both["nsw"].state, both["apns"].state) == ("open", "closed")


def test_every_key_expires(redis):
    fail(redis, 3)
    breaker.admit(redis, "nsw", state(redis, 1040), RULE)

    assert all(redis.ttl(key) > 0 for key in redis.keys("*"))
