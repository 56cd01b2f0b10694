"""Whom a load test may touch: this machine, unless its user says that a host is his."""

from loadtests.rig.loopback import strangers
from worker.env import settings
from worker.errors import UsageError

ADMIN_URL = "RIG_ADMIN_DATABASE_URL"


def refuse_foreign(what: str, url: str, *, i_own_this_host: bool) -> None:
    """Raise UsageError when the address ``what`` leads to another machine."""
    try:
        found = strangers(url)
    except ValueError as error:
        raise UsageError(f"{what} is not an address: {error}") from None
    if found and not i_own_this_host:
        raise UsageError(
            f"{what}: {found[0]} is not this machine: load tests speak to loopback "
            "only, and empty the tables of riders and notifications; pass "
            "--i-own-this-host if that host is yours to load"
        )


def refuse_foreign_servers(*, i_own_this_host: bool, admin_url: str = "") -> None:
    """The same for REDIS_URL and DATABASE_URL, where the environment has them: what a
    publisher writes to and a reader asks; and for ``admin_url``, where it is given,
    which says when pushes were matched. Also raises what ``worker.env`` raises.
    """
    here = settings()
    servers = {"REDIS_URL": here.redis_url, "DATABASE_URL": here.database_url}
    if admin_url:
        refuse_foreign(ADMIN_URL, admin_url, i_own_this_host=i_own_this_host)
    for what, url in servers.items():
        if url is not None:
            refuse_foreign(
                what, url.get_secret_value(), i_own_this_host=i_own_this_host
            )
