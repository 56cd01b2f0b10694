"""Prices, one dated and sourced row each; checked by hand, never fetched."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Price:
    """``usd`` for one ``unit``, as ``source`` said on ``seen_on``.

    ``reported``: a third party said it, or the vendor's page gives it roughly.
    """

    name: str
    usd: float
    unit: str
    seen_on: str
    source: str
    reported: bool = False


_RAILWAY = "https://docs.railway.com/reference/pricing/plans"
_FLY = "https://fly.io/docs/about/pricing/"
_UPSTASH = "https://upstash.com/docs/redis/overall/pricing"
_SUPABASE = "https://supabase.com/docs/guides/platform/billing-on-supabase"
_EGRESS = "https://supabase.com/docs/guides/platform/manage-your-usage/egress"
_COMPUTE = "https://supabase.com/docs/guides/platform/compute-and-disk"

_ROWS = (
    ("railway_hobby", 5.0, "month, 5 USD of use included", "2026-08-21", _RAILWAY),
    ("railway_pro", 20.0, "month, 20 USD of use included", "2026-08-21", _RAILWAY),
    ("railway_memory", 10.0, "GB month, by the minute", "2026-08-21", _RAILWAY),
    ("railway_cpu", 20.0, "vCPU month, by the minute", "2026-08-21", _RAILWAY),
    ("railway_egress", 0.05, "GB", "2026-08-21", _RAILWAY),
    ("railway_volume", 0.15, "GB month", "2026-08-21", _RAILWAY),
    ("fly_shared_256", 2.32, "machine month, 256 MB", "2026-08-07", _FLY),
    ("fly_shared_512", 3.80, "machine month, 512 MB", "2026-08-07", _FLY),
    ("fly_shared_1024", 6.79, "machine month, 1 GB", "2026-08-07", _FLY),
    ("fly_memory", 5.0, "GB month beyond 1 GB", "2026-08-07", _FLY),
    ("fly_volume", 0.15, "GB month", "2026-08-07", _FLY),
    ("fly_egress", 0.04, "GB, Asia Pacific", "2026-08-07", _FLY),
    ("upstash_free", 0.0, "month, 500,000 commands", "2026-08-21", _UPSTASH),
    ("upstash_commands", 0.20, "100,000 commands", "2026-08-21", _UPSTASH),
    ("upstash_storage", 0.25, "GB month beyond 1 GB", "2026-08-21", _UPSTASH),
    ("upstash_bandwidth", 0.03, "GB beyond 200 GB", "2026-08-21", _UPSTASH),
    ("upstash_fixed_250", 10.0, "month, 250 MB, 50 GB out", "2026-08-21", _UPSTASH),
    ("upstash_fixed_1024", 20.0, "month, 1 GB, 100 GB out", "2026-08-21", _UPSTASH),
    ("supabase_free", 0.0, "month, 500 MB, 5 GB egress", "2026-08-21", _SUPABASE),
    ("supabase_pro", 25.0, "month, 8 GB, 10 USD of compute", "2026-08-21", _SUPABASE),
    ("supabase_disk", 0.125, "GB month beyond 8 GB", "2026-08-21", _SUPABASE),
    ("supabase_egress", 0.09, "GB beyond 250 GB, on Pro", "2026-08-21", _EGRESS),
    ("supabase_small", 15.0, "month of Small compute", "2026-08-21", _COMPUTE),
    ("supabase_medium", 60.0, "month of Medium compute", "2026-08-21", _COMPUTE),
)
_ROUGHLY = ("fly_shared_512", "fly_memory")

PRICES: dict[str, Price] = {
    name: Price(
        name=name, usd=usd, unit=unit, seen_on=seen_on, source=source,
        reported=name in _ROUGHLY,
    )
    for name, usd, unit, seen_on, source in _ROWS
}  # fmt: skip


def usd(name: str) -> float:
    """The price of a row; KeyError when there is no such row."""
    return PRICES[name].usd
