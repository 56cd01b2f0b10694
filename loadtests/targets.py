"""Whom a load test may touch: this machine, unless its user says that a host is his."""

from urllib.parse import urlsplit

from worker.env import settings
from worker.errors import UsageError

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def refuse_foreign(what: str, url: str, *, i_own_this_host: bool) -> None:
    """Raise UsageError when the address ``what`` leads to another machine."""
    host = urlsplit(url).hostname or ""
    if host not in LOOPBACK and not i_own_this_host:
        raise UsageError(
            f"{what}: {host or 'no host'} is not this machine: load tests speak to "
            "loopback only; pass --i-own-this-host if that host is yours to load"
        )


def refuse_foreign_servers(*, i_own_this_host: bool) -> None:
    """The same for REDIS_URL and DATABASE_URL, where the environment has them: what a
    publisher writes to and a reader asks. Also raises what ``worker.env`` raises.
    """
    here = settings()
    servers = {"REDIS_URL": here.redis_url, "DATABASE_URL": here.database_url}
    for what, url in servers.items():
        if url is not None:
            refuse_foreign(
                what, url.get_secret_value(), i_own_this_host=i_own_this_host
            )
