"""Which feeds a tick asks for: pure, from what was seen and from the policy."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from worker.policy import Policy
from worker.policy.feeds import Feed, Period, RealtimeLimits, planned_per_quarter
from worker.policy.tasks import TIMEZONE, Every


@dataclass(frozen=True, kw_only=True, slots=True)
class FeedState:
    """What earlier ticks saw of one feed; times are real epoch seconds.

    ``unchanged``: answers in a row that said nothing new. ``late_trips``:
    trips with a significant delay in the last message. ``not_before``: what a
    Retry-After header asked for. ``outcome``: how the last request ended.
    ``limited``: answers in a row that said we ask too often.
    """

    asked_at: float = 0.0
    unchanged: int = 0
    entities: int = -1
    late_trips: int = 0
    not_before: float = 0.0
    outcome: str = ""
    limited: int = 0


def period_of(now: datetime, limits: RealtimeLimits) -> Period:
    """The period of the Sydney day in which ``now`` (aware) lies."""
    hour = str(now.astimezone(ZoneInfo(TIMEZONE)).hour)
    if hour in limits.peak_hours:
        return "peak"
    return "night" if hour in limits.night_hours else "day"


def planned(policy: Policy) -> Callable[[datetime], float]:
    """What the plan sends in the quarter of an hour that begins at an instant."""
    return lambda at: planned_per_quarter(policy.feeds, period_of(at, policy.realtime))


def interval_s(
    feed: Feed,
    state: FeedState,
    *,
    period: Period,
    disrupted: bool,
    slowed: bool,
    limits: RealtimeLimits,
) -> int:
    """Seconds until a feed is asked again.

    The interval of the period; that of the peak while the network is ``disrupted``;
    longer while the feed repeats itself, is empty at night, or while the quota
    ``slowed`` us down.
    """
    intervals = feed.intervals
    chosen = intervals.peak_s if disrupted else intervals.of(period)
    asleep = period == "night" and state.entities == 0
    if asleep or state.unchanged >= limits.slow_after_unchanged:
        chosen = min(chosen * limits.slow_factor, max(limits.slowest_s, chosen))
    if slowed:
        chosen *= limits.slow_factor
    return chosen


def disrupted(states: Iterable[FeedState], limits: RealtimeLimits) -> bool:
    """Whether so large a share of some feed's trips is late that more is to come."""
    return any(
        state.late_trips >= limits.disruption_from_trips
        and state.late_trips >= limits.disruption_share * state.entities
        for state in states
    )


def due(
    feeds: Mapping[str, Feed],
    states: Mapping[str, FeedState],
    *,
    now_s: float,
    period: Period,
    disrupted: bool,
    slowed: bool,
    limits: RealtimeLimits,
    tick: Every,
    resting: Collection[str] = (),
) -> list[Feed]:
    """The feeds to ask now, most urgent first, no more than a tick can ask.

    ``resting``: names of feeds whose breaker is open; they take nobody's place.
    Waiting is counted from slot to slot: a tick that came late in its slot, as the
    first of a new beat does, must not make the feed miss the next one.
    What does not fit is asked by the next tick; so feeds that start together spread
    out by themselves.
    """
    wanted: list[tuple[int, float, str]] = []
    for feed in feeds.values():
        if feed.name in resting:
            continue
        state = states.get(feed.name, FeedState())
        interval = interval_s(
            feed,
            state,
            period=period,
            disrupted=disrupted,
            slowed=slowed,
            limits=limits,
        )
        waited = tick.slot_at(now_s) - tick.slot_at(state.asked_at)
        # Asked in the future: by a host whose clock is ahead, or before ours was set.
        elapsed = waited < 0 or waited >= interval - tick.period_s / 2
        if elapsed and now_s >= state.not_before:
            wanted.append((feed.rank, -waited / interval, feed.name))
    return [feeds[name] for *_, name in sorted(wanted)[: limits.feeds_per_tick]]
