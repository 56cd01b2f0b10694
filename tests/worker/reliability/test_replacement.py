"""A child that has ended is looked for all the time, on Celery's own event loop."""

import os
import time
from types import SimpleNamespace

from celery import Celery
from kombu.asynchronous import Hub
from kombu.asynchronous.timer import Timer

from worker.policy import POLICY, apply_settings
from worker.reliability import replacement

OFTEN = apply_settings(POLICY, ["broker.child_look_s=0.01"])


def step_of(app, worker):
    (made,) = [each for each in app.steps["worker"] if "replacement" in each.name]
    return made(worker)


def test_a_pool_looks_again_and_again_and_a_restarted_consumer_adds_no_looks():
    looked = []
    pool = SimpleNamespace(maintain_pool=lambda: looked.append(os.getpid()))
    worker = SimpleNamespace(pool=SimpleNamespace(_pool=pool), steps=[])
    app = Celery("here", set_as_current=False)
    replacement.install(app, OFTEN)
    hub = Hub(timer=Timer())
    step = step_of(app, worker)

    for _ in range(2):  # a consumer that lost its connection registers again
        step.register_with_event_loop(worker, hub)

    assert len(hub.timer) == 1
    give_up_at = time.monotonic() + 10
    while len(looked) < 3 and time.monotonic() < give_up_at:
        hub.fire_timers()
    assert len(looked) >= 3
    hub.close()
