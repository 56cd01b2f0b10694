"""Upkeep: what a lost message, a full stream or an old row leaves to be done."""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from celery.exceptions import SoftTimeLimitExceeded

from worker import keys
from worker.clients import broker
from worker.clients.postgres import Connection
from worker.errors import TransientError
from worker.notifications import sweep
from worker.policy.recording import UpkeepStep
from worker.realtime import read
from worker.records import Detail
from worker.tasks.gtfs_static_sync import LEASE
from worker.tasks.shell import SLOT, task
from worker.tasks.world import World
from worker.telemetry import flush, gauges, retention

log = logging.getLogger(__name__)


@task("upkeep", once_per=SLOT)
def upkeep(world: World) -> Detail:
    """Take every step that is due; a step that fails does not stop the next.

    A failed step is due again at the next tick. Raises TransientError in the end when
    one has failed.
    """
    done, failed = Detail(), []
    for row in world.policy.upkeep.values():
        slot = int(time.time()) // row.period_s
        if _last_slot(world, row) == slot:
            continue
        try:
            done |= STEPS[row.name](world, row)
            key = keys.upkeep_step(row.name)
            world.redis.set(key, slot, ex=2 * row.period_s)
        except SoftTimeLimitExceeded:
            raise
        except Exception as error:
            log.exception("step failed", extra={"task": "upkeep", "step": row.name})
            failed.append(f"{row.name}: {error}")
    if failed:
        raise TransientError("; ".join(failed))
    return done


def _last_slot(world: World, row: UpkeepStep) -> int | None:
    slot = world.redis.get(keys.upkeep_step(row.name))
    return None if slot is None else int(slot)


def _sweep_outbox(world: World, row: UpkeepStep) -> Detail:
    with world.postgres("upkeep") as db:
        _limit_statements(db, row)
        return sweep.sweep_outbox(db, world.redis, world.publish, world.policy)


def _reconcile_sync(world: World, row: UpkeepStep) -> Detail:
    """Ask for a sync when the timetable is overdue and none is waiting or running."""
    from worker.timetable import versions  # brings numpy along, and is hourly

    tick = world.policy.tasks["gtfs_static_sync"]
    with world.postgres("upkeep") as db:
        _limit_statements(db, row)
        every = timedelta(seconds=tick.longest_silence_s or 0)
        due = versions.is_due(db, datetime.now(UTC), every=every)
    waiting = broker.queue_depth(world.redis, world.policy.broker, tick.queue)
    if not due or waiting or world.redis.exists(keys.lease(LEASE)):
        return Detail(sync_due=due)
    world.publish(tick.name)
    return Detail(sync_due=due, sync_asked=True)


def _gauges(world: World, row: UpkeepStep) -> Detail:
    """Queues, successes, pushes, feeds; processes are sampled by their parents."""
    now, service_now = time.time(), world.now().timestamp()
    samples = gauges.of_queues(world.redis, world.policy, now=now)
    samples += gauges.of_tasks(world.redis, world.policy, now=now)
    samples += gauges.of_pushes(world.redis, now=now)
    samples += [
        gauges.sample(now, "feed_age_s", name, held.age_s(service_now))
        for name, held in read.freshness(world.redis).items()
    ]
    gauges.append(world.redis, world.policy, samples)
    return Detail(samples=len(samples))


def _flush_records(world: World, row: UpkeepStep) -> Detail:
    """Batches until nothing is new or the budget is spent."""
    stop_at = time.monotonic() + row.budget_s
    kept, moved = world.policy.recording, 0
    with world.postgres("upkeep") as db:
        _limit_statements(db, row)
        for move in (flush.flush_records, flush.flush_samples):
            while count := move(world.redis, db, kept):
                moved += count
                if count < kept.flush_batch or time.monotonic() > stop_at:
                    break
        letters = flush.flush_dead_letters(world.redis, db)
        lost = flush.close_lost(db, kept, now=time.time())
    return Detail(flushed=moved, letters=letters, lost=lost)


def _retention(world: World, row: UpkeepStep) -> Detail:
    with world.postgres("upkeep") as db:
        _limit_statements(db, row)
        kept, pushed = world.policy.recording, world.policy.matching
        forgotten = retention.forget(db, kept)
        forgotten += sweep.forget(
            db, kept_days=pushed.kept_days, limit=kept.forget_batch
        )
        return Detail(forgotten=forgotten)


def _limit_statements(db: Connection, row: UpkeepStep) -> None:
    db.execute(
        "select set_config('statement_timeout', %s, false)",
        (str(int(row.budget_s * 1000)),),
    )


STEPS: dict[str, Callable[[World, UpkeepStep], Detail]] = {
    "sweep_outbox": _sweep_outbox,
    "gauges": _gauges,
    "flush_records": _flush_records,
    "reconcile_sync": _reconcile_sync,
    "retention": _retention,
}
"""What each row of ``policy.upkeep`` does; a test holds both equal."""
