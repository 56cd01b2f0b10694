"""Real Valkey and real PostgreSQL, for as long as a ``with`` block lasts."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict

from loadtests.rig.folder import Home, RigError
from loadtests.rig.postgres import prepare, start_postgres
from loadtests.rig.valkey import answers, start_valkey


@dataclass(frozen=True, kw_only=True, slots=True)
class Servers:
    """Addresses of the servers; ``database_url`` is never a superuser's."""

    redis_url: str
    database_url: str = field(repr=False)
    admin_database_url: str = field(repr=False)
    home: Home

    @property
    def folder(self) -> Path:
        """Removed at the end, with everything in it."""
        return self.home.folder


@contextmanager
def servers(
    *, environ: Mapping[str, str] = os.environ, i_own_this_host: bool = False
) -> Iterator[Servers]:
    """Start both servers, or take those of REDIS_URL and DATABASE_URL.

    A given database is prepared through DATABASE_ADMIN_URL or RIG_ADMIN_DATABASE_URL
    if set. Everything ends with the block, and with this process however it dies.
    Raises RigError, with one sentence, when a server is missing, does not start, does
    not answer, or is not on this machine (unless ``i_own_this_host``).
    """
    redis_url = environ.get("REDIS_URL", "")
    database_url = environ.get("DATABASE_URL", "")
    if not i_own_this_host:
        _refuse_strangers("REDIS_URL", redis_url and _redis_host_of(redis_url))
        _refuse_strangers("DATABASE_URL", database_url and _host_of(database_url))
    if redis_url and not answers(redis_url):
        raise RigError(
            f"Redis at {_redis_host_of(redis_url)} (REDIS_URL) does not answer; "
            "start it, or unset REDIS_URL to use the embedded one"
        )
    home = Home()
    try:
        admin_url = (
            (
                environ.get("DATABASE_ADMIN_URL")
                or environ.get("RIG_ADMIN_DATABASE_URL")
                or database_url
            )
            if database_url
            else start_postgres(home)
        )
        yield Servers(
            redis_url=redis_url or start_valkey(home),
            database_url=prepare(admin_url, database_url),
            admin_database_url=admin_url,
            home=home,
        )
    finally:
        home.close()


def _redis_host_of(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:  # a bracket that is not closed
        parts = urlsplit("")
    if parts.scheme not in ("redis", "rediss"):
        raise RigError(
            "REDIS_URL is not a Redis address: redis://HOST:PORT/0 is one; unset it "
            "to use the embedded server"
        )
    return parts.hostname or "localhost"


def _host_of(url: str) -> str:
    try:
        found = conninfo_to_dict(url)
    except psycopg.ProgrammingError as error:
        raise RigError(f"DATABASE_URL is not a PostgreSQL address: {error}") from None
    return str(found.get("host") or "localhost")


def _refuse_strangers(variable: str, host: str | None) -> None:
    if not host or host in ("localhost", "127.0.0.1", "::1") or host.startswith("/"):
        return
    raise RigError(
        f"{variable} points to {host}: load tests speak to this machine only; pass "
        "--i-own-this-host if that host is yours to load"
    )
