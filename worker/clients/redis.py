"""Redis for application keys: timeouts on every call, failures named.

A failure of the server or of the link leaves this client as TransientError, a refused
login as PermanentError, and neither names the password. What is left as redis-py raised
it (a wrong type, an unknown script) is a mistake in our own code.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.client import Pipeline
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ConnectionError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TimeoutError,
)
from redis.retry import Retry

from worker.errors import PermanentError, TransientError, UsageError
from worker.policy import Policy

_REFUSED = (AuthenticationError, AuthorizationError, NoPermissionError)
_PASSES = (
    BusyLoadingError,
    ConnectionError,
    OutOfMemoryError,
    ReadOnlyError,
    TimeoutError,
)

_DISK_FULL = "MISCONF"
"""Redis takes no writes while it cannot save what it holds."""


def connect(url: str, *, policy: Policy) -> redis.Redis:
    """A client with a pool of its own; it connects when it is first used.

    Safe to make before a fork: the pool notices another process. Raises UsageError
    when the address turns certificate checks off.
    """
    query = parse_qs(urlsplit(url).query)
    if query.get("ssl_cert_reqs", ["required"])[-1].lower() != "required":
        raise UsageError(
            "REDIS_URL turns certificate checks off (ssl_cert_reqs); remove that part: "
            "anyone on the way could read and write every key"
        )
    broker = policy.broker
    return _Client.from_url(
        url,
        socket_timeout=broker.keys_timeout_s,
        socket_connect_timeout=broker.keys_timeout_s,
        socket_keepalive=True,
        health_check_interval=broker.health_check_interval_s,
        # One immediate second try heals a connection that the server closed while it
        # was idle; longer waits belong to the task's own retry, and a server that is
        # silent is not waited for twice.
        retry=Retry(NoBackoff(), 1, supported_errors=(ConnectionError,)),
        client_name="worker",
    )


class _Pipeline(Pipeline):
    def execute(self, raise_on_error: bool = True) -> list[Any]:
        with _named("a pipeline"):
            return super().execute(raise_on_error)


class _Client(redis.Redis):
    def execute_command(self, *args: Any, **options: Any) -> Any:
        with _named(str(args[0])):
            return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]

    def pipeline(
        self, transaction: bool = True, shard_hint: str | None = None
    ) -> Pipeline:
        return _Pipeline(
            self.connection_pool, self.response_callbacks, transaction, shard_hint
        )


@contextmanager
def _named(command: str) -> Iterator[None]:
    try:
        yield
    except _REFUSED as error:
        raise PermanentError(
            f"Redis refused {command} ({type(error).__name__}); check the user and the "
            "password of REDIS_URL"
        ) from None
    except _PASSES as error:
        raise _failed(command, error) from error
    except ResponseError as error:
        if str(error).startswith(_DISK_FULL):
            raise _failed(command, error) from error
        raise


def _failed(command: str, error: Exception) -> TransientError:
    line = (str(error).splitlines() or [""])[0].rstrip(".")
    return TransientError(f"Redis failed at {command}: {type(error).__name__}: {line}")
