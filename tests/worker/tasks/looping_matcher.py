"""The deployed app, whose matcher loops while Redis says how under ``loops``.

Run by a real worker: ``celery -A looping_matcher worker`` with this folder on
PYTHONPATH. Only the bug is injected here.
"""

import os
import time
from typing import Any

import redis

from worker.app import app
from worker.notifications import match

LOOPS = "loops"
whole = match.insert_notifications


def insert_notifications(db: Any, *args: Any, **named: Any) -> match.Matched:
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        how = client.get(LOOPS)
    if how is None:
        return whole(db, *args, **named)
    # What the statement holds while it works.
    db.execute("select pg_advisory_xact_lock(%s)", (match._LOCK,))
    if how == b"in SQL":
        db.execute("select count(*) from generate_series(1, 1000000000000)")
    while True:
        try:
            time.sleep(60)
        except Exception:  # the bug: deaf to the soft limit
            continue


match.insert_notifications = insert_notifications
__all__ = ["app"]
