"""Who is told of what, how often, and how a push is sent."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Matching:
    """Which delays are worth a notification."""

    min_delay_s: int
    bucket_s: int
    max_per_rider_hour: int
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Push:
    """How notifications leave."""

    batch_size: int
    streams: int
    expiry_s: int
    claim_margin_s: int
    reason: str


MATCHING = Matching(
    min_delay_s=300,
    bucket_s=600,
    max_per_rider_hour=6,
    reason="Five minutes is what a rider would leave home later for.",
)

PUSH = Push(
    batch_size=100,
    streams=500,
    expiry_s=600,
    claim_margin_s=5,
    reason="A batch is a fraction of a second at 500 streams.",
)
