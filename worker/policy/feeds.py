"""The realtime feeds, how often each is asked for, and the quota they share."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Literal

from worker.errors import PolicyError

Kind = Literal["trip_updates", "vehicle_positions", "alerts"]
DAY_S = 86_400
QUARTER_S = 900
Period = Literal["peak", "day", "night"]
PERIODS: tuple[Period, ...] = ("peak", "day", "night")


@dataclass(frozen=True, kw_only=True, slots=True)
class Intervals:
    """Seconds between two requests of one feed, by period of the Sydney day."""

    peak_s: int
    day_s: int
    night_s: int

    def __post_init__(self) -> None:
        if not 0 < self.peak_s <= self.day_s <= self.night_s:
            raise PolicyError(
                "intervals grow from peak_s over day_s to night_s and exceed zero, "
                f"{self.peak_s}, {self.day_s}, {self.night_s} do not"
            )

    def of(self, period: str) -> int:
        """The interval of ``period``: peak, day or night."""
        named = {"peak": self.peak_s, "day": self.day_s, "night": self.night_s}
        return named[period]


@dataclass(frozen=True, kw_only=True, slots=True)
class Feed:
    """One realtime feed of Transport for NSW.

    ``rank``: lower is asked first when a tick cannot ask all. ``stale_s``: data
    older than this is shown as stale, and then a collapse in size is believed.
    """

    name: str
    path: str
    kind: Kind
    rank: int
    intervals: Intervals
    stale_s: int
    reason: str

    def __post_init__(self) -> None:
        if self.stale_s < 2 * self.intervals.peak_s:
            raise PolicyError(
                f"feeds.{self.name}.stale_s must be at least two peak intervals, "
                f"{self.stale_s} is below {2 * self.intervals.peak_s}"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Quota:
    """What Transport for NSW allows one key, and how much of it we take.

    The day is any 24 hours: two sources name two different reset hours, and a
    rolling day is right for both. ``per_s`` tokens are shared by every process; each
    is usable again ``second_s`` after its request left. That exceeds a second by as
    much as one request may overtake another on its way, so that no second over there
    sees more than ``per_s``.
    """

    granted_per_day: int
    granted_per_s: int
    per_s: int
    second_s: float
    stop_at: int
    planned_share: float
    other_requests_per_day: int
    slow_down_s: int
    closed_s: int
    reason: str

    def __post_init__(self) -> None:
        if not 0 < self.per_s < self.granted_per_s:
            raise PolicyError(
                "quota.per_s must stay below quota.granted_per_s, "
                f"{self.per_s} is not below {self.granted_per_s}"
            )
        if self.second_s < 1:
            raise PolicyError(
                f"quota.second_s must be a second at least, {self.second_s} is not"
            )
        if not 0 < self.stop_at < self.granted_per_day:
            raise PolicyError(
                "quota.stop_at must stay below quota.granted_per_day, "
                f"{self.stop_at} is not below {self.granted_per_day}"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class RealtimeLimits:
    """Limits of one tick, of what it accepts and of how long Redis keeps it.

    ``peak_hours`` and ``night_hours`` are hours of the Sydney clock; all others are
    day. ``delay_buckets_s``: bounds of the sizes of a delay; the first makes it
    significant. ``cell_degrees``: edge of a square of the map, about 1.1 km.
    ``near_limit_m``: the widest radius in which vehicles are looked for.
    ``http2``: whether it is spoken where it is offered: one connection for all feeds
    instead of one each; the largest body then takes 0.10 s of CPU, not 0.04 s.
    A feed may shrink to ``collapse_share`` of its entities at once, or by
    ``collapse_roots`` square roots of their number, whichever is more. Delays beyond
    ``delay_limit_s`` and times further than ``horizon_s`` from the header's are errors.
    """

    peak_hours: tuple[str, ...]
    night_hours: tuple[str, ...]
    slow_after_unchanged: int
    slow_factor: int
    slowest_s: int
    disruption_share: float
    disruption_from_trips: int
    feeds_per_tick: int
    deadline_s: float
    connect_timeout_s: float
    http2: bool
    body_limit_mib: int
    entity_limit: int
    future_limit_s: int
    collapse_share: float
    collapse_roots: float
    delay_limit_s: int
    horizon_s: int
    retry_after_limit_s: int
    live_ttl_s: int
    state_ttl_s: int
    delay_buckets_s: tuple[int, ...]
    service_day_starts_h: int
    stop_buckets: int
    cell_degrees: float
    near_limit_m: int
    nudge_s: int
    breaker_failures: int
    breaker_open_s: int
    breaker_open_max_s: int
    reason: str

    def __post_init__(self) -> None:
        if tuple(sorted(set(self.delay_buckets_s))) != self.delay_buckets_s:
            raise PolicyError("realtime.delay_buckets_s must rise")
        if set(self.peak_hours) & set(self.night_hours):
            raise PolicyError("an hour of realtime is peak or night, not both")
        if not 0 <= self.collapse_share < 1:
            raise PolicyError("realtime.collapse_share lies between 0 and 1")

    def fewest_entities(self, held: int) -> float:
        """The least that may follow a message of ``held`` entities."""
        return min(self.collapse_share * held, held - self.collapse_roots * sqrt(held))

    @property
    def significant_delay_s(self) -> int:
        """Seconds from which a delay is worth telling a rider."""
        return self.delay_buckets_s[0]

    def hours(self, period: str) -> int:
        """Hours of a day that belong to ``period``: peak, day or night."""
        named = {"peak": len(self.peak_hours), "night": len(self.night_hours)}
        return named.get(period, 24 - sum(named.values()))


CORE = Intervals(peak_s=15, day_s=15, night_s=30)
POSITIONS = Intervals(peak_s=30, day_s=30, night_s=60)
SMALL = Intervals(peak_s=60, day_s=60, night_s=60)

_CORE_REASON = "Delays become pushes: promised 20 s after they are published."
_POSITIONS_REASON = "A dot on a map may lag half a minute; it triggers no push."
_SMALL_REASON = "Few riders and short lines: a minute keeps the plan within quota."

_MODES: tuple[tuple[str, str, str, bool], ...] = (
    ("buses", "v1", "buses", True),
    ("sydneytrains", "v2", "sydneytrains", True),
    ("metro", "v2", "metro", True),
    ("ferries", "v1", "ferries/sydneyferries", False),
    ("lightrail_innerwest", "v2", "lightrail/innerwest", False),
    ("lightrail_cbdandsoutheast", "v1", "lightrail/cbdandsoutheast", False),
    ("lightrail_parramatta", "v1", "lightrail/parramatta", False),
)
"""Name, version of the interface, path below it, whether it carries most riders."""


def _rows() -> Iterable[Feed]:
    for name, version, path, core in _MODES:
        yield Feed(
            name=f"{name}_trips",
            path=f"/{version}/gtfs/realtime/{path}",
            kind="trip_updates",
            rank=0 if core else 2,
            intervals=CORE if core else SMALL,
            stale_s=90 if core else 180,
            reason=_CORE_REASON if core else _SMALL_REASON,
        )
        yield Feed(
            name=f"{name}_vehicles",
            path=f"/{version}/gtfs/vehiclepos/{path}",
            kind="vehicle_positions",
            rank=1 if core else 2,
            intervals=POSITIONS if core else SMALL,
            stale_s=120 if core else 180,
            reason=_POSITIONS_REASON if core else _SMALL_REASON,
        )
    yield Feed(
        name="alerts",
        path="/v2/gtfs/alerts/all",
        kind="alerts",
        rank=2,
        intervals=SMALL,
        stale_s=300,
        reason="Written by people: a minute later is soon enough.",
    )


FEEDS: dict[str, Feed] = {feed.name: feed for feed in _rows()}

QUOTA = Quota(
    granted_per_day=60_000,
    granted_per_s=5,
    per_s=4,
    second_s=1.1,
    stop_at=55_000,
    planned_share=0.70,
    other_requests_per_day=200,
    slow_down_s=30,
    closed_s=900,
    reason=(
        "Bronze plan: 60,000 a day and 5 a second, refused with 403. The plan takes "
        "at most 70 %, the rest is for a day of restarts and for the developer; at "
        "55,000 we stop by ourselves, since the refusal would darken every feed. Paths "
        "to Sydney differ by tens of milliseconds, hence a tenth more than a second."
    ),
)

REALTIME = RealtimeLimits(
    peak_hours=("6", "7", "8", "9", "15", "16", "17", "18"),
    night_hours=("0", "1", "2", "3", "4"),
    slow_after_unchanged=8,
    slow_factor=2,
    slowest_s=120,
    disruption_share=0.25,
    disruption_from_trips=20,
    feeds_per_tick=7,
    deadline_s=7.0,
    connect_timeout_s=3.0,
    http2=True,
    body_limit_mib=32,
    entity_limit=100_000,
    future_limit_s=60,
    collapse_share=0.8,
    collapse_roots=2.0,
    delay_limit_s=6 * 3600,
    horizon_s=2 * DAY_S,
    retry_after_limit_s=900,
    live_ttl_s=900,
    state_ttl_s=DAY_S,
    delay_buckets_s=(300, 600, 900, 1200, 1800, 2700, 3600),
    service_day_starts_h=3,
    stop_buckets=4096,
    cell_degrees=0.01,
    near_limit_m=5000,
    nudge_s=14,
    breaker_failures=5,
    breaker_open_s=30,
    breaker_open_max_s=120,
    reason=(
        "7 s in total leave 2 s below the soft limit to decode and to write; bodies "
        "reach 8.4 MB and 7,300 entities; a minute of clock difference is normal; a "
        "feed that loses a fifth of its entities at once is cut; real ones change by "
        "3 % a minute, the small ones of a real morning by 0.4 roots of their size. "
        "Real delays reach 77 minutes and real times lie within a day. Whoever asks us "
        "to wait for more than 15 minutes is asked then: their mistake must not "
        "darken a day. "
        "A feed that is down is tried every 2 minutes: it is back that soon after NSW, "
        "for 720 requests a day. A walk to a stop is shorter than 5 km; all vehicles "
        "of Sydney, read at every tap, would cost as much as a tick."
    ),
)


def planned_per_day(
    feeds: Mapping[str, Feed], limits: RealtimeLimits, *, disrupted: bool = False
) -> int:
    """Requests in 24 hours when every tick comes; at the peak cadence if disrupted."""
    return round(
        sum(
            limits.hours(period)
            * planned_per_quarter(feeds, "peak" if disrupted else period)
            * 4
            for period in PERIODS
        )
    )


def planned_per_quarter(feeds: Mapping[str, Feed], period: str) -> float:
    """Requests in a quarter of an hour of one period, when every tick comes."""
    return sum(QUARTER_S / feed.intervals.of(period) for feed in feeds.values())


def check_plan(feeds: Mapping[str, Feed], quota: Quota, limits: RealtimeLimits) -> None:
    """Refuse a set of feeds that could spend more than the planned share in a day."""
    planned = planned_per_day(feeds, limits, disrupted=True)
    planned += quota.other_requests_per_day
    allowed = int(quota.planned_share * quota.granted_per_day)
    if planned > allowed:
        raise PolicyError(
            f"the feeds would take {planned} requests in a disrupted day, "
            f"{allowed} are planned; make an interval longer or remove a feed"
        )
