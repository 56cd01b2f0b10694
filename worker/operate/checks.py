"""Checks: would this worker do its work with these servers, settings and rights?

Each says in one sentence what is so, and what to do where it is not good.
"""

import ipaddress
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from redis import Redis

from worker import migrate
from worker.clients.postgres import Connection
from worker.errors import WorkerError
from worker.operate.show import Table
from worker.policy import Policy

_MIB = 2**20


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One thing that was looked at; ``fix`` is empty while it is good."""

    name: str
    ok: bool
    detail: str
    fix: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """What is checked: the policy as it runs, ways to the servers, given variables.

    ``redis`` and ``postgres`` may raise: a check then says so. ``postgres`` takes the
    name of a role. ``given`` tells of each variable whether it has a value.
    """

    policy: Policy
    policy_set: str
    redis_url: str | None
    database_url: str | None
    redis: Callable[[], Redis]
    postgres: Callable[[str], AbstractContextManager[Connection]]
    given: Mapping[str, bool]


def every(subject: Subject) -> list[Check]:
    """All checks, in the order of the table; a failing one does not stop the next."""
    return [check for look in _LOOKS for check in _looked(look, subject)]


def as_table(checks: list[Check]) -> Table:
    """The checks for a person."""
    return Table(
        columns=("Check", "OK", "What is so", "What to do"),
        rows=[(each.name, each.ok, each.detail, each.fix or None) for each in checks],
    )


def policy_set(subject: Subject) -> Iterator[Check]:
    """Whether the numbers are the deployed ones; a what-if is never quiet."""
    if subject.policy_set:
        yield Check(
            name="policy",
            ok=True,
            detail=f"NOT AS DEPLOYED: POLICY_SET varies {subject.policy_set}",
            fix="unset POLICY_SET when the what-if is over",
        )
    else:
        yield Check(name="policy", ok=True, detail="as deployed")


def redis_server(subject: Subject) -> Iterator[Check]:
    """Reachable, never evicting, with room."""
    told: Any = subject.redis().info()
    yield Check(name="redis", ok=True, detail=f"answers, {told['redis_version']}")
    policy = str(told.get("maxmemory_policy", "unknown"))
    yield Check(
        name="redis_eviction",
        ok=policy == "noeviction",
        detail=f"maxmemory-policy is {policy}",
        fix=""
        if policy == "noeviction"
        else "set maxmemory-policy to noeviction: any other may evict waiting messages",
    )
    used, most = int(told["used_memory"]), int(told.get("maxmemory") or 0)
    full = bool(most) and used > 0.8 * most
    yield Check(
        name="redis_memory",
        ok=not full,
        detail=f"{used / _MIB:.1f} MiB used of {_or_unlimited(most)}",
        fix="give Redis more memory: a full one refuses every publish" if full else "",
    )


def redis_link(subject: Subject) -> Iterator[Check]:
    """Encrypted, or private."""
    if subject.redis_url is None:
        return
    parts = urlsplit(subject.redis_url)
    safe = parts.scheme == "rediss" or _is_private(parts.hostname)
    yield Check(
        name="redis_link",
        ok=safe,
        detail=f"{parts.scheme}:// to {'a private' if safe else 'a public'} host"
        if parts.scheme == "redis"
        else "encrypted",
        fix="" if safe else "use rediss://, or the platform's private address",
    )


def visibility(subject: Subject) -> Iterator[Check]:
    """Hidden longer than any attempt may take, and nothing hidden for too long."""
    broker, tasks = subject.policy.broker, subject.policy.tasks.values()
    longest_s = max(task.time_limit_s for task in tasks)
    countdown_s = max(task.longest_countdown_s for task in tasks)
    index = f"{broker.key_prefix}unacked_index"
    redis: Any = subject.redis()
    oldest = redis.zrange(index, 0, 0, withscores=True)
    seconds, _ = redis.time()
    hidden_s = seconds - oldest[0][1] if oldest else 0.0
    grace_s = 10 * broker.restore_interval_s
    ok = hidden_s <= broker.visibility_timeout_s + grace_s
    yield Check(
        name="visibility_timeout",
        ok=ok,
        detail=(
            f"{broker.visibility_timeout_s} s, above hard limit {longest_s} s and "
            f"countdown {countdown_s} s; longest hidden now {hidden_s:.0f} s"
        ),
        fix=""
        if ok
        else "start the pools: no worker is there to restore what a dead one held",
    )


def database_link(subject: Subject) -> Iterator[Check]:
    """Verified, or private."""
    if subject.database_url is None:
        return
    parts = urlsplit(subject.database_url)
    mode = parse_qs(parts.query).get("sslmode", ["prefer"])[-1]
    safe = mode == "verify-full" or _is_private(parts.hostname)
    yield Check(
        name="database_link",
        ok=safe,
        detail=f"sslmode={mode}, "
        f"{'private' if _is_private(parts.hostname) else 'public'} host",
        fix=""
        if safe
        else "add sslmode=verify-full and the server's sslrootcert to DATABASE_URL",
    )


def database_roles(subject: Subject) -> Iterator[Check]:
    """Each duty can be taken on, and the login is no superuser."""
    for role in subject.policy.database.roles.values():
        with subject.postgres(role.name) as db:
            above = db.execute(
                "select rolsuper or rolbypassrls from pg_roles "
                "where rolname = session_user"
            ).fetchone()
    unsafe = above != (False,)
    yield Check(
        name="database_login",
        ok=not unsafe,
        detail="a superuser, or bypasses row-level security"
        if unsafe
        else "takes on every duty, no superuser",
        fix="give DATABASE_URL a login of its own (transit_worker)" if unsafe else "",
    )


def migrations(subject: Subject) -> Iterator[Check]:
    """Every migration is applied."""
    with subject.postgres("upkeep") as db:
        missing = migrate.pending(db)
    yield Check(
        name="migrations",
        ok=not missing,
        detail=f"missing: {', '.join(missing)}" if missing else "up to date",
        fix="run `python -m worker migrate`" if missing else "",
    )


def database_size(subject: Subject) -> Iterator[Check]:
    """Below the size at which the database turns read-only."""
    with subject.postgres("upkeep") as db:
        row = db.execute("select pg_database_size(current_database())").fetchone()
    used_mib = int(str(row[0] if row else 0)) / _MIB
    limit_mib = subject.policy.database.size_limit_mib
    full = used_mib > limit_mib
    yield Check(
        name="database_size",
        ok=not full,
        detail=f"{used_mib:.0f} MiB of {limit_mib} MiB",
        fix="lower recording.records_kept_days, or move to a larger plan"
        if full
        else "",
    )


def variables(subject: Subject) -> Iterator[Check]:
    """Every variable that a task cannot do without has a value."""
    missing = [name for name, given in subject.given.items() if not given]
    yield Check(
        name="variables",
        ok=not missing,
        detail=f"not set: {', '.join(missing)}" if missing else "all set",
        fix="set them; `python -m worker table environment` says what each is"
        if missing
        else "",
    )


_LOOKS: tuple[Callable[[Subject], Iterator[Check]], ...] = (
    *(policy_set, variables, redis_server, redis_link, visibility),
    *(database_link, database_roles, migrations, database_size),
)


def _looked(
    look: Callable[[Subject], Iterator[Check]], subject: Subject
) -> Iterator[Check]:
    try:
        yield from look(subject)
    except WorkerError as error:
        yield Check(
            name=look.__name__,
            ok=False,
            detail=str(error),
            fix="start the server, or correct its address",
        )


def _is_private(host: str | None) -> bool:
    """Loopback, a private network, or the platform's own name for one."""
    if not host or host == "localhost" or host.endswith((".internal", ".local")):
        return True
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return "." not in host


def _or_unlimited(size: int) -> str:
    return f"{size / _MIB:.0f} MiB" if size else "no limit"
