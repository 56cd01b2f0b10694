import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from worker import keys
from worker.clients.nsw import Answer
from worker.policy import POLICY
from worker.realtime import poll, read
from worker.realtime.nudge import nudge
from worker.reliability import breaker, quota

FEED = "buses_trips"


class Outside:
    """Transport for NSW as scripted: for each feed a body or a problem."""

    def __init__(self, script):
        self.script = script
        self.asked = []

    def fetch(self, paths, admit, sent, handle):
        asyncio.run(self._fetch(paths, admit, sent, handle))

    async def _fetch(self, paths, admit, sent, handle):
        for feed in paths:
            if await admit(feed):
                sent(feed)
                self.asked.append(feed)
                said = self.script.get(feed, {"problem": "unavailable"})
                handle(Answer(feed=feed, seconds=0.1, **said))


class Clock:
    """Real and service time in one, moved by hand."""

    def __init__(self, at):
        self.at = float(at)

    def __call__(self):
        return self.at

    def now(self):
        return datetime.fromtimestamp(self.at, UTC)


@pytest.fixture
def clock(feeds):
    return Clock(feeds.NOON)


@pytest.fixture
def only():
    """A policy with some feeds alone, so that no tick has to choose."""

    def of(*names):
        return replace(POLICY, feeds={name: POLICY.feeds[name] for name in names})

    return of


@pytest.fixture
def tick(redis, clock, only):
    """Run one tick; the rows by feed."""

    def run(script, policy=None, **how):
        source = Outside(script)
        row = poll.Tick(redis, source, policy or only(FEED), now=clock.now, clock=clock)
        return {polled.feed: polled for polled in row.run(**how)}, source.asked

    return run


def body(message):
    return {"body": message.SerializeToString(), "status": 200, "received": 1000}


def test_a_tick_stores_what_is_new_and_says_so(redis, tick, clock, feeds):
    rows, asked = tick({FEED: body(feeds.city(delay=600))})

    assert asked == [FEED]
    assert (rows[FEED].outcome, rows[FEED].entities) == ("stored", 60)
    assert (rows[FEED].age_s, rows[FEED].received) == (0, 1000)
    assert rows[FEED].new_delays == 600
    assert read.route(redis, "r1").trip_updates
    assert all(redis.ttl(key) > 0 for key in redis.keys("*"))


def test_a_feed_is_not_asked_again_before_it_is_due(tick, clock, feeds):
    script = {FEED: body(feeds.city())}
    tick(script)

    clock.at += 5
    too_early = tick(script)
    clock.at += 10
    in_time = tick(script)

    assert too_early == ({}, [])
    assert in_time[1] == [FEED]
    assert in_time[0][FEED].outcome == "unchanged"


def test_the_door_asks_everything_at_any_time(tick, clock, feeds):
    script = {FEED: body(feeds.city())}
    tick(script)

    rows, asked = tick(script, everything=True)

    assert asked == [FEED]
    assert rows[FEED].good


def test_a_failure_keeps_the_held_data_and_its_true_age(redis, tick, clock, feeds):
    tick({FEED: body(feeds.city())})
    clock.at += 15

    rows, _ = tick({FEED: {"problem": "deadline"}})

    assert rows[FEED].outcome == "deadline"
    assert rows[FEED].age_s == 15
    assert not rows[FEED].good
    assert read.route(redis, "r1").as_of == {FEED: feeds.NOON}


def test_failures_in_a_row_open_the_breaker_and_one_good_probe_closes_it(
    redis, tick, clock, feeds
):
    outcomes = []
    for _ in range(POLICY.realtime.breaker_failures):
        outcomes.append(tick({FEED: {"problem": "unavailable"}})[0][FEED].outcome)
        clock.at += 15
    open_rows = tick({FEED: body(feeds.city(timestamp=int(clock.at)))})
    clock.at += POLICY.realtime.breaker_open_s

    half_open = tick({FEED: body(feeds.city(timestamp=int(clock.at)))})

    assert set(outcomes) == {"unavailable"}
    assert open_rows == ({}, [])
    assert half_open[0][FEED].outcome == "stored"
    seen = breaker.read(redis, [FEED], now_s=clock.at)[FEED]
    assert (seen.state, seen.failures) == ("closed", 0)


