import pytest

from loadtests.bench import day
from worker.clients import redis as redis_client
from worker.policy import POLICY


@pytest.mark.parametrize(
    ("times", "most"),
    [([], 0), ([1.0], 1), ([1.0, 1.9, 2.0, 2.8], 3), ([1.0, 2.0, 3.0], 1)],
)
def test_the_busiest_second_may_begin_at_any_time(times, most):
    assert day.busiest(times, 1.0) == most


def test_ten_minutes_of_deployed_ticks_keep_the_pace_in_simulated_time(redis_url):
    with redis_client.connect(redis_url, policy=POLICY) as redis:
        arrived = day.arrivals(redis, 600)

    assert day.busiest(arrived, 1.0) <= POLICY.quota.granted_per_s
    # At night: core feeds twice a minute, all others once.
    core = sum(feed.rank == 0 for feed in POLICY.feeds.values())
    others = len(POLICY.feeds) - core
    assert len(arrived) == pytest.approx(10 * (2 * core + others), abs=5)
