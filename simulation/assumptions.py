"""What the model takes from elsewhere because no run of ours measured it.

Every row is printed with its mark; a measured value replaces it where there is one.
Longer than 250 lines because every row is written out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from worker.errors import UsageError

Mark = Literal["documented", "reported", "assumed"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Assumption:
    """One figure that was not measured here; ``value`` in ``unit``, and surely between
    ``low`` and ``high``.
    """

    name: str
    value: float
    low: float
    high: float
    unit: str
    mark: Mark
    source: str

    def __post_init__(self) -> None:
        if not self.low <= self.value <= self.high:
            raise UsageError(
                f"assumption {self.name} is {self.value}, not between {self.low} and "
                f"{self.high}"
            )


ASSUMPTIONS: dict[str, Assumption] = {
    row.name: row
    for row in (
        Assumption(
            name="respawn_s",
            value=0.37,
            low=0.2,
            high=1.1,
            unit="s",
            mark="assumed",
            source="mean over recycled prefork children, 4 children on 0.6 of a core, "
            "celery 5.7.0; repeat on the target image",
        ),
        Assumption(
            name="parent_mib",
            value=45.0,
            low=30.0,
            high=60.0,
            unit="MiB",
            mark="assumed",
            source="resident size of a Celery parent with this worker's imports",
        ),
        Assumption(
            name="beat_mib",
            value=45.0,
            low=38.0,
            high=75.0,
            unit="MiB",
            mark="assumed",
            source="resident size of celery beat: 38 to 49 MB seen with celery 5.7.0",
        ),
        Assumption(
            name="redis_mib",
            value=60.0,
            low=20.0,
            high=150.0,
            unit="MiB",
            mark="assumed",
            source="Redis with the realtime cache: 7.5 MB idle, slices of a peak hour",
        ),
        Assumption(
            name="api_mib",
            value=150.0,
            low=100.0,
            high=300.0,
            unit="MiB",
            mark="assumed",
            source="a FastAPI process: the user's own API, not part of this workspace",
        ),
        Assumption(
            name="api_vcpu_per_10k",
            value=0.30,
            low=0.1,
            high=0.6,
            unit="vCPU",
            mark="assumed",
            source="mean over a day at 10,000 users, 40 requests a user and day",
        ),
        Assumption(
            name="sync_io_s",
            value=110.0,
            low=60.0,
            high=900.0,
            unit="s",
            mark="reported",
            source="six NSW bundles, 109 MB: 12 s download and 96 s load "
            "(a public project's load log, 2025-11)",
        ),
        Assumption(
            name="sync_cpu_s",
            value=40.0,
            low=20.0,
            high=300.0,
            unit="s",
            mark="reported",
            source="the same log: 35 s of parsing, and 5 s for the client side of COPY",
        ),
        Assumption(
            name="sync_rss_mib",
            value=250.0,
            low=130.0,
            high=350.0,
            unit="MiB",
            mark="assumed",
            source="streaming load, bounded tables; the sync's own record replaces it",
        ),
        Assumption(
            name="apns_rtt_s",
            value=0.18,
            low=0.08,
            high=0.4,
            unit="s",
            mark="assumed",
            source="Singapore to Apple's push hosts and Apple's own time; the stand-in "
            "answers over loopback, so a deployed batch takes this much longer a round",
        ),
        Assumption(
            name="storm_alpha",
            value=2.0,
            low=1.5,
            high=2.5,
            unit="",
            mark="assumed",
            source="share of riders that a disruption concerns: Beta(2, 12), mean 14 %",
        ),
        Assumption(
            name="storm_beta",
            value=12.0,
            low=8.0,
            high=18.0,
            unit="",
            mark="assumed",
            source="share of riders that a disruption concerns: Beta(2, 12), mean 14 %",
        ),
        Assumption(
            name="storms_per_day",
            value=1.5,
            low=0.5,
            high=3.0,
            unit="1/day",
            mark="assumed",
            source="line-wide disruptions of one operator's network; count them in the "
            "alerts feed",
        ),
        Assumption(
            name="pushes_per_user_day",
            value=1.2,
            low=0.5,
            high=2.5,
            unit="1/day",
            mark="assumed",
            source="notifications of a weekday that no disruption causes",
        ),
        Assumption(
            name="peak_hour_share",
            value=0.0867,
            low=0.07,
            high=0.11,
            unit="share",
            mark="assumed",
            source="26 % of a weekday's travel between 06:30 and 09:30 (NSW rail, BTS "
            "table 24), a third of it in an hour",
        ),
        Assumption(
            name="throttled_share",
            value=0.25,
            low=0.0,
            high=0.5,
            unit="share",
            mark="assumed",
            source="storms that meet an APNs which throttles: everybody pushes at once",
        ),
        Assumption(
            name="throttle_round_s",
            value=8.0,
            low=2.0,
            high=10.0,
            unit="s",
            mark="assumed",
            source="a round of requests then takes so long: the brief's worst case is "
            "10 s a batch",
        ),
        Assumption(
            name="throttle_s",
            value=300.0,
            low=60.0,
            high=900.0,
            unit="s",
            mark="assumed",
            source="how long APNs throttles",
        ),
        Assumption(
            name="network_stops_per_year",
            value=2.0,
            low=1.0,
            high=3.0,
            unit="1/year",
            mark="reported",
            source="network-wide stops such as 8 March 2023 (radio failure, over an "
            "hour) and May 2025 (Strathfield wires), as the press reported them",
        ),
        Assumption(
            name="network_share",
            value=0.7,
            low=0.5,
            high=0.9,
            unit="share",
            mark="assumed",
            source="riders whom a network-wide stop concerns",
        ),
        Assumption(
            name="weekend_share",
            value=0.6,
            low=0.4,
            high=0.8,
            unit="share",
            mark="assumed",
            source="notifications of a Saturday or Sunday beside those of a weekday",
        ),
        Assumption(
            name="push_kb",
            value=1.5,
            low=1.0,
            high=4.0,
            unit="kB",
            mark="assumed",
            source="one push to Apple with its headers, as the platform counts egress",
        ),
        Assumption(
            name="api_kb_per_user_day",
            value=100.0,
            low=20.0,
            high=400.0,
            unit="kB",
            mark="assumed",
            source="answers of the user's own API: 40 requests a day, 2.5 kB "
            "each, compressed",
        ),
        Assumption(
            name="timetable_mb_per_day",
            value=100.0,
            low=80.0,
            high=200.0,
            unit="MB",
            mark="reported",
            source="one timetable sent to PostgreSQL by COPY, outside the platform",
        ),
        Assumption(
            name="redis_volume_gb",
            value=1.0,
            low=1.0,
            high=5.0,
            unit="GB",
            mark="assumed",
            source="volume of the Redis service, append-only file",
        ),
        Assumption(
            name="redis_commands_idle_per_day",
            value=100000.0,
            low=80000.0,
            high=150000.0,
            unit="1/day",
            mark="reported",
            source="two idle workers without gossip, mingle and heartbeat: "
            "89,000 to 99,000 a day each on 2026-11-23, half with a "
            "longer polling interval",
        ),
        Assumption(
            name="redis_commands_per_poll",
            value=22.0,
            low=15.0,
            high=40.0,
            unit="commands",
            mark="assumed",
            source="ten of a message and a dozen writes to the cache, each "
            "billed inside a pipeline too",
        ),
        Assumption(
            name="database_base_mb",
            value=50.0,
            low=40.0,
            high=60.0,
            unit="MB",
            mark="documented",
            source="a new Supabase project, before the first table of ours",
        ),
        Assumption(
            name="database_timetable_mb",
            value=200.0,
            low=162.0,
            high=250.0,
            unit="MB",
            mark="reported",
            source="two versions side by side: 81 MB for a feed of 8.7 million "
            "stop times, 121 MB in a public project",
        ),
        Assumption(
            name="database_records_mb",
            value=70.0,
            low=40.0,
            high=100.0,
            unit="MB",
            mark="assumed",
            source="records and samples as long as they are kept: see policy.recording",
        ),
        Assumption(
            name="database_kb_per_user",
            value=8.0,
            low=4.0,
            high=20.0,
            unit="kB",
            mark="assumed",
            source="device, three favorites, and the notifications of 14 days, "
            "with indexes",
        ),
        Assumption(
            name="database_egress_kb_per_user_day",
            value=10.0,
            low=3.0,
            high=40.0,
            unit="kB",
            mark="assumed",
            source="rows that leave Supabase: the API reads favorites, the "
            "sender its claims",
        ),
    )
}


def assumed(name: str) -> float:
    """The value of an assumption; KeyError when there is no such row."""
    return ASSUMPTIONS[name].value


def believed(rng: np.random.Generator | None = None) -> Mapping[str, float]:
    """Every assumption at its value; with ``rng`` each drawn from the triangle over
    ``low``, ``value`` and ``high``, so that a result says how much hangs on them.
    """
    if rng is None:
        return {name: row.value for name, row in ASSUMPTIONS.items()}
    return {
        name: float(rng.triangular(row.low, row.value, row.high))
        if row.low < row.high
        else row.value
        for name, row in ASSUMPTIONS.items()
    }
