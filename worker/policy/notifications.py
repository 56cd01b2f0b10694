"""Who is told of what, how often, and how a push is sent."""

from dataclasses import dataclass

from worker.errors import PolicyError


@dataclass(frozen=True, kw_only=True, slots=True)
class Matching:
    """What is told, and how often.

    A rider is told of a line once for each size of delay (``realtime.delay_buckets_s``)
    in ``told_again_after_s``; ``max_per_rider_hour`` bounds everything
    together. An alert is told from ``alert_lead_s`` before the rider's window opens,
    a trip from ``trip_lead_s`` before its service day begins to ``trip_tail_s`` after,
    a late one to those who wait for its line or at a stop from ``delay_lead_s`` before
    it is due. What was told of a late trip is remembered for ``remembered_s``, in which
    it ends its journey, of all else for ever.
    A vehicle that leaves within ``least_notice_s`` is told no more: another of its line
    may still be caught.
    ``work_mem_mib``: what PostgreSQL may use for one join or sort of the matcher.
    """

    told_again_after_s: int
    max_per_rider_hour: int
    alert_lead_s: int
    delay_lead_s: int
    remembered_s: int
    trip_lead_s: int
    trip_tail_s: int
    least_notice_s: int
    kept_days: int
    work_mem_mib: int
    reason: str

    def __post_init__(self) -> None:
        if min(self.told_again_after_s, self.max_per_rider_hour, self.kept_days) < 1:
            raise PolicyError("matching: every number must be positive")
        if 86_400 % self.told_again_after_s:
            raise PolicyError(
                "matching.told_again_after_s must divide a day, "
                f"{self.told_again_after_s} does not"
            )
        if self.delay_lead_s + self.told_again_after_s > self.remembered_s:
            raise PolicyError(
                "matching.remembered_s must cover delay_lead_s and told_again_after_s, "
                f"{self.remembered_s} does not"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Push:
    """How notifications leave.

    ``streams`` bounds requests in flight, below what the peer allows. A claim lasts
    for the task's hard limit and ``claim_margin_s``. ``send_budget_s``: from the first
    byte of a batch to its last answer. A notification that may be tried again waits
    ``retry_s``, doubled each time up to ``retry_max_s``, at most ``max_attempts``
    times. ``hint_again_s``: when a message for a waiting notification counts as lost.
    ``queue_limit``: with more messages waiting no further ones are published.
    ``paused_s``: how long all senders rest after a fault of the configuration.
    ``disbelieved_from``: when Apple knows none of a batch of that many devices, the
    configuration is doubted, not the devices: none is disabled; unless Apple accepted
    a push with that configuration within ``vouched_s``.
    ``connection_idle_s``: after more silence a connection is proved by a PING first.
    """

    batch_size: int
    streams: int
    expiry_s: int
    claim_margin_s: int
    connect_timeout_s: float
    send_budget_s: float
    connection_idle_s: int
    retry_s: int
    retry_max_s: int
    max_attempts: int
    hint_again_s: int
    sweep_limit: int
    queue_limit: int
    paused_s: int
    disbelieved_from: int
    vouched_s: int
    token_refresh_s: int
    token_life_s: int
    token_least_s: int
    title_limit: int
    body_limit: int
    deliveries_cap: int
    reason: str

    def __post_init__(self) -> None:
        if not 1200 <= self.token_least_s < self.token_refresh_s < self.token_life_s:
            raise PolicyError(
                "push.token_refresh_s must lie between token_least_s (Apple: 20 min at "
                f"least) and token_life_s, {self.token_refresh_s} does not"
            )
        if self.token_life_s > 3600:
            raise PolicyError(
                f"push.token_life_s {self.token_life_s} exceeds Apple's hour"
            )
        if min(self.batch_size, self.streams, self.max_attempts) < 1:
            raise PolicyError("push: batches, streams and attempts must be positive")


MATCHING = Matching(
    told_again_after_s=3 * 3600,
    max_per_rider_hour=6,
    alert_lead_s=1800,
    delay_lead_s=2 * 3600,
    remembered_s=12 * 3600,
    trip_lead_s=86_400,
    trip_tail_s=129_600,
    least_notice_s=30,
    kept_days=14,
    work_mem_mib=32,
    reason=(
        "A line late in the morning and again in the evening is two stories; what is "
        "two hours away may still catch up, and the longest journey takes eleven; six "
        "an hour is more than anyone reads. "
        "Tomorrow's trips are told today, and last night's trains arrive by noon; a "
        "feed that names another day errs. A push is at the device within 20 s. "
        "32 MiB hold the join of 500,000 favorites without files."
    ),
)

PUSH = Push(
    batch_size=100,
    streams=500,
    expiry_s=600,
    claim_margin_s=5,
    connect_timeout_s=3.0,
    send_budget_s=5.0,
    connection_idle_s=60,
    retry_s=15,
    retry_max_s=120,
    max_attempts=8,
    hint_again_s=15,
    sweep_limit=5_000,
    queue_limit=200,
    paused_s=60,
    disbelieved_from=20,
    vouched_s=604_800,
    token_refresh_s=2_700,
    token_life_s=3_300,
    token_least_s=1_200,
    title_limit=80,
    body_limit=240,
    deliveries_cap=2_000,
    reason=(
        "A batch is a fraction of a second at 500 streams, so a killed sender repeats "
        "few; connecting 3 s and sending 5 s leave 4 s of the soft limit for SQL. "
        "Ten minutes late a delay is history. Apple wants a token at most each 20 "
        "minutes and at least each hour. Twenty devices of one line that are all "
        "foreign are less likely than an APNS_TOPIC that a deploy got wrong; one that "
        "worked within a week is right. A batch that status looks back on is 28 kB at "
        "most: 2,000 fit beside the queues."
    ),
)
