"""Ticks beside a Redis that is cut off, silent, slow, full or restarted: for real."""

import asyncio
import subprocess
import threading
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from loadtests.rig.binaries import valkey_program
from loadtests.rig.faults import Faults
from loadtests.rig.folder import free_port
from loadtests.rig.links import Link, endpoint, through
from loadtests.rig.valkey import answers, valkey_argv
from worker.clients import redis as redis_client
from worker.clients.nsw import Answer
from worker.errors import TransientError
from worker.policy import POLICY, vary
from worker.realtime import poll, read
from worker.reliability import quota

FEED = "buses_trips"
HASTY = replace(
    vary(POLICY, "broker.keys_timeout_s", 1), feeds={FEED: POLICY.feeds[FEED]}
)


class Breakable:
    """A way to a Redis that the rig's faults can break."""

    def __init__(self, url):
        self.faults = Faults()
        self._link = Link("redis", *endpoint(url, 6379), self.faults)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._server = self._within(self._link.listen())
        self.url = through(url, self._server.sockets[0].getsockname()[1])

    def _within(self, doing):
        return asyncio.run_coroutine_threadsafe(doing, self._loop).result(10)

    def fault(self, kind, value=None):
        asked = {"target": "redis", "kind": kind, "value": value}
        self.faults.all.append(self.faults.read(asked))

        async def strike():
            self._link.strike(kind)

        self._within(strike())

    def heal(self):
        self.faults.clear()

    def close(self):
        async def stop():
            self._server.close()
            rest = asyncio.all_tasks() - {asyncio.current_task()}
            for task in rest:
                task.cancel()
            await asyncio.gather(*rest, return_exceptions=True)

        self._within(stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@pytest.fixture
def link(redis_url):
    breakable = Breakable(redis_url)
    yield breakable
    breakable.heal()
    breakable.close()


@pytest.fixture
def ticks(feeds):
    """Ticks of one feed, 15 s of its time apart, whatever the real time is."""

    class Ticks:
        at = feeds.NOON

        def fetch(self, paths, admit, sent, handle):
            asyncio.run(self._fetch(paths, admit, sent, handle))

        async def _fetch(self, paths, admit, sent, handle):
            for feed in paths:
                if await admit(feed):
                    sent(feed)
                    body = feeds.city(timestamp=self.at).SerializeToString()
                    handle(Answer(feed=feed, seconds=0.1, body=body, status=200))

        def __call__(self, redis):
            self.at += 15
            (row,) = poll.Tick(
                redis,
                self,
                HASTY,
                now=lambda: datetime.fromtimestamp(self.at, UTC),
                clock=lambda: float(self.at),
            ).run()
            return row.outcome

    return Ticks()


@pytest.mark.parametrize("kind", ["cut", "hold"])
def test_a_tick_fails_while_redis_is_out_of_reach_and_the_next_good_one_heals(
    redis, link, ticks, kind
):
    with redis_client.connect(link.url, policy=HASTY) as through_link:
        assert ticks(through_link) == "stored"
        before = ticks.at

        link.fault(kind)
        for _ in range(2):
            with pytest.raises(TransientError, match="Redis failed"):
                ticks(through_link)
        # A minute of such ticks later, what was held is still there and still true.
        assert read.route(redis, "r1").as_of == {FEED: before}
        assert redis.ttl(f"live:{FEED}:routes") > 60

        link.heal()
        assert ticks(through_link) == "stored"
        assert read.route(redis, "r1").as_of == {FEED: ticks.at}


def test_a_link_that_breaks_in_the_middle_of_a_tick_leaves_the_held_feed_whole(
    redis, link, ticks, monkeypatch
):
    with redis_client.connect(link.url, policy=HASTY) as through_link:
        ticks(through_link)
        before = {key: redis.dump(key) for key in redis.scan_iter("live:*")}
        staging = poll.ingest.store.Staged.put

        def put(self, *args):
            link.fault("cut")
            staging(self, *args)

        with monkeypatch.context() as patched:
            patched.setattr(poll.ingest.store.Staged, "put", put)
            with pytest.raises(TransientError, match="Redis failed"):
                ticks(through_link)

        after = {
            key: redis.dump(key)
            for key in redis.scan_iter("live:*")
            if key.count(b":") == 2
        }
        assert after == before
        assert all(redis.ttl(key) > 0 for key in redis.scan_iter("*"))
        link.heal()
        assert ticks(through_link) == "stored"


def test_a_slow_redis_makes_a_tick_late_and_nothing_else(redis, link, ticks):
    link.fault("slow", 0.02)

    with redis_client.connect(link.url, policy=HASTY) as through_link:
        assert ticks(through_link) == "stored"

    assert len(read.route(redis, "r1").trip_updates) == 6


def test_a_restarted_redis_is_filled_by_the_next_tick_within_the_days_quota(
    ticks, tmp_path
):
    port = free_port()
    url = f"redis://127.0.0.1:{port}/0"

    def start():
        argv = valkey_argv(valkey_program(), port, tmp_path)
        server = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
        while not answers(url):
            assert server.poll() is None
        return server

    server = start()
    with redis_client.connect(url, policy=HASTY) as redis:
        try:
            assert ticks(redis) == "stored"
            server.kill()
            server.wait()
            with pytest.raises(TransientError, match="Redis failed"):
                ticks(redis)
            server = start()

            assert ticks(redis) == "stored"

            assert len(read.route(redis, "r1").trip_updates) == 6
            planned = quota.spent(redis, now_s=ticks.at)
            assert planned > 1000  # the plan's day of this feed, not one request
        finally:
            server.kill()
            server.wait()