def test_a_second_process_does_not_probe_at_the_same_time(redis, tick, clock, feeds):
    for _ in range(POLICY.realtime.breaker_failures):
        tick({FEED: {"problem": "unavailable"}})
        clock.at += 15
    clock.at += POLICY.realtime.breaker_open_s
    redis.set(keys.breaker_probe(FEED), 1, ex=8)

    rows, asked = tick({FEED: body(feeds.city())})

    assert asked == []
    assert rows[FEED].outcome == "breaker"


class Busy(Outside):
    """So busy with others that the deadline comes before a feed's turn."""

    async def _fetch(self, paths, admit, sent, handle):
        for feed in paths:
            handle(Answer(feed=feed, seconds=7.0, problem="deadline"))


def test_a_feed_that_only_waited_for_its_turn_did_not_fail(redis, clock, only):
    for _ in range(POLICY.realtime.breaker_failures):
        row = poll.Tick(redis, Busy({}), only(FEED), now=clock.now, clock=clock)
        row.run(everything=True)

    assert breaker.read(redis, [FEED], now_s=clock.at)[FEED].failures == 0


def test_a_feed_that_only_waited_for_its_turn_stays_as_urgent_as_it_was(
    redis, tick, clock, feeds, only
):
    clock.at += 1
    waited = poll.Tick(redis, Busy({}), only(FEED), now=clock.now, clock=clock).run()

    rows, asked = tick({FEED: body(feeds.city())})

    assert [row.outcome for row in waited] == ["waited for its turn"]
    assert asked == [FEED]
    assert rows[FEED].outcome == "stored"


def test_bodies_that_are_no_feed_count_as_failures(redis, tick, clock):
    for _ in range(POLICY.realtime.breaker_failures):
        rows, _ = tick({FEED: {"body": b"<html>maintenance</html>"}})
        assert rows[FEED].outcome == "html"
        clock.at += 15

    assert breaker.read(redis, [FEED], now_s=clock.at)[FEED].state == "open"


def test_retry_after_is_honoured(tick, clock, feeds):
    tick({FEED: {"problem": "unavailable", "retry_after_s": 60.0}})

    clock.at += 45
    waiting = tick({FEED: body(feeds.city())})
    clock.at += 15
    after = tick({FEED: body(feeds.city(timestamp=int(clock.at)))})

    assert waiting == ({}, [])
    assert after[0][FEED].outcome == "stored"


def test_a_retry_after_without_end_does_not_darken_a_feed(tick, clock, feeds):
    tick({FEED: {"problem": "unavailable", "retry_after_s": float("inf")}})
    longest_s = POLICY.realtime.retry_after_limit_s

    clock.at += longest_s - 15
    waiting = tick({FEED: body(feeds.city())})
    clock.at += 15

    assert waiting == ({}, [])
    assert tick({FEED: body(feeds.city())})[1] == [FEED]


def test_over_quota_stops_every_feed_and_says_why(redis, tick, clock, feeds, only):
    policy = only(FEED, "metro_trips")
    refused = {"problem": "over_quota", "detail": "Account Over Quota Limit"}

    rows, asked = tick({FEED: refused}, policy)
    clock.at += 15
    next_rows, next_asked = tick({FEED: body(feeds.city())}, policy)

    assert asked == [FEED]
    assert rows["metro_trips"].outcome == "quota: Account Over Quota Limit"
    assert next_asked == []
    assert {row.outcome for row in next_rows.values()} == {
        "quota: Account Over Quota Limit"
    }


def test_over_rate_slows_every_feed_down(redis, tick, clock, feeds, only):
    policy = only(FEED, "metro_trips")
    tick({FEED: {"problem": "rate_limited"}, "metro_trips": body(feeds.city())}, policy)

    clock.at += 15
    slowed = tick({}, policy)
    clock.at += 15
    asked = tick({}, policy)[1]

    assert quota.condition(redis) == ("", True)
    assert slowed == ({}, [])
    assert set(asked) == {FEED, "metro_trips"}


def test_a_path_that_alone_is_refused_with_403_does_not_slow_the_others_for_ever(
    redis, tick, clock, feeds, only
):
    policy = only(FEED, "metro_trips")

    def round_of_requests():
        clock.at += 60
        sound = body(feeds.city(timestamp=int(clock.at)))
        return tick({FEED: {"problem": "rate_limited"}, "metro_trips": sound}, policy)

    for _ in range(POLICY.realtime.breaker_failures):
        assert set(round_of_requests()[1]) == {FEED, "metro_trips"}
    redis.delete(keys.QUOTA_SLOWED)  # its time is over

    assert round_of_requests()[1] == ["metro_trips"]
    clock.at += POLICY.realtime.breaker_open_max_s
    assert set(round_of_requests()[1]) == {FEED, "metro_trips"}
    assert quota.condition(redis) == ("", False)


