"""A sync: archives into a new version beside the live one, checked, swapped in."""

import json
import resource
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

from psycopg import Connection, sql

from worker.errors import PermanentError
from worker.policy.timetable import TimetableLimits
from worker.timetable import heap
from worker.timetable.archive import Archive, open_archive
from worker.timetable.building import Building, Progress, ignore_progress
from worker.timetable.bundle import (
    Shared,
    Trust,
    check_files,
    check_headers,
    load_bundle,
)
from worker.timetable.names import LAYOUT, loading_schema
from worker.timetable.sink import Sink
from worker.timetable.swap import Fence, clear_space, drop_version, swap_in
from worker.timetable.tables import create_version, index_version
from worker.timetable.validate import loose_references, refusals, zone
from worker.timetable.versions import Version, live_version

Db = Connection[tuple[object, ...]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """One archive to load: whose it is, what it is trusted for, what its bytes are."""

    name: str
    path: Path
    sha256: str
    trust: Trust
    etag: str = ""
    modified: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class SyncResult:
    """What a sync did, or what the one that loaded the live version did.

    ``skipped`` holds the first rows left out of each reason, ``skipped_rows`` how many
    there are by file and reason; ``bundle_rows`` what each bundle brought. ``db_bytes``
    is the size of the live version with its indexes; ``peak_rss_mib`` is the process's
    largest resident memory.
    """

    version: str
    rows: dict[str, int]
    stop_patterns: int
    time_patterns: int
    skipped: list[dict[str, object]]
    skipped_rows: dict[str, dict[str, int]]
    bundle_rows: dict[str, dict[str, int]]
    warnings: list[str]
    seconds: dict[str, float]
    peak_rss_mib: float
    db_bytes: int
    unchanged: bool


def load_version(
    connection: Db,
    sources: Sequence[Source],
    limits: TimetableLimits,
    *,
    now: datetime,
    fence: Fence,
    check: Callable[[], None] = lambda: None,
    progress: Progress = ignore_progress,
    by_hand: bool = False,
) -> SyncResult:
    """Load ``sources`` into a new version and make it the live one.

    ``by_hand``: what would refuse a scheduled sync is a warning. Raises PermanentError
    when the feed is refused, TransientError when it may work next time; the live
    version is untouched then. Commits on ``connection`` as it goes.
    """
    heap.limit()
    archives = [_opened(source, limits) for source in sources]
    live = live_version(connection)
    connection.execute(f"SET statement_timeout TO '{limits.statement_timeout_s}s'")
    connection.execute("SET synchronous_commit TO off")
    connection.commit()
    schema = loading_schema()
    copy_bytes = limits.copy_bytes
    try:
        with Sink(connection, schema, copy_bytes=copy_bytes, check=check) as sink:
            building = Building(sink=sink, limits=limits, progress=progress)
            return _loaded(building, sources, archives, live, now, fence, by_hand)
    except PermanentError:
        # It will be refused again: it must not use up the database until then.
        connection.rollback()
        drop_version(connection, schema, limits)
        raise


def _opened(source: Source, limits: TimetableLimits) -> Archive:
    with _named(source):
        archive = open_archive(source.path, limits)
        check_files(archive)
        return archive


@contextmanager
def _named(source: Source) -> Iterator[None]:
    """Say whose archive it is that is refused."""
    try:
        yield
    except PermanentError as error:
        raise PermanentError(f"{source.name}: {error}") from error


def _loaded(
    building: Building,
    sources: Sequence[Source],
    archives: Sequence[Archive],
    live: Version | None,
    now: datetime,
    fence: Fence,
    by_hand: bool,
) -> SyncResult:
    """The stages of a load, one after the other."""
    sink, limits = building.sink, building.limits
    connection, schema = sink.connection, sink.schema
    building.total_bytes = sum(
        member.size for archive in archives for member in archive.members.values()
    )
    shared = Shared()
    # Before the previous version is given up for the space of this one.
    for source, archive in zip(sources, archives, strict=True):
        with _named(source):
            check_headers(building, archive)
    with building.stage("clear"):
        clear_space(connection, limits)
        create_version(connection, schema)
    for source, archive in zip(sources, archives, strict=True):
        with _named(source):
            load_bundle(building, shared, archive, name=source.name, trust=source.trust)
    with building.stage("index"):
        sink.flush()
        index_version(sink)
    with building.stage("validate"):
        timezone = _timezone(connection, schema)
        today = now.astimezone(zone(timezone)).date()
        before = live.result if live else {"rows": {}, "bundle_rows": {}}
        found = refusals(dict(building.rows), before, shared, today, limits)
        if found and not by_hand:
            raise PermanentError(f"the timetable is refused: {'; '.join(found)}")
        for sentence in [*found, *loose_references(connection, schema)]:
            building.skips.warn(sentence)
    result = SyncResult(
        version=f"{now:%Y%m%dT%H%M%S}-{sources[0].sha256[:8]}",
        rows=dict(building.rows),
        stop_patterns=shared.patterns.stop_patterns,
        time_patterns=shared.patterns.time_patterns,
        skipped=[
            {"file": skip.file, "line": skip.line, "reason": skip.reason}
            for skip in building.skips.shown
        ],
        skipped_rows=building.skips.by_reason(),
        bundle_rows=shared.rows,
        warnings=building.skips.warnings,
        seconds={name: round(spent, 3) for name, spent in building.seconds.items()},
        peak_rss_mib=round(peak_rss_mib(), 1),
        db_bytes=version_bytes(connection, schema),
        unchanged=False,
    )
    with building.stage("swap"):
        last_second = shared.patterns.last_second + _last_repeat(connection, schema)
        _describe(connection, schema, sources, result, timezone, last_second)
        swap_in(connection, schema, fence)
    swap_s = round(building.seconds["swap"], 3)
    return replace(result, seconds={**result.seconds, "swap": swap_s})


def unchanged_result(live: Version) -> SyncResult:
    """The result of the sync that loaded ``live``, as an unchanged one."""
    now = {"unchanged": True, "seconds": {}, "peak_rss_mib": round(peak_rss_mib(), 1)}
    return SyncResult(**{**live.result, **now})


def version_bytes(connection: Db, schema: str) -> int:
    """The size of a version with its indexes, in bytes."""
    (size,) = connection.execute(
        "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint "
        "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = %s AND c.relkind = 'r'",
        (schema,),
    ).fetchall()[0]
    connection.commit()
    return int(str(size))


def peak_rss_mib() -> float:
    """The largest resident memory of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _timezone(connection: Db, schema: str) -> str:
    found = connection.execute(
        sql.SQL("SELECT agency_timezone FROM {} LIMIT 1").format(
            sql.Identifier(schema, "agency_rows")
        )
    ).fetchone()
    connection.commit()
    if found is None:
        raise PermanentError("agency.txt has no rows")
    return str(found[0])


def _last_repeat(connection: Db, schema: str) -> int:
    """The second after which no trip of frequencies.txt sets out; 0 without any.

    Such a trip calls at its stops this much later, at most, than stop_times.txt says.
    """
    query = sql.SQL("SELECT coalesce(max(end_time), 0) FROM {}").format(
        sql.Identifier(schema, "frequencies_rows")
    )
    return max(int(str(last)) for (last,) in connection.execute(query))


def _describe(
    connection: Db,
    schema: str,
    sources: Sequence[Source],
    result: SyncResult,
    timezone: str,
    last_second: int,
) -> None:
    """Store what the version is and where it came from."""
    bundles = [
        {"name": s.name, "sha256": s.sha256, "etag": s.etag, "modified": s.modified}
        for s in sources
    ]
    connection.execute(
        sql.SQL(
            "INSERT INTO {table} "
            "(version, bundles, result, layout, timezone, last_second) "
            "VALUES (%s, %s, %s, %s, %s, %s)"
        ).format(table=sql.Identifier(schema, "version")),
        (
            result.version,
            json.dumps(bundles),
            json.dumps(asdict(result)),
            LAYOUT,
            timezone,
            last_second,
        ),
    )
    connection.commit()
