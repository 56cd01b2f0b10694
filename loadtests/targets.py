"""Whom a load test may touch: this machine, unless its user says that a host is his."""

from urllib.parse import urlsplit

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
