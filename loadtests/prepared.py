"""Rows of the outbox for a publisher: promises made before a run, hinted at in it.

What a publisher hands to the senders must be real, or they would find nothing to send.
Each group's rows are due when its message is: the sweep leaves them alone before.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg

from loadtests.assignment import Assignment
from loadtests.rig.population import token_of, user_of
from worker.policy import POLICY

DEVICES = 1_000
"""Phones of the publisher; their numbers follow those of the commuters."""

_ROWS = """
copy app.notifications (
    user_id, device_id, kind, route_id, stop_id, trip_id, service_date, delay_s,
    collapse_id, bucket, published_at, matched_at, expires_at, due_at, hinted_at
) from stdin
"""
_IDS = """
select id from app.notifications where collapse_id like 'group/%' order by id
"""


def prepare(admin_url: str, run: Assignment) -> tuple[int, ...]:
    """Insert a notification for each that the run's groups hold; their ids, in order.

    Needs a role that row-level security does not bind.
    """
    if not run.scenario.groups():
        return ()
    with psycopg.connect(admin_url) as db:
        devices = _devices(db, run)
        with db.cursor() as cursor, cursor.copy(_ROWS) as copy:
            for row in _rows(run, devices):
                copy.write_row(row)
        ids = tuple(row[0] for row in db.execute(_IDS))
        db.commit()
        db.autocommit = True
        db.execute("analyze app.notifications")
    return ids


def _devices(db: psycopg.Connection, run: Assignment) -> list[tuple[str, int]]:
    """(user, device) of the publisher's phones, which have no favorite."""
    seed, first = run.scenario.seed, run.scenario.users
    riders = range(first, first + DEVICES)
    users = [str(user_of(seed, rider)) for rider in riders]
    db.execute(
        "insert into auth.users (id) select unnest(%s::uuid[]) on conflict do nothing",
        [users],
    )
    return db.execute(
        "insert into app.devices (user_id, token) "
        "select * from unnest(%s::uuid[], %s::text[]) returning user_id::text, id",
        [users, [token_of(seed, rider) for rider in riders]],
    ).fetchall()


def _rows(
    run: Assignment, devices: list[tuple[str, int]]
) -> Iterator[tuple[object, ...]]:
    number = 0
    for group, (at_s, size) in enumerate(run.scenario.groups()):
        at = datetime.fromtimestamp(run.starts_at + at_s, UTC)
        expires_at = at + timedelta(seconds=POLICY.push.expiry_s)
        for _ in range(size):
            user, device = devices[number % len(devices)]
            yield (
                *(user, device, "delay", run.routes[group % len(run.routes)]),
                *("", f"group-{group}", at.date(), run.scenario.delay_s),
                *(f"group/{number}", 0, at, at, expires_at, at, at),
            )
            number += 1
