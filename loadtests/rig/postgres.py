"""The rig's PostgreSQL: our own cluster, on TCP, and no superuser for the worker.

Durability is off (``fsync``, ``synchronous_commit``, ``full_page_writes``): a power cut
would lose a database that nobody keeps, and commits cost less than on any real disk.
"""

import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from psycopg.conninfo import make_conninfo

from loadtests.rig.binaries import Postgres, postgres_programs
from loadtests.rig.folder import START_ATTEMPTS, Home, RigError, comes_up, free_port

WORKER_ROLE = "transit_worker"
DATABASE = "transit"

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    # As on Supabase's smallest computes:
    # https://supabase.com/docs/guides/platform/compute-and-disk
    "max_connections": "60",
    "shared_buffers": "128MB",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "timezone": "UTC",
    "log_min_messages": "error",
}

_SUPABASE_ROLES = (
    ("anon", "nologin"),
    ("authenticated", "nologin"),
    ("service_role", "nologin bypassrls"),
)

# What Supabase brings and our migrations refer to, no more of it than that.
# https://supabase.com/docs/guides/database/postgres/row-level-security
_AUTH = """
create schema if not exists auth;
create table if not exists auth.users (
    id uuid primary key default gen_random_uuid(),
    email text,
    created_at timestamptz not null default now()
);
create or replace function auth.uid() returns uuid language sql stable as $body$
    select coalesce(
        nullif(current_setting('request.jwt.claim.sub', true), ''),
        nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'
    )::uuid
$body$;
grant usage on schema auth to anon, authenticated, service_role;
"""


def start_postgres(home: Home, programs: Postgres | None = None) -> str:
    """Make a database cluster and start it on a free port; the superuser's URL.

    ``programs`` are those of another version than the rig's own.
    """
    found = programs or postgres_programs(home.folder)
    cluster = home.folder / "cluster"
    password = secrets.token_hex(16)
    _initialise(found.programs / "initdb", cluster, password, found.user)
    for _ in range(START_ATTEMPTS):
        port = free_port()
        settings = {**SETTINGS, "port": str(port)}
        home.start(
            "postgres",
            [
                *(str(found.programs / "postgres"), "-D", str(cluster)),
                *(part for k, v in settings.items() for part in ("-c", f"{k}={v}")),
            ],
            user=found.user,
            env=_plain_environment(),
        )
        url = f"postgresql://postgres:{password}@127.0.0.1:{port}"
        if comes_up(home, "postgres", partial(_answers, f"{url}/postgres")):
            with psycopg.connect(f"{url}/postgres", autocommit=True) as db:
                db.execute(f"create database {DATABASE}".encode())
            return f"{url}/{DATABASE}"
    raise RigError(f"PostgreSQL did not start: {home.log_tail('postgres')}")


def prepare(admin_url: str, given: str = "") -> str:
    """Stub what Supabase brings; the URL for the worker, never a superuser's.

    ``given`` is DATABASE_URL when the server is not ours: it is left as it is, unless
    it is the superuser's own.
    """
    try:
        with psycopg.connect(admin_url, autocommit=True, connect_timeout=5) as db:
            if not _is_superuser(db):
                return given or admin_url
            for role, words in _SUPABASE_ROLES:
                _ensure_role(db, role, words)
            db.execute(_AUTH.encode())
            if given and given != admin_url:
                return given
            password = secrets.token_hex(16)
            _ensure_role(db, WORKER_ROLE, f"login password '{password}'")
    except psycopg.OperationalError as error:
        said = str(error).partition("\n")[0]
        raise RigError(
            f"PostgreSQL (DATABASE_URL) cannot be reached: {said}; "
            "start it, or unset DATABASE_URL to use the embedded one"
        ) from None
    return _as_role(admin_url, WORKER_ROLE, password)


@contextmanager
def copied_database(admin_url: str, *, like: str = "template0") -> Iterator[str]:
    """A database of its own with Supabase's stubs, dropped at the end; its name.

    Nobody may be connected to ``like``. ``at_database`` makes addresses of the name.
    """
    name = f"{DATABASE}_{secrets.token_hex(4)}"
    with psycopg.connect(at_database(admin_url, "postgres"), autocommit=True) as db:
        db.execute(f'create database "{name}" template "{like}"'.encode())
        try:
            with psycopg.connect(at_database(admin_url, name)) as fresh:
                fresh.execute(_AUTH.encode())
            yield name
        finally:
            db.execute(f'drop database if exists "{name}" with (force)'.encode())


def at_database(url: str, name: str) -> str:
    """The same server and role, another database."""
    where = urlsplit(url)
    if where.scheme not in ("postgresql", "postgres"):
        return make_conninfo(url, dbname=name)
    return where._replace(path=f"/{name}").geturl()


def _is_superuser(db: psycopg.Connection) -> bool:
    row = db.execute(
        "select rolsuper from pg_roles where rolname = current_user"
    ).fetchone()
    return row == (True,)


def _ensure_role(db: psycopg.Connection, role: str, words: str) -> None:
    there = db.execute("select 1 from pg_roles where rolname = %s", [role]).fetchone()
    verb = "alter" if there else "create"
    db.execute(f'{verb} role "{role}" {words}'.encode())


def _as_role(url: str, role: str, password: str) -> str:
    where = urlsplit(url)
    if where.scheme not in ("postgresql", "postgres"):
        return make_conninfo(url, user=role, password=password)
    address = where.netloc.rpartition("@")[2]
    return where._replace(netloc=f"{role}:{password}@{address}").geturl()


def _initialise(initdb: Path, cluster: Path, password: str, user: int | None) -> None:
    cluster.mkdir(mode=0o700)
    password_file = cluster.with_name("password")
    password_file.touch(mode=0o600)
    password_file.write_text(password)
    if user is not None:
        os.chown(cluster, user, user)
        os.chown(password_file, user, user)
    made = subprocess.run(
        [
            *(str(initdb), "-D", str(cluster), "-U", "postgres", "--no-sync"),
            *("--auth=scram-sha-256", f"--pwfile={password_file}"),
            *("--encoding=UTF8", "--locale=C"),
        ],
        capture_output=True,
        text=True,
        cwd=cluster,
        check=False,
        user=user,
        group=user,
        extra_groups=None if user is None else [],
        env=_plain_environment(),
    )
    password_file.unlink()
    if made.returncode != 0:
        raise RigError(f"initdb failed in {cluster}: {made.stderr.strip()}")


def _plain_environment() -> dict[str, str]:
    # PGPORT, PGDATA and the like would change what the server does.
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}


def _answers(url: str) -> bool:
    try:
        with psycopg.connect(url, connect_timeout=2) as db:
            return db.execute("select 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False
