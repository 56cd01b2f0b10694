"""The tick against a server on loopback, Redis for real, and no PostgreSQL at all."""

import os
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from google.transit.gtfs_realtime_pb2 import FeedMessage
from pydantic import SecretStr

from worker import keys
from worker.env import Settings
from worker.errors import TransientError
from worker.policy import POLICY
from worker.realtime import read
from worker.tasks import gtfs_rt_poller as module
from worker.tasks.gtfs_rt_poller import gtfs_rt_poller
from worker.tasks.world import World

NOON = 1_781_142_000
CORE = POLICY.feeds["buses_trips"]


def late_buses():
    message = FeedMessage()
    message.header.gtfs_realtime_version = "2.0"
    message.header.timestamp = NOON
    for number in range(10):
        update = message.entity.add(id=str(number)).trip_update
        update.trip.trip_id, update.trip.route_id = f"t{number}", "r"
        row = update.stop_time_update.add(stop_id=f"s{number}")
        row.departure.delay, row.departure.time = 900, NOON + 600
    return message.SerializeToString()


@pytest.fixture
def nsw():
    """A server and the bodies by path that it serves; any other path is a 503."""
    bodies = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = bodies.get(self.path)
            self.send_response(503 if body is None else 200)
            self.send_header("Connection", "close")
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield bodies, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def world(redis, nsw):
    """A world whose PostgreSQL is down, and what was published in it."""

    def no_database(role):
        raise AssertionError(f"the poller asked PostgreSQL as {role}")

    published = []
    settings = Settings(nsw_base_url=nsw[1], nsw_api_key=SecretStr("k"))
    of_test = World(
        policy=POLICY,
        settings=settings,
        redis=redis,
        postgres=no_database,
        publish=lambda *message: published.append(message),
        now=lambda: datetime.fromtimestamp(NOON + 5, UTC),
    )
    yield of_test, published
    # A child keeps its connections for life; a test must not.
    module._nsw(
        settings.nsw_base_url, settings.nsw_api_key, POLICY.realtime, os.getpid()
    ).close()


def test_a_tick_stores_the_feed_and_nudges_the_matcher(redis, nsw, world):
    nsw[0][CORE.path] = late_buses()

    detail = gtfs_rt_poller(world[0])

    assert detail["outcomes"]["stored"] == 1
    assert (detail["new_delays"], detail["nudged"]) == (10, True)
    assert world[1] == [("alert_matcher",)]
    assert len(read.worst_delays(redis)) == 10


def test_a_tick_run_twice_does_what_one_does(redis, nsw, world):
    nsw[0][CORE.path] = late_buses()
    gtfs_rt_poller(world[0])
    before = redis.hgetall(keys.live(CORE.name, "routes"))
    redis.delete(keys.FEED_STATES)

    detail = gtfs_rt_poller(world[0])

    assert detail["outcomes"]["unchanged"] == 1
    assert redis.hgetall(keys.live(CORE.name, "routes")) == before
    assert world[1] == [("alert_matcher",)]


def test_every_refusal_is_counted_by_its_reason(redis, nsw, world):
    sound = late_buses()
    message = FeedMessage.FromString(sound)
    message.header.timestamp = NOON + 3600
    from_the_future = message.SerializeToString()
    message.header.timestamp = NOON
    message.entity[0].trip_update.stop_time_update[0].departure.delay = 10**9
    bodies = {
        CORE.path: message.SerializeToString(),
        POLICY.feeds["sydneytrains_trips"].path: sound[:-3],
        POLICY.feeds["metro_trips"].path: b"<html>maintenance</html>",
        POLICY.feeds["buses_vehicles"].path: sound,
        POLICY.feeds["sydneytrains_vehicles"].path: from_the_future,
        POLICY.feeds["metro_vehicles"].path: b"",
    }
    nsw[0].update(bodies)

    detail = gtfs_rt_poller(world[0])

    assert detail["outcomes"] == {
        "stored": 1,
        "malformed": 1,
        "html": 1,
        "wrong_kind": 1,
        "future": 1,
        "empty": 1,
        "unavailable": 1,
    }
    assert (detail["implausible"], detail["new_delays"]) == (1, 9)


def test_a_tick_without_any_good_answer_failed(world):
    with pytest.raises(TransientError, match="unavailable"):
        gtfs_rt_poller(world[0])


def test_a_tick_that_leaves_riders_without_fresh_core_data_failed(redis, nsw, world):
    message = FeedMessage.FromString(late_buses())
    message.header.timestamp = NOON - CORE.stale_s
    nsw[0][CORE.path] = message.SerializeToString()

    with pytest.raises(TransientError, match="no core feed is fresh"):
        gtfs_rt_poller(world[0])

    assert read.route(redis, "r").trip_updates
    assert world[1] == []
