"""A thread beside a worker's consumer, in its parent process.

The parent never runs a task, so the thread sees a worker whose children are all busy,
dead or deaf.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from celery import Celery, bootsteps

from worker.errors import TransientError

log = logging.getLogger(__name__)


def beside(app: Celery, name: str, period_s: int, act: Callable[[Any], None]) -> None:
    """Call ``act(worker)`` at each multiple of ``period_s`` of the real clock.

    ``worker`` is Celery's WorkController. Workers of all containers act at the same
    moment, so that their samples can be added. A TransientError waits for the next
    time; any other error is logged and the thread goes on.
    """

    class Beside(bootsteps.StartStopStep):  # type: ignore[misc]
        requires = frozenset({"celery.worker.components:Pool"})

        def __init__(self, worker: Any, **options: Any) -> None:
            super().__init__(worker, **options)
            self.leaving = threading.Event()

        def start(self, worker: Any) -> None:
            threading.Thread(
                target=self.run, args=(worker,), name=name, daemon=True
            ).start()

        def stop(self, worker: Any) -> None:
            self.leaving.set()

        def terminate(self, worker: Any) -> None:
            self.leaving.set()

        def run(self, worker: Any) -> None:
            while not self.leaving.wait(period_s - time.time() % period_s):
                try:
                    act(worker)
                except TransientError as error:
                    log.warning("skipped", extra={"act": name, "error": str(error)})
                except Exception:
                    log.exception("failed", extra={"act": name})

    Beside.name = f"worker.{name}"
    app.steps["worker"].add(Beside)