def test_refusals_of_every_path_with_403_are_about_the_pace(redis, tick, clock, only):
    policy = only(FEED, "metro_trips")
    limited = {"problem": "rate_limited"}

    for _ in range(2 * POLICY.realtime.breaker_failures):
        clock.at += 60
        assert set(tick({FEED: limited, "metro_trips": limited}, policy)[1]) == {
            FEED,
            "metro_trips",
        }

    assert quota.condition(redis) == ("", True)


def test_states_that_a_later_release_wrote_are_read(redis, tick, clock, feeds):
    tick({FEED: body(feeds.city())})
    seen = json.loads(redis.hget(keys.FEED_STATES, FEED))
    redis.hset(keys.FEED_STATES, FEED, json.dumps({**seen, "of_a_later_release": 1}))
    clock.at += 15

    assert tick({FEED: body(feeds.city(timestamp=int(clock.at)))})[1] == [FEED]


def test_a_wrong_key_or_path_is_not_asked_again_at_once(tick, clock):
    tick({FEED: {"problem": "unauthorized", "status": 401}})

    clock.at += 60

    assert tick({}) == ({}, [])


def test_every_request_is_counted(redis, tick, clock, feeds):
    for _ in range(3):
        tick({FEED: body(feeds.city())})
        clock.at += 15
    planned = quota.spent(redis, now_s=clock.at)

    tick({FEED: {"problem": "unavailable"}})

    assert quota.spent(redis, now_s=clock.at) == planned + 1


def test_a_disruption_brings_the_peak_cadence(tick, clock, feeds):
    at_night = 1_781_110_800  # 03:00 in Sydney
    clock.at = at_night
    tick({FEED: body(feeds.city(timestamp=at_night, delay=900))})

    clock.at += 15
    late = tick({FEED: body(feeds.city(timestamp=at_night + 15, delay=0))})
    clock.at += 15
    calm = tick({FEED: body(feeds.city(timestamp=at_night + 30, delay=0))})

    assert late[1] == [FEED]
    assert calm[1] == []


def test_a_wiped_redis_is_filled_by_the_next_tick(redis, tick, clock, feeds):
    tick({FEED: body(feeds.city(delay=600))})
    redis.flushall()
    clock.at += 15

    rows, _ = tick({FEED: body(feeds.city(timestamp=int(clock.at), delay=600))})

    assert rows[FEED].outcome == "stored"
    assert len(read.route(redis, "r1").trip_updates) == 6
    assert read.generation(redis) == (1, 0)
    # Not from zero: the day's plan is taken as spent.
    assert quota.spent(redis, now_s=clock.at) > 0


def test_a_nudge_is_level_and_one_is_under_way_at_a_time(redis, tick, clock, feeds):
    tick({FEED: body(feeds.city(delay=600))})
    sent = []

    nudged = [nudge(redis, sent.append, POLICY) for _ in range(3)]
    redis.delete(keys.NUDGED)  # it was lost: its time is over
    again = nudge(redis, sent.append, POLICY)
    read.mark_matched(redis, read.generation(redis)[0])

    assert nudged == [True, False, False]
    assert again
    assert sent == ["alert_matcher", "alert_matcher"]
    assert not nudge(redis, sent.append, POLICY)


def test_delays_that_are_known_wake_nobody(redis, tick, clock, feeds):
    tick({FEED: body(feeds.city(delay=600))})
    read.mark_matched(redis, read.generation(redis)[0])
    clock.at += 15
    message = feeds.city(delay=610)
    message.header.timestamp += 15

    rows, _ = tick({FEED: body(message)})

    assert (rows[FEED].outcome, rows[FEED].new_delays) == ("stored", 0)
    assert not nudge(redis, [].append, POLICY)


def test_a_delay_that_vanished_while_the_matcher_was_told_is_matched_again(
    redis, tick, clock, feeds
):
    tick({FEED: body(feeds.city(delay=600))})
    told = read.generation(redis)[0]
    clock.at += 15
    tick({FEED: body(feeds.city(timestamp=feeds.NOON + 15, delay=1300))})

    read.mark_matched(redis, told)

    assert nudge(redis, [].append, POLICY)
