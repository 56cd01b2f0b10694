"""One tick of the poller: ask what is due, refuse what is bad, store what is good."""

import asyncio
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from time import perf_counter
from typing import Protocol

from redis import Redis

from worker.clients.nsw import Admit, Answer, Handle, Sent
from worker.errors import PolicyError
from worker.policy import Every, Policy
from worker.policy.feeds import Feed
from worker.realtime import cadence, ingest, store
from worker.realtime.accept import Held
from worker.realtime.cadence import FeedState
from worker.reliability import breaker, quota

_GOOD = ("stored", "unchanged")
_NOBODYS_FAULT = ("older", "future", "collapsed", "other_routes")
"""Refusals after which asking again is right: the answer itself was sound."""
_WAITED = "waited for its turn"


class Source(Protocol):
    """Where bodies come from."""

    def fetch(
        self, paths: Mapping[str, str], admit: Admit, sent: Sent, handle: Handle
    ) -> None:
        """Ask for every path; hand each answer on as it comes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Polled:
    """What one tick did with one feed.

    ``outcome``: "stored", "unchanged", or why there is nothing new. ``age_s``: of the
    data that is held now; None when nothing is. ``store_ms``: to judge, cut and store.
    ``implausible``: predictions that were left out.
    """

    feed: str
    outcome: str
    entities: int
    received: int
    seconds: float
    store_ms: float
    age_s: float | None
    new_delays: int
    implausible: int

    @property
    def good(self) -> bool:
        """Whether the feed answered with something sound."""
        return self.outcome in _GOOD


class Tick:
    """One round over the feeds.

    ``now`` is service time (feeds are judged by it), ``clock`` the real time in epoch
    seconds (requests are counted by it).
    """

    def __init__(
        self,
        redis: Redis,
        source: Source,
        policy: Policy,
        *,
        now: Callable[[], datetime],
        clock: Callable[[], float],
    ) -> None:
        self._redis = redis
        self._source = source
        self._policy = policy
        self._now = now
        self._clock = clock
        limits = policy.realtime
        self._rule = breaker.Rule(
            failures=limits.breaker_failures,
            open_s=limits.breaker_open_s,
            open_max_s=limits.breaker_open_max_s,
            probe_s=int(limits.deadline_s) + 1,
            state_ttl_s=limits.state_ttl_s,
        )
        self._states: dict[str, FeedState] = {}
        self._breakers: dict[str, breaker.Breaker] = {}
        self._held: dict[str, Held] = {}
        self._report: dict[str, Polled] = {}
        self._tokens: dict[str, str] = {}
        self._granted: set[str] = set()
        self._left: set[str] = set()

    def run(self, *, everything: bool = False) -> list[Polled]:
        """Ask the feeds that are due (or all); one row for each that was meant."""
        due = self._due(everything)
        names = [feed.name for feed in due]
        self._held = store.held(self._redis, names)
        paths = {feed.name: feed.path for feed in due}
        if paths:
            self._source.fetch(paths, self._admit, self._sent, self._handle)
            asked = {n: self._states[n] for n in names if n in self._states}
            store.remember(self._redis, asked, self._policy.realtime)
        return [self._report[name] for name in names]

    def _due(self, everything: bool) -> list[Feed]:
        feeds = self._policy.feeds
        self._states = store.states(self._redis)
        self._breakers = breaker.read(self._redis, feeds, now_s=self._clock())
        if everything:
            return list(feeds.values())
        _, slowed = quota.condition(self._redis)
        limits = self._policy.realtime
        tick = self._policy.tasks["gtfs_rt_poller"].tick
        if not isinstance(tick, Every):
            raise PolicyError("tasks.gtfs_rt_poller.tick must be a period in seconds")
        return cadence.due(
            feeds,
            self._states,
            now_s=self._clock(),
            period=cadence.period_of(self._now(), limits),
            disrupted=cadence.disrupted(self._states.values(), limits),
            slowed=slowed,
            limits=limits,
            tick=tick,
            resting=[n for n, seen in self._breakers.items() if seen.state == "open"],
        )

    async def _admit(self, feed: str) -> bool:
        """Wait for the feed's token; False when it must not be asked."""
        if not breaker.admit(self._redis, feed, self._breakers[feed], self._rule):
            self._note(feed, "breaker")
            return False
        token = self._tokens[feed] = secrets.token_hex(8)
        while True:
            grant = quota.take(
                self._redis,
                self._policy.quota,
                now_s=self._clock(),
                token=token,
                planned=cadence.planned(self._policy),
            )
            if grant.granted:
                self._granted.add(feed)
                return True
            if grant.wait_s is None:
                self._note(feed, f"quota: {grant.reason}")
                return False
            await asyncio.sleep(grant.wait_s)

    def _sent(self, feed: str) -> None:
        self._left.add(feed)
        quota.sent(self._redis, self._tokens[feed], now_s=self._clock())

    def _handle(self, answer: Answer) -> None:
        began = perf_counter()
        feed = self._policy.feeds[answer.feed]
        if feed.name not in self._granted:
            # It was not asked, so it stays as urgent as it was.
            self._note(feed.name, _WAITED, answer)
            return
        state = self._states.get(feed.name, FeedState())
        limited = state.limited + 1 if answer.problem == "rate_limited" else 0
        self._states[feed.name] = replace(
            state, asked_at=self._clock(), limited=limited
        )
        if answer.problem:
            self._failed(answer, before=state)
            self._note(feed.name, answer.problem, answer)
            return
        taken = ingest.take(
            self._redis,
            feed,
            answer.body,
            held=self._held[feed.name],
            now_s=self._now().timestamp(),
            limits=self._policy.realtime,
        )
        if taken.outcome in _GOOD or taken.outcome in _NOBODYS_FAULT:
            self._answered(feed.name)
        else:
            breaker.failed(self._redis, feed.name, self._rule, now_s=self._clock())
        self._held[feed.name] = taken.held
        self._states[feed.name] = replace(
            self._states[feed.name],
            unchanged=0 if taken.outcome == "stored" else state.unchanged + 1,
            entities=taken.held.entities,
            late_trips=taken.late_trips
            if taken.outcome == "stored"
            else state.late_trips,
        )
        self._note(
            feed.name,
            taken.outcome,
            answer,
            store_ms=(perf_counter() - began) * 1e3,
            new_delays=taken.new_delays,
            implausible=taken.implausible,
        )

    def _failed(self, answer: Answer, before: FeedState) -> None:
        """What a problem means for this feed and for all feeds, by its kind."""
        feed, now_s = answer.feed, self._clock()
        pause_s = min(answer.retry_after_s, self._policy.realtime.retry_after_limit_s)
        if answer.problem == "over_quota":
            quota.close(self._redis, self._policy.quota, answer.detail)
        elif answer.problem in ("unauthorized", "refused") or self._singled_out(
            feed, since=before.asked_at
        ):
            # Asking again at once cannot help, and every try costs quota.
            pause_s = max(pause_s, self._policy.realtime.breaker_open_max_s)
        elif answer.problem == "rate_limited":
            quota.slow_down(self._redis, self._policy.quota)
        elif feed in self._left or answer.problem != "deadline":
            # Whoever was still connecting says nothing about the feed.
            breaker.failed(
                self._redis, feed, self._rule, now_s=now_s, retry_after_s=pause_s
            )
        if pause_s:
            self._states[feed] = replace(self._states[feed], not_before=now_s + pause_s)

    def _singled_out(self, feed: str, since: float) -> bool:
        """Whether we are told time after time that we ask too often, for this feed
        alone: others were answered ``since`` it was asked before.

        Then it is a path that we may not have: NSW says both with the same status.
        """
        limited = self._states[feed].limited
        return limited >= self._policy.realtime.breaker_failures and any(
            other.outcome in _GOOD and other.asked_at >= since
            for other in self._states.values()
        )

    def _answered(self, feed: str) -> None:
        seen = self._breakers[feed]
        if seen.failures or seen.state != "closed":
            breaker.succeeded(self._redis, feed)

    def _note(
        self,
        feed: str,
        outcome: str,
        answer: Answer | None = None,
        *,
        store_ms: float = 0.0,
        new_delays: int = 0,
        implausible: int = 0,
    ) -> None:
        held = self._held[feed]
        age_s = self._now().timestamp() - held.timestamp if held.timestamp else None
        self._report[feed] = Polled(
            feed=feed,
            outcome=outcome,
            entities=held.entities,
            received=answer.received if answer else 0,
            seconds=answer.seconds if answer else 0.0,
            store_ms=store_ms,
            age_s=age_s,
            new_delays=new_delays,
            implausible=implausible,
        )
        if state := self._states.get(feed):
            self._states[feed] = replace(state, outcome=outcome)
