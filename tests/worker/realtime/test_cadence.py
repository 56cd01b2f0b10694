from dataclasses import replace
from datetime import UTC, datetime

import pytest

from worker.policy import POLICY
from worker.realtime import cadence
from worker.realtime.cadence import FeedState

CORE, POSITIONS, SMALL = (
    POLICY.feeds[name] for name in ("buses_trips", "buses_vehicles", "ferries_trips")
)
SEEN = FeedState(asked_at=0, entities=100)


@pytest.mark.parametrize(
    ("moment", "period"),
    [
        pytest.param("2026-06-11T21:30+00:00", "peak", id="07:30 in winter"),
        pytest.param("2026-01-11T20:30+00:00", "peak", id="07:30 in summer"),
        pytest.param("2026-06-11T02:00+00:00", "day", id="noon"),
        pytest.param("2026-06-11T16:00+00:00", "night", id="02:00"),
        pytest.param("2026-04-04T15:30+00:00", "night", id="the first 02:30"),
        pytest.param("2026-04-04T16:30+00:00", "night", id="the second 02:30"),
    ],
)
def test_the_period_follows_the_sydney_clock(limits, moment, period):
    assert cadence.period_of(datetime.fromisoformat(moment), limits) == period


@pytest.mark.parametrize(
    ("feed", "period", "state", "disrupted", "slowed", "seconds"),
    [
        pytest.param(CORE, "peak", SEEN, False, False, 15, id="core at the peak"),
        pytest.param(CORE, "day", SEEN, False, False, 15, id="core by day"),
        pytest.param(CORE, "night", SEEN, False, False, 30, id="core at night"),
        pytest.param(POSITIONS, "peak", SEEN, False, False, 30, id="positions"),
        pytest.param(POSITIONS, "night", SEEN, False, False, 60, id="asleep"),
        pytest.param(SMALL, "peak", SEEN, False, False, 60, id="small"),
        pytest.param(CORE, "night", SEEN, True, False, 15, id="disrupted at night"),
        pytest.param(
            CORE, "peak", replace(SEEN, unchanged=7), False, False, 15, id="7 alike"
        ),
        pytest.param(
            CORE, "peak", replace(SEEN, unchanged=8), False, False, 30, id="8 alike"
        ),
        pytest.param(
            SMALL,
            "day",
            replace(SEEN, unchanged=99),
            False,
            False,
            120,
            id="long alike",
        ),
        pytest.param(
            CORE,
            "night",
            replace(SEEN, entities=0),
            False,
            False,
            60,
            id="empty, night",
        ),
        pytest.param(
            CORE, "day", replace(SEEN, entities=0), False, False, 15, id="empty by day"
        ),
        pytest.param(CORE, "peak", SEEN, False, True, 30, id="too fast for NSW"),
        pytest.param(SMALL, "peak", SEEN, True, True, 120, id="too fast, disrupted"),
    ],
)
def test_the_interval_adapts(limits, feed, period, state, disrupted, slowed, seconds):
    assert (
        cadence.interval_s(
            feed,
            state,
            period=period,
            disrupted=disrupted,
            slowed=slowed,
            limits=limits,
        )
        == seconds
    )


def due(limits, states, now_s, feeds=POLICY.feeds, period="peak", resting=()):
    chosen = cadence.due(
        feeds,
        states,
        now_s=now_s,
        period=period,
        disrupted=False,
        slowed=False,
        limits=limits,
        tick=POLICY.tasks["gtfs_rt_poller"].tick,
        resting=resting,
    )
    return [feed.name for feed in chosen]


def test_a_first_tick_asks_the_core_and_no_more_than_a_tick_can(limits):
    asked = due(limits, {}, 1_000_000)

    assert len(asked) == limits.feeds_per_tick
    assert {"buses_trips", "sydneytrains_trips", "metro_trips"} <= set(asked[:3])


def test_feeds_that_start_together_spread_over_the_ticks(limits):
    states, counts, waits = {}, [], {}
    for tick in range(40):
        now_s = 1_000_000 + 15 * tick
        asked = due(limits, states, now_s)
        counts.append(len(asked))
        for name in asked:
            if name in states:
                waits.setdefault(name, []).append(now_s - states[name].asked_at)
            states[name] = FeedState(asked_at=now_s)

    assert set(states) == set(POLICY.feeds)
    assert max(counts) <= limits.feeds_per_tick
    for name, feed in POLICY.feeds.items():
        assert max(waits[name]) <= feed.intervals.peak_s + 15


def test_a_tick_that_comes_a_little_early_still_asks(limits):
    states = {CORE.name: FeedState(asked_at=1_000_000.4)}

    assert due(limits, states, 1_000_015.1, {CORE.name: CORE}) == [CORE.name]


def test_a_tick_late_in_its_slot_does_not_cost_the_next_one(limits):
    slot = 1_000_005
    states = {CORE.name: FeedState(asked_at=slot + 12)}

    assert due(limits, states, slot + 14, {CORE.name: CORE}) == []
    assert due(limits, states, slot + 15, {CORE.name: CORE}) == [CORE.name]


def test_a_clock_that_is_set_back_does_not_stop_the_feeds(limits):
    states = {name: FeedState(asked_at=1_003_600) for name in POLICY.feeds}

    assert due(limits, states, 1_000_000)


def test_a_feed_that_asked_for_a_pause_gets_it(limits):
    states = {CORE.name: FeedState(asked_at=0, not_before=1_000_100)}

    assert due(limits, states, 1_000_099, {CORE.name: CORE}) == []
    assert due(limits, states, 1_000_100, {CORE.name: CORE}) == [CORE.name]


def test_a_feed_whose_breaker_is_open_rests_and_takes_nobodys_place(limits):
    core = [name for name, feed in POLICY.feeds.items() if feed.rank == 0]

    asked = due(limits, {}, 1_000_000, resting=core)

    assert not set(core) & set(asked)
    assert len(asked) == limits.feeds_per_tick


@pytest.mark.parametrize(
    ("late", "entities", "expected"),
    [
        (0, 0, False),
        (19, 20, False),
        (20, 80, True),
        (20, 81, False),
        (900, 3000, True),
    ],
)
def test_a_disruption_is_a_large_share_of_late_trips(limits, late, entities, expected):
    state = FeedState(late_trips=late, entities=entities)

    assert cadence.disrupted([FeedState(), state], limits) is expected


def test_a_day_of_ticks_stays_below_the_planned_share_of_the_quota(limits):
    states, asked_in_all, per_tick = {}, 0, []
    for tick in range(5760):
        now_s = 1_781_100_000 + 15 * tick
        period = cadence.period_of(datetime.fromtimestamp(now_s, UTC), limits)
        asked = due(limits, states, now_s, period=period)
        for name in asked:
            states[name] = FeedState(asked_at=now_s, entities=50)
        asked_in_all += len(asked)
        per_tick.append(len(asked))

    assert 0.5 < asked_in_all / POLICY.quota.granted_per_day < 0.70
    # Two seconds of tokens are the most that a tick waits for.
    assert max(per_tick) <= 2 * POLICY.quota.per_s
