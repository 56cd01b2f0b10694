"""What is remembered for how long, how it is kept safe, and what upkeep does."""

from dataclasses import dataclass

from worker.errors import PolicyError


@dataclass(frozen=True, kw_only=True, slots=True)
class Recording:
    """Records of attempts, samples of gauges, dead letters, leases, the watchdog.

    Records and samples wait in capped Redis streams until upkeep has written them to
    PostgreSQL; ``reader_grace_s`` longer, so that a load test can follow the stream and
    status can read the last minutes without PostgreSQL.
    An attempt that was opened and not closed ``lost_grace_s`` after its hard limit is
    lost. ``wedged_after_s`` is the watchdog's patience with a worker that takes
    nothing although messages wait.
    """

    stream_cap: int
    stream_ttl_s: int
    reader_grace_s: int
    flush_batch: int
    attempt_ttl_s: int
    lost_grace_s: int
    records_kept_days: int
    samples_kept_days: int
    gauge_period_s: int
    forget_batch: int
    dead_letter_ttl_s: int
    dead_letter_cap: int
    dead_letters_kept_days: int
    replays_per_letter: int
    replays_at_once: int
    lease_ttl_s: int
    lease_renew_every_s: int
    wedged_after_s: int
    watchdog_period_s: int
    reason: str

    def __post_init__(self) -> None:
        if self.lease_renew_every_s * 3 > self.lease_ttl_s:
            raise PolicyError(
                f"recording.lease_ttl_s {self.lease_ttl_s} must be at least three "
                f"times lease_renew_every_s {self.lease_renew_every_s}: one missed "
                "renewal must not lose the lease"
            )
        if self.watchdog_period_s * 2 > self.wedged_after_s:
            raise PolicyError(
                f"recording.wedged_after_s {self.wedged_after_s} must be at least "
                f"twice watchdog_period_s {self.watchdog_period_s}"
            )
        if min(self.stream_cap, self.flush_batch, self.gauge_period_s) < 1:
            raise PolicyError("recording: caps, batches and periods must be positive")


RECORDING = Recording(
    stream_cap=20_000,
    stream_ttl_s=2 * 86_400,
    reader_grace_s=900,
    flush_batch=2_000,
    attempt_ttl_s=86_400,
    lost_grace_s=30,
    records_kept_days=14,
    samples_kept_days=3,
    gauge_period_s=15,
    forget_batch=20_000,
    dead_letter_ttl_s=14 * 86_400,
    dead_letter_cap=1_000,
    dead_letters_kept_days=90,
    replays_per_letter=3,
    replays_at_once=50,
    lease_ttl_s=60,
    lease_renew_every_s=15,
    wedged_after_s=120,
    watchdog_period_s=10,
    reason=(
        "20,000 records are a day of ticks (8 MB in Redis) when PostgreSQL is down; 14 "
        "days of records and 3 of samples stay below 70 MB of Supabase Free's 500; a "
        "lease of 60 s frees the sync a minute after its holder died."
    ),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class UpkeepStep:
    """One guarded step of upkeep: due each ``period_s``, ended after ``budget_s``.

    ``budget_s`` bounds each SQL statement of the step; what is left over waits for
    the next time.
    """

    name: str
    period_s: int
    budget_s: float
    reason: str

    def __post_init__(self) -> None:
        if self.period_s < 1 or self.budget_s <= 0:
            raise PolicyError(
                f"upkeep.{self.name}: period_s and budget_s must be positive"
            )


UPKEEP_STEPS: dict[str, UpkeepStep] = {
    step.name: step
    for step in (
        UpkeepStep(
            name="sweep_outbox",
            period_s=15,
            budget_s=3.0,
            reason="A push whose message was lost is found within one tick.",
        ),
        UpkeepStep(
            name="gauges",
            period_s=15,
            budget_s=1.0,
            reason="Depth and age are what alarms and scaling rules read.",
        ),
        UpkeepStep(
            name="flush_records",
            period_s=15,
            budget_s=3.0,
            reason="2,000 records a batch leave in well under a second.",
        ),
        UpkeepStep(
            name="reconcile_sync",
            period_s=3600,
            budget_s=1.0,
            reason=(
                "A lost daily tick costs an hour, not a day, and a new database loads "
                "its first timetable at once; more often would repeat a failing sync."
            ),
        ),
        UpkeepStep(
            name="retention",
            period_s=3600,
            budget_s=2.0,
            reason="Old rows leave in small batches; an hour of them is small.",
        ),
    )
}
