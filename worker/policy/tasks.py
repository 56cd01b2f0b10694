"""The tasks: which queue, which tick, which limits, which answer to a failure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from worker.errors import PolicyError

TIMEZONE = "Australia/Sydney"


@dataclass(frozen=True, kw_only=True, slots=True)
class Every:
    """A tick each ``period_s`` seconds, aligned to the epoch.

    The slot of a tick is the multiple of the period at or before the moment it is
    due, so that two beats name the same tick alike.
    """

    period_s: int

    def __post_init__(self) -> None:
        if self.period_s < 1:
            raise PolicyError(f"a tick every {self.period_s} s is not a period")

    def slot_at(self, now_s: float) -> int:
        """The slot that is due at ``now_s``: epoch seconds, at or before it."""
        return int(now_s) // self.period_s * self.period_s

    def next_after(self, now_s: float) -> int:
        """The first slot later than ``now_s``, epoch seconds."""
        return self.slot_at(now_s) + self.period_s


@dataclass(frozen=True, kw_only=True, slots=True)
class Daily:
    """A tick each day at ``hour:minute`` Sydney time.

    Outside 02:00 to 02:59, which a day misses and a day repeats when the clocks change.
    """

    hour: int
    minute: int

    def __post_init__(self) -> None:
        if not (0 <= self.hour < 24 and 0 <= self.minute < 60) or self.hour == 2:
            raise PolicyError(
                f"{self.hour:02d}:{self.minute:02d} is not a time that every Sydney "
                "day has once: choose one outside 02:00 to 02:59"
            )

    def slot_at(self, now_s: float) -> int:
        """The slot that is due at ``now_s``: epoch seconds, at or before it."""
        today = self._on_day_of(now_s, days=0)
        return today if today <= now_s else self._on_day_of(now_s, days=-1)

    def next_after(self, now_s: float) -> int:
        """The first slot later than ``now_s``, epoch seconds."""
        today = self._on_day_of(now_s, days=0)
        return today if today > now_s else self._on_day_of(now_s, days=1)

    def _on_day_of(self, now_s: float, *, days: int) -> int:
        local = datetime.fromtimestamp(now_s, ZoneInfo(TIMEZONE))
        day = local.date() + timedelta(days=days)
        at = datetime(
            day.year, day.month, day.day, self.hour, self.minute,
            tzinfo=ZoneInfo(TIMEZONE),
        )  # fmt: skip
        return int(at.timestamp())


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One row of the task table.

    ``ack``: early = the message is gone once a child has it (a lost tick is healed by
    the next); late = it returns to the queue when the worker dies.
    ``max_retries`` bounds retries of both kinds: a TransientError and a killed child.
    ``retry_backoff_s`` doubles each time, jittered, up to ``retry_backoff_max_s``.
    ``expires_s`` counts from the publication of the message.
    """

    name: str
    queue: str
    tick: Every | Daily | None
    expires_s: int
    soft_time_limit_s: int
    time_limit_s: int
    max_retries: int
    ack: Literal["early", "late"]
    reason: str
    retry_backoff_s: int = 0
    retry_backoff_max_s: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.soft_time_limit_s < self.time_limit_s:
            raise PolicyError(
                f"tasks.{self.name}: soft_time_limit_s {self.soft_time_limit_s} must "
                f"lie between 0 and time_limit_s {self.time_limit_s}"
            )
        if self.max_retries < 0 or self.expires_s < 1:
            raise PolicyError(
                f"tasks.{self.name}: max_retries {self.max_retries} and expires_s "
                f"{self.expires_s} must not be negative or zero"
            )
        if self.retry_backoff_s > self.retry_backoff_max_s:
            raise PolicyError(
                f"tasks.{self.name}: retry_backoff_s {self.retry_backoff_s} is above "
                f"retry_backoff_max_s {self.retry_backoff_max_s}"
            )
        if self.ack not in ("early", "late"):
            raise PolicyError(
                f"tasks.{self.name}: ack is early or late, not {self.ack}"
            )

    @property
    def longest_countdown_s(self) -> int:
        """The longest wait before a retry: it must fit the visibility timeout."""
        return self.retry_backoff_max_s if self.max_retries else 0

    @property
    def longest_silence_s(self) -> int | None:
        """How long no success is no reason to worry: three ticks and an attempt, or a
        day and every attempt at it; None for a task without a tick.
        """
        if isinstance(self.tick, Every):
            return 3 * self.tick.period_s + self.time_limit_s
        if isinstance(self.tick, Daily):
            return 86_400 + self.time_limit_s * (1 + self.max_retries)
        return None


GTFS_STATIC_SYNC = Task(
    name="gtfs_static_sync",
    queue="batch",
    tick=Daily(hour=5, minute=15),
    expires_s=6 * 3600,
    soft_time_limit_s=3000,
    time_limit_s=3300,
    max_retries=2,
    retry_backoff_s=600,
    retry_backoff_max_s=1800,
    ack="late",
    reason=(
        "NSW rebuilds the bundle at about 04:45 Sydney time; 20 to 30 minutes was "
        "the stated normal, so a soft limit of 30 minutes would kill healthy runs."
    ),
)

GTFS_RT_POLLER = Task(
    name="gtfs_rt_poller",
    queue="critical",
    tick=Every(period_s=15),
    expires_s=12,
    soft_time_limit_s=9,
    time_limit_s=13,
    max_retries=0,
    ack="early",
    reason=(
        "A hard limit below the period means that no two polls overlap; the next "
        "tick is the retry, so a stale one is worth nothing after 12 s."
    ),
)

ALERT_MATCHER = Task(
    name="alert_matcher",
    queue="normal",
    tick=Every(period_s=120),
    expires_s=110,
    soft_time_limit_s=50,
    time_limit_s=70,
    max_retries=0,
    ack="early",
    reason=(
        "Its stated worst case is 30 s; a limit equal to it would kill healthy runs."
    ),
)

APNS_WORKER = Task(
    name="apns_worker",
    queue="normal",
    tick=None,
    expires_s=300,
    soft_time_limit_s=12,
    time_limit_s=15,
    max_retries=3,
    retry_backoff_s=2,
    retry_backoff_max_s=60,
    ack="late",
    reason=(
        "A claim is held for the hard limit and 5 s more, so the limit bounds how "
        "long a killed sender keeps riders waiting; 10 s is the stated worst case."
    ),
)

UPKEEP = Task(
    name="upkeep",
    queue="normal",
    tick=Every(period_s=15),
    expires_s=14,
    soft_time_limit_s=10,
    time_limit_s=14,
    max_retries=0,
    ack="early",
    reason="Sweeps what a lost message left behind; each step has its own budget.",
)

TASKS: dict[str, Task] = {
    task.name: task
    for task in (GTFS_STATIC_SYNC, GTFS_RT_POLLER, ALERT_MATCHER, APNS_WORKER, UPKEEP)
}
