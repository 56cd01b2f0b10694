"""Prices, one dated and sourced row each; checked by hand, never fetched."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Price:
    """``usd`` for one ``unit``, as ``source`` said on ``seen_on``."""

    name: str
    usd: float
    unit: str
    seen_on: str
    source: str


_RAILWAY = "https://docs.railway.com/reference/pricing/plans"
_FLY = "https://fly.io/docs/about/pricing/"
_UPSTASH = "https://upstash.com/docs/redis/overall/pricing"
_SUPABASE = "https://supabase.com/docs/guides/platform/billing-on-supabase"

PRICES: dict[str, Price] = {
    price.name: price
    for price in (
        Price(name="railway_hobby", usd=5.0, unit="month, 5 USD of use included",
              seen_on="2026-08-21", source=_RAILWAY),
        Price(name="railway_pro", usd=20.0, unit="month, 20 USD of use included",
              seen_on="2026-08-21", source=_RAILWAY),
        Price(name="railway_memory", usd=10.0, unit="GB month, by the minute",
              seen_on="2026-08-21", source=_RAILWAY),
        Price(name="railway_cpu", usd=20.0, unit="vCPU month, by the minute",
              seen_on="2026-08-21", source=_RAILWAY),
        Price(name="railway_egress", usd=0.05, unit="GB",
              seen_on="2026-08-21", source=_RAILWAY),
        Price(name="railway_volume", usd=0.15, unit="GB month",
              seen_on="2026-08-21", source=_RAILWAY),
        Price(name="fly_shared_256", usd=2.32, unit="machine month, 256 MB",
              seen_on="2026-08-07", source=_FLY),
        Price(name="fly_shared_512", usd=3.80, unit="machine month, 512 MB",
              seen_on="2026-08-07", source=_FLY),
        Price(name="fly_shared_1024", usd=6.79, unit="machine month, 1 GB",
              seen_on="2026-08-07", source=_FLY),
        Price(name="upstash_commands", usd=0.20, unit="100,000 commands",
              seen_on="2026-08-21", source=_UPSTASH),
        Price(name="upstash_fixed_250", usd=10.0, unit="month, 250 MB",
              seen_on="2026-08-21", source=_UPSTASH),
        Price(name="supabase_free", usd=0.0, unit="month, 500 MB",
              seen_on="2026-08-21", source=_SUPABASE),
        Price(name="supabase_pro", usd=25.0, unit="month, 8 GB",
              seen_on="2026-08-21", source=_SUPABASE),
    )
}  # fmt: skip


def usd(name: str) -> float:
    """The price of a row; KeyError when there is no such row."""
    return PRICES[name].usd
