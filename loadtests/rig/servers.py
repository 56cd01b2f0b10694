"""Real Valkey and real PostgreSQL, for as long as a ``with`` block lasts."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from loadtests.rig.folder import Home, RigError
from loadtests.rig.loopback import strangers
from loadtests.rig.postgres import prepare, start_postgres
from loadtests.rig.valkey import answers, start_valkey


@dataclass(frozen=True, kw_only=True, slots=True)
class Servers:
    """Addresses of the servers; ``database_url`` is never a superuser's. ``given``: the
    variables that named one, which is not the rig's own.
    """

    redis_url: str
    database_url: str = field(repr=False)
    admin_database_url: str = field(repr=False)
    home: Home
    given: tuple[str, ...] = ()

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
    for variable in _ADDRESSES:
        if environ.get(variable):
            _check(variable, environ[variable], foreign=i_own_this_host)
    if redis_url and not answers(redis_url):
        raise RigError(
            f"Redis at {urlsplit(redis_url).hostname} (REDIS_URL) does not answer; "
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
            given=tuple(
                variable
                for variable, url in (
                    ("REDIS_URL", redis_url),
                    ("DATABASE_URL", database_url),
                )
                if url
            ),
        )
    finally:
        home.close()


_ADDRESSES = {
    "REDIS_URL": "Redis",
    "DATABASE_URL": "PostgreSQL",
    "DATABASE_ADMIN_URL": "PostgreSQL",
    "RIG_ADMIN_DATABASE_URL": "PostgreSQL",
}


def _check(variable: str, url: str, *, foreign: bool) -> None:
    what = _ADDRESSES[variable]
    try:
        if (urlsplit(url).scheme in ("redis", "rediss")) != (what == "Redis"):
            raise ValueError("it is of another kind of server")
        found = strangers(url)
    except ValueError as error:
        like = "redis://HOST:PORT/0" if what == "Redis" else "postgresql://..."
        raise RigError(
            f"{variable} is not a {what} address, as {like} is one: {error}; unset it "
            "to use the embedded server"
        ) from None
    if found and not foreign:
        raise RigError(
            f"{variable} leads to {found[0]}: load tests speak to this machine only, "
            "and empty the tables of riders and notifications; pass "
            "--i-own-this-host if that host is yours to load"
        )
