"""The scheduled sync: what is published now, loaded unless it is loaded already."""

import time
from collections.abc import Callable, Mapping
from datetime import datetime

from worker.clients.bundles import Bundles, Fetched
from worker.clients.kept import Published
from worker.errors import TransientError
from worker.policy.timetable import Bundle, TimetableLimits
from worker.reliability.lease import Lease
from worker.timetable.building import Progress, Step, ignore_progress
from worker.timetable.bundle import Trust
from worker.timetable.swap import Db
from worker.timetable.sync import Source, SyncResult, load_version, unchanged_result
from worker.timetable.versions import live_version, mark_checked, rejected_version


def sync_published(
    connection: Db,
    server: Bundles,
    rows: Mapping[str, Bundle],
    limits: TimetableLimits,
    *,
    now: datetime,
    lease: Lease,
    progress: Progress = ignore_progress,
    clock: Callable[[], float] = time.monotonic,
) -> SyncResult:
    """Fetch the bundles of ``rows`` and load them as one version, if one is new.

    A version that a rollback rejected is not loaded again. Errors as those of
    :func:`load_version` and of :meth:`Bundles.fetch`.
    """
    deadline = clock() + limits.download_deadline_s
    live, rejected = live_version(connection), rejected_version(connection)
    known = {each["name"]: Published(**each) for each in (live.bundles if live else [])}
    fetched = {
        name: _fetch(server, row, known.get(name), deadline, progress)
        for name, row in rows.items()
    }
    hashes = {name: each.published.sha256 for name, each in fetched.items()}
    if live and hashes in (live.hashes(), rejected.hashes() if rejected else None):
        mark_checked(connection)
        return unchanged_result(live)
    for name, each in fetched.items():
        if each.path is None:
            fetched[name] = _fetch(server, rows[name], None, deadline, progress)
    result = load_version(
        connection,
        [_source(fetched[name], trust_of(row, rows)) for name, row in rows.items()],
        limits,
        now=now,
        fence=lease.prove,
        check=lease.check,
        progress=progress,
    )
    server.kept.forget_others(hashes)
    return result


def trust_of(row: Bundle, rows: Mapping[str, Bundle]) -> Trust:
    """What ``row`` is trusted for beside the other bundles."""
    if row.route_types is not None:
        return Trust(only=row.route_types)
    claimed = (other.route_types for other in rows.values() if other is not row)
    return Trust(but=tuple(each for types in claimed for each in types or ()))


def _fetch(
    server: Bundles,
    row: Bundle,
    known: Published | None,
    deadline: float,
    progress: Progress,
) -> Fetched:
    def tell(received: int, expected: int) -> None:
        stage = f"download {row.name}"
        progress(Step(stage=stage, rows=0, done_bytes=received, total_bytes=expected))

    return server.fetch(row, known, deadline=deadline, tell=tell)


def _source(fetched: Fetched, trust: Trust) -> Source:
    if fetched.path is None:
        raise TransientError(
            f"the bundle {fetched.published.name} is unchanged but not kept here"
        )
    return Source(
        name=fetched.published.name,
        path=fetched.path,
        sha256=fetched.published.sha256,
        trust=trust,
        etag=fetched.published.etag,
        modified=fetched.published.modified,
    )
