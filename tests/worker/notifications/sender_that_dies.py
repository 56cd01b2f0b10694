"""Send what is due, and die by SIGKILL at a given call: arguments STEP and CALL.

A step is one side of one call that sending makes; only the fault is injected here.
"""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from worker import env
from worker.clients import http2
from worker.notifications import deliveries, outbox
from worker.tasks import apns_worker
from worker.tasks.world import world

STEPS: dict[str, tuple[Any, str, str]] = {
    "before the claim": (outbox, "claim", "before"),
    "claimed, not committed": (outbox, "claim", "after"),
    "claimed, not sent": (http2.Connection, "exchange", "before"),
    "half sent": (http2.Connection, "_put", "after"),
    "sent, not marked": (http2.Connection, "exchange", "after"),
    "marked, not committed": (outbox, "mark", "after"),
    "committed, not said": (deliveries, "append", "before"),
    "said": (deliveries, "append", "after"),
}


def arm(step: str, call: int) -> None:
    """Wrap the step's function so that its ``call``-th call is the last."""
    owner, name, side = STEPS[step]
    whole: Callable[..., Any] = getattr(owner, name)
    calls = 0

    def wrapped(*args: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call and side == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = whole(*args, **named)
        if calls == call and side == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, wrapped)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        arm(sys.argv[1], int(sys.argv[2]))
    settings = env.settings()
    apns_worker.push_due(world(settings.policy(), settings, lambda *_: None))
