"""One archive loaded alone, or a version put back: what an operator does by hand."""

from datetime import datetime
from pathlib import Path

from worker.clients.kept import sha256_of
from worker.errors import UsageError
from worker.policy.timetable import TimetableLimits
from worker.reliability.lease import Lease
from worker.timetable.building import Progress, ignore_progress
from worker.timetable.bundle import Trust
from worker.timetable.swap import Db
from worker.timetable.sync import Source, SyncResult, load_version, unchanged_result
from worker.timetable.versions import live_version, mark_checked

ARCHIVE = "archive"


def sync_archive(
    connection: Db,
    path: Path,
    limits: TimetableLimits,
    *,
    now: datetime,
    lease: Lease,
    progress: Progress = ignore_progress,
) -> SyncResult:
    """Load the archive at ``path`` alone, every mode of it, unless it is the live one.

    What would refuse a scheduled sync is a warning. Raises UsageError when there is no
    such file; otherwise errors as those of :func:`load_version`.
    """
    if not path.exists():
        raise UsageError(f"there is no archive {path}")
    sha256 = sha256_of(path)
    live = live_version(connection)
    if live and live.hashes() == {ARCHIVE: sha256}:
        mark_checked(connection)
        return unchanged_result(live)
    source = Source(name=ARCHIVE, path=path, sha256=sha256, trust=Trust())
    return load_version(
        connection,
        [source],
        limits,
        now=now,
        fence=lease.prove,
        check=lease.check,
        progress=progress,
        by_hand=True,
    )


def as_rows(result: SyncResult) -> list[tuple[str, str]]:
    """The result for a person: what, and how much."""
    rows = [("version", result.version + (" (unchanged)" if result.unchanged else ""))]
    rows += [(file, f"{count:,}") for file, count in result.rows.items()]
    rows += [
        ("stop patterns", f"{result.stop_patterns:,}"),
        ("time patterns", f"{result.time_patterns:,}"),
        ("database", f"{result.db_bytes / 1e6:,.1f} MB"),
        ("seconds", f"{sum(result.seconds.values()):,.1f}"),
        ("peak memory", f"{result.peak_rss_mib:,.0f} MiB"),
    ]
    rows += [
        ("left out", f"{skip['file']}:{skip['line']}: {skip['reason']}")
        for skip in result.skipped
    ]
    rows += [
        (f"left out of {file}", f"{count:,} rows for their {reason}")
        for file, reasons in result.skipped_rows.items()
        for reason, count in reasons.items()
    ]
    return rows + [("warning", warning) for warning in result.warnings]
