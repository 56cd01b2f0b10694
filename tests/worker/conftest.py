"""What the worker's rooms are handed: clients of the session's servers."""

import pytest

from worker.clients import redis as redis_client
from worker.policy import POLICY


@pytest.fixture
def redis(redis_url):
    """The worker's own Redis client, on an emptied server."""
    with redis_client.connect(redis_url, policy=POLICY) as client:
        yield client
