"""Which machine an address leads to, as the client that is given it reads it."""

from urllib.parse import urlsplit

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict
from redis.connection import parse_url

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def strangers(url: str) -> list[str]:
    """Hosts other than this machine that an address of HTTP, Redis or PostgreSQL may
    lead to. Raises ValueError when it is none of these.
    """
    try:
        hosts = _hosts(url)
    except (ValueError, psycopg.ProgrammingError):
        # What they say quotes what may be a password.
        raise ValueError("it cannot be read") from None
    return [host for host in hosts if host not in LOOPBACK and host[:1] != "/"]


def _hosts(url: str) -> list[str]:
    scheme = url.partition(":")[0]
    if scheme in ("http", "https"):
        return [urlsplit(url).hostname or "no host"]
    if scheme in ("redis", "rediss", "unix"):
        found = parse_url(url)  # type: ignore[no-untyped-call]
        return [str(found.get("host") or "localhost")]
    return _of_postgres(url)


def _of_postgres(url: str) -> list[str]:
    """libpq goes to ``hostaddr`` whatever ``host`` says, tries each of several, takes
    what a service file says, and of all that an address leaves open what its own
    environment says (PGHOSTADDR and the like): its defaults hold that.
    """
    left_open = {
        option.keyword.decode(): option.val.decode()
        for option in pq.Conninfo.get_defaults()
        if option.val
    }
    given = {**left_open, **conninfo_to_dict(url)}
    named = (given.get(name) for name in ("host", "hostaddr"))
    hosts = [host for text in named if text for host in str(text).split(",")]
    if given.get("service"):
        hosts.append(f"the service '{given['service']}'")
    return [host or "no host" for host in hosts or [""]]
