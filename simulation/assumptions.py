"""What the model takes from elsewhere because no run of ours measured it.

Every row is printed with its mark; a measured value replaces it where there is one.
"""

from dataclasses import dataclass
from typing import Literal

Mark = Literal["documented", "reported", "assumed"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Assumption:
    """One figure that was not measured here; ``value`` in ``unit``."""

    name: str
    value: float
    unit: str
    mark: Mark
    source: str


ASSUMPTIONS: dict[str, Assumption] = {
    row.name: row
    for row in (
        Assumption(
            name="respawn_s",
            value=0.37,
            unit="s",
            mark="assumed",
            source="mean over recycled prefork children, 4 children on 0.6 of a core, "
            "celery 5.7.0; repeat on the target image",
        ),
        Assumption(
            name="parent_mib",
            value=45.0,
            unit="MiB",
            mark="assumed",
            source="resident size of a Celery parent with this worker's imports",
        ),
        Assumption(
            name="beat_mib",
            value=45.0,
            unit="MiB",
            mark="assumed",
            source="resident size of celery beat: 38 to 49 MB seen with celery 5.7.0",
        ),
        Assumption(
            name="redis_mib",
            value=60.0,
            unit="MiB",
            mark="assumed",
            source="Redis with the realtime cache: 7.5 MB idle, slices of a peak hour",
        ),
        Assumption(
            name="api_mib",
            value=150.0,
            unit="MiB",
            mark="assumed",
            source="a FastAPI process: the user's own API, not part of this workspace",
        ),
        Assumption(
            name="api_vcpu_per_10k",
            value=0.30,
            unit="vCPU",
            mark="assumed",
            source="mean over a day at 10,000 users, 40 requests a user and day",
        ),
        Assumption(
            name="sync_io_s",
            value=110.0,
            unit="s",
            mark="reported",
            source="six NSW bundles, 109 MB: 12 s download and 96 s load "
            "(a public project's load log, 2025-11)",
        ),
        Assumption(
            name="sync_cpu_s",
            value=40.0,
            unit="s",
            mark="reported",
            source="the same log: 35 s of parsing, and 5 s for the client side of COPY",
        ),
        Assumption(
            name="sync_rss_mib",
            value=250.0,
            unit="MiB",
            mark="assumed",
            source="streaming load, bounded tables; the sync's own record replaces it",
        ),
        Assumption(
            name="apns_rtt_s",
            value=0.18,
            unit="s",
            mark="assumed",
            source="Singapore to Apple's push hosts and Apple's own time; the stand-in "
            "answers over loopback, so a deployed batch takes this much longer a round",
        ),
        Assumption(
            name="storm_alpha",
            value=2.0,
            unit="",
            mark="assumed",
            source="share of riders that a disruption concerns: Beta(2, 12), mean 14 %",
        ),
        Assumption(
            name="storm_beta",
            value=12.0,
            unit="",
            mark="assumed",
            source="share of riders that a disruption concerns: Beta(2, 12), mean 14 %",
        ),
        Assumption(
            name="storms_per_day",
            value=1.5,
            unit="1/day",
            mark="assumed",
            source="line-wide disruptions of one operator's network; count them in the "
            "alerts feed",
        ),
        Assumption(
            name="pushes_per_user_day",
            value=1.2,
            unit="1/day",
            mark="assumed",
            source="notifications of a weekday that no disruption causes",
        ),
        Assumption(
            name="peak_hour_share",
            value=0.0867,
            unit="share",
            mark="assumed",
            source="26 % of a weekday's travel between 06:30 and 09:30 (NSW rail, BTS "
            "table 24), a third of it in an hour",
        ),
    )
}


def assumed(name: str) -> float:
    """The value of an assumption; KeyError when there is no such row."""
    return ASSUMPTIONS[name].value
