"""What happens to the workers themselves: deploys, deaths, a broker out of reach."""

from collections.abc import Generator, Sequence
from typing import Any

from simpy import Environment, Event, Timeout

from simulation.engine.broker import Broker
from simulation.engine.pool import Pool
from simulation.engine.settling import Settling, Stop
from simulation.tables import Window

Steps = Generator[Event, Any, None]


def disrupt(
    env: Environment,
    window: Window,
    broker: Broker,
    pools: Sequence[Pool],
    settling: Settling,
) -> Steps:
    """Let one window of the tables happen to broker and workers.

    A deploy is a soft shutdown: nothing more is taken, what runs has some seconds to
    end, then it is cut short and unacknowledged messages are given back. A kill gives
    back nothing. Others are there at the window's end.
    https://docs.celeryq.dev/en/stable/userguide/workers.html#soft-shutdown
    """
    yield Timeout(env, max(0.0, window.start_at - env.now))
    if window.kind == "redis_cut":
        broker.cut()
        yield Timeout(env, window.end_at - env.now)
        broker.mend()
        return
    stop: Stop = "killed"
    for pool in pools:
        pool.taking = False
    if window.kind == "deploy":
        stop = "terminated"
        yield Timeout(env, broker.row.soft_shutdown_s)
    for pool in pools:
        for child in pool.children:
            child.stop(stop, max(env.now, window.end_at))
        for message in pool.abandoned():
            settling.give_back(message, stop)
    yield Timeout(env, max(0.0, window.end_at - env.now))
    for pool in pools:
        pool.taking = True
        pool.refill()
