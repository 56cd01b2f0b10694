import subprocess
import sys
from dataclasses import replace
from itertools import count

import pytest

from worker import keys
from worker.policy import POLICY
from worker.reliability import quota

NOW = 1_781_142_000.0
QUOTA = POLICY.quota


@pytest.fixture
def take(redis):
    """Ask for one request at a moment."""
    names = count()

    def taken(now_s=NOW, row=QUOTA, planned=lambda _: 0):
        return quota.take(
            redis, row, now_s=now_s, token=str(next(names)), planned=planned
        )

    return taken


def test_a_second_never_sees_more_requests_than_tokens(take):
    granted, now_s = [], NOW
    while len(granted) < 40:
        grant = take(now_s)
        if grant.granted:
            granted.append(now_s)
        else:
            assert grant.wait_s > 0
            now_s += grant.wait_s

    for first in granted:
        within = [at for at in granted if first <= at < first + QUOTA.second_s]
        assert len(within) <= QUOTA.per_s
    assert granted[-1] - granted[0] == pytest.approx(9 * QUOTA.second_s, abs=0.1)


_ANOTHER_PROCESS = """
import sys, time, uuid
from worker.clients import redis as client
from worker.policy import POLICY
from worker.reliability import quota
with client.connect(sys.argv[1], policy=POLICY) as redis:
    for _ in range(4):
        while True:
            now_s, token = time.time(), uuid.uuid4().hex
            grant = quota.take(
                redis, POLICY.quota, now_s=now_s, token=token, planned=lambda _: 0
            )
            if grant.granted:
                break
            time.sleep(grant.wait_s)
        print(now_s)
"""


def test_processes_share_the_tokens_of_a_second_and_the_count_of_a_day(
    redis, redis_url
):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _ANOTHER_PROCESS, redis_url],
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    granted = sorted(
        float(line) for p in processes for line in p.communicate()[0].splitlines()
    )

    assert len(granted) == 12
    for first in granted:
        assert sum(first <= at < first + 1 for at in granted) <= QUOTA.per_s
    assert quota.spent(redis, now_s=granted[-1]) == 12


def test_a_second_begins_when_the_request_has_left(redis, take):
    row = replace(QUOTA, per_s=1)
    quota.take(redis, row, now_s=NOW, token="slow", planned=lambda _: 0)
    quota.sent(redis, "slow", now_s=NOW + 0.6)

    grant = take(NOW + 1.1, row)

    assert not grant.granted
    assert grant.wait_s == pytest.approx(0.6 + QUOTA.second_s - 1.1)


def test_the_day_is_any_24_hours(redis, take):
    row = replace(QUOTA, stop_at=10)
    for number in range(10):
        assert take(NOW + 2 * number, row).granted

    refused = take(NOW + 3600, row)
    after = take(NOW + 86_400 + 900, row)

    assert (refused.granted, refused.wait_s) == (False, None)
    assert "10 requests in 24 hours" in refused.reason
    assert after.granted
    assert quota.spent(redis, now_s=NOW + 86_400 + 900) == 1


def test_a_missing_count_resumes_at_what_the_plan_spends(redis, take):
    grant = take(planned=lambda at: 100 if at.hour % 2 else 200)

    assert grant.granted
    assert quota.spent(redis, now_s=NOW) == pytest.approx(150 * 96 + 1)


def test_a_wiped_redis_does_not_give_a_second_days_quota(redis, take):
    row = replace(QUOTA, stop_at=10_000)
    redis.flushall()

    assert not take(NOW, row, planned=lambda _: 110).granted


def test_a_closed_quota_refuses_everything_and_says_why(redis, take):
    quota.close(redis, QUOTA, "Account Over Quota Limit")

    grant = take()

    assert (grant.granted, grant.wait_s) == (False, None)
    assert grant.reason == "Account Over Quota Limit"
    assert quota.condition(redis) == ("Account Over Quota Limit", False)
    assert 0 < redis.ttl(keys.QUOTA_CLOSED) <= QUOTA.closed_s


def test_the_pace_is_halved_while_we_were_too_fast(redis, take):
    quota.slow_down(redis, QUOTA)

    granted = [take().granted for _ in range(4)]

    assert granted == [True, True, False, False]
    assert quota.condition(redis) == ("", True)


def test_every_key_expires(redis, take):
    take()
    quota.close(redis, QUOTA, "x")
    quota.slow_down(redis, QUOTA)

    assert all(redis.ttl(key) > 0 for key in redis.keys("*"))


def test_a_turn_waits_for_its_second_and_is_counted_once(redis, take):
    for _ in range(QUOTA.per_s):
        take()
    slept, before = [], quota.spent(redis, now_s=NOW)

    quota.take_turn(
        redis,
        QUOTA,
        planned=lambda _: 0,
        clock=lambda: NOW + sum(slept),
        sleep=slept.append,
    )

    assert sum(slept) == pytest.approx(QUOTA.second_s)
    assert quota.spent(redis, now_s=NOW) == before + 1
