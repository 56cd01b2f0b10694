"""A Celery app that is watched closely; ``DEAF`` makes its worker stop listening.

Run by a real worker: ``celery -A watched_app worker`` with this folder on PYTHONPATH.
"""

import os
from functools import cache

from celery import Celery
from celery.signals import worker_ready

from worker import celeryconfig
from worker.clients import redis as redis_client
from worker.policy import POLICY, apply_settings
from worker.reliability import watchdog
from worker.telemetry import gauges

POLICY_HERE = apply_settings(
    POLICY,
    [
        "recording.watchdog_period_s=1",
        "recording.wedged_after_s=3",
        "recording.gauge_period_s=1",
    ],
)


@cache
def _client(_pid):
    return redis_client.connect(os.environ["REDIS_URL"], policy=POLICY_HERE)


def connected():
    return _client(os.getpid())


app = Celery("watched")
app.conf.update(celeryconfig.settings(POLICY_HERE, os.environ["REDIS_URL"]))
app.conf.beat_schedule = {}
watchdog.install(app, POLICY_HERE, connected)
gauges.install(app, POLICY_HERE, connected)


@app.task(name="alert_matcher")
def alert_matcher():
    connected().incr("ran")


@worker_ready.connect
def _ready(sender, **_):
    if os.environ.get("DEAF"):
        sender.task_consumer.cancel()
    connected().set("ready", "1")
