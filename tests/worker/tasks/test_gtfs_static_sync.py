"""The sync's requests beside the poller's: one quota for both, in a real Redis."""

import threading
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from pydantic import SecretStr

from worker.env import Settings
from worker.errors import RateLimitedError
from worker.policy import POLICY
from worker.reliability import quota
from worker.tasks import gtfs_static_sync as module
from worker.tasks.world import World


@pytest.fixture
def nsw():
    """A server that answers everything with 304, and the times at which it did."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(time.time())
            self.send_response(304)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield asked, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def client(redis, nsw):
    here = World(
        policy=POLICY,
        settings=Settings(nsw_base_url=nsw[1], nsw_api_key=SecretStr("k")),
        redis=redis,
        postgres=lambda role: pytest.fail(f"asked PostgreSQL as {role}"),
        publish=lambda *_: None,
        now=lambda: datetime.now(UTC),
    )
    with module._nsw(here) as client:
        yield client


def test_a_bundle_waits_until_the_feeds_of_its_second_are_through(redis, nsw, client):
    first_feed_at = time.time()
    for number in range(POLICY.quota.per_s):
        feed = {"token": f"feed {number}", "planned": lambda _: 0}
        assert quota.take(redis, POLICY.quota, now_s=time.time(), **feed).granted

    client.get("/bundle")

    assert nsw[0][0] >= first_feed_at + POLICY.quota.second_s


def test_a_bundle_counts_in_the_day(redis, client):
    client.get("/bundle")
    before = quota.spent(redis, now_s=time.time())
    client.get("/bundle")

    assert quota.spent(redis, now_s=time.time()) == before + 1


def test_no_bundle_is_asked_for_while_the_day_is_spent(redis, nsw, client):
    quota.close(redis, POLICY.quota, "told so")

    with pytest.raises(RateLimitedError, match="told so"):
        client.get("/bundle")

    assert nsw[0] == []
