"""A run that its own world ends: of it nothing is kept, and one sentence says so.

Redis, PostgreSQL or a stand-in may die at any moment: while workers start, in the run,
or while it is gathered. Whoever waits for one of them hears it as an error of its
client, which means nothing to who typed the command.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import redis

from loadtests.control import SwitchboardError
from worker.errors import WorkerError

FAILED = 1
"""Exit code of a run, or a series, that the world has ended: the use was good."""

_SERVERS = (
    redis.RedisError,
    psycopg.OperationalError,
    psycopg.InterfaceError,
    SwitchboardError,
)


class RunCutError(WorkerError):
    """The stand-in world failed before, in or after a run: nothing of it is kept."""


@contextmanager
def in_a_whole_world(when: str) -> Iterator[None]:
    """Raise RunCutError, which says ``when``, for a server that does not answer."""
    try:
        yield
    except _SERVERS as error:
        said = " ".join(str(error).split())
        raise RunCutError(
            f"a server of the stand-in world failed {when}, of which nothing can be "
            f"kept; run it again: {said}"
        ) from None
