"""What a child does while its memory is watched: its imports are part of the work."""

from datetime import UTC, date, datetime
from pathlib import Path
from time import perf_counter

from worker.clients import postgres
from worker.policy import POLICY

DAY = date(2026, 11, 24)
"""A Tuesday that the seeded network's calendar covers."""


def noon() -> datetime:
    """The moment of the load, in Sydney's midday."""
    return datetime(DAY.year, DAY.month, DAY.day, 1, tzinfo=UTC)


def load(database_url: str, archive: Path) -> float:
    """Load one archive as a sync by hand does, without its lease; the seconds."""
    began = perf_counter()
    from worker.clients.kept import sha256_of
    from worker.timetable.bundle import Trust
    from worker.timetable.by_hand import ARCHIVE
    from worker.timetable.sync import Source, load_version

    source = Source(
        name=ARCHIVE, path=archive, sha256=sha256_of(archive), trust=Trust()
    )
    with postgres.connect(database_url, "loader", POLICY) as db:
        load_version(
            db,
            [source],
            POLICY.timetable,
            now=noon(),
            fence=lambda _: None,
            by_hand=True,
        )
    return perf_counter() - began


def read_with_gtfs_kit(archive: Path) -> float:
    """Seconds of the peer that most people would take, into memory alone."""
    import gtfs_kit

    began = perf_counter()
    gtfs_kit.read_feed(archive, dist_units="m")
    return perf_counter() - began
