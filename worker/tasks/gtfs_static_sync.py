"""The daily sync of the timetable, and the same by hand."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from worker.clients import bundles
from worker.clients.postgres import Connection
from worker.realtime import cadence
from worker.records import Detail
from worker.reliability import lease, quota
from worker.tasks.shell import SLOT, task
from worker.tasks.world import World

if TYPE_CHECKING:
    from worker.timetable.building import Progress
    from worker.timetable.sync import SyncResult

# numpy and the codecs are imported when a sync starts: the other tasks go without.

LEASE = "timetable"
"""Held by whoever loads or puts back a version."""


@task("gtfs_static_sync", once_per=SLOT)
def gtfs_static_sync(world: World) -> Detail:
    """Load the published timetable, unless it is the one that is loaded."""
    result = sync(world)
    return Detail(
        version=result.version,
        unchanged=result.unchanged,
        stop_times=result.rows.get("stop_times.txt", 0),
        skipped=sum(sum(by.values()) for by in result.skipped_rows.values()),
        warnings=len(result.warnings),
        seconds=result.seconds,
        db_bytes=result.db_bytes,
    )


def sync(
    world: World, archive: Path | None = None, progress: "Progress | None" = None
) -> "SyncResult":
    """Load what is published, or ``archive`` alone in its place."""
    from worker.timetable.building import ignore_progress
    from worker.timetable.by_hand import sync_archive
    from worker.timetable.published import sync_published

    settings, limits = world.settings, world.policy.timetable
    tell, now = progress or ignore_progress, world.now()
    with _held(world) as (db, held):
        if archive is not None:
            return sync_archive(db, archive, limits, now=now, lease=held, progress=tell)
        with _nsw(world) as client:
            return sync_published(
                db,
                bundles.Bundles(client, settings.state_dir, limits),
                world.policy.bundles,
                limits,
                now=now,
                lease=held,
                progress=tell,
            )


def roll_back(world: World) -> str:
    """Make the previous version live again; the version that is live now."""
    from worker.timetable import swap

    with _held(world) as (db, held):
        return swap.roll_back(db, held.prove)


def _nsw(world: World) -> httpx.Client:
    """A client whose requests take their turn in the quota, beside the poller's."""
    redis, policy, settings = world.redis, world.policy, world.settings

    def take_turn() -> str:
        return quota.take_turn(
            redis,
            policy.quota,
            planned=cadence.planned(policy),
            clock=time.time,
            sleep=time.sleep,
        )

    return bundles.connect(
        settings.nsw_base_url,
        settings.nsw_api_key.get_secret_value(),
        policy.timetable,
        take_turn=take_turn,
        sent=lambda token: quota.sent(redis, token, now_s=time.time()),
    )


@contextmanager
def _held(world: World) -> Iterator[tuple[Connection, lease.Lease]]:
    """The loader's connection and the lease of the timetable."""
    recording = world.policy.recording
    with (
        world.postgres("loader") as db,
        lease.held(
            world.redis,
            db,
            LEASE,
            ttl_s=recording.lease_ttl_s,
            renew_every_s=recording.lease_renew_every_s,
        ) as held,
    ):
        yield db, held
