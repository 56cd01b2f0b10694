"""What every test may ask for: real servers, real transit data, a fixed seed."""

import contextlib
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
import redis

from loadtests.rig.folder import RigError
from loadtests.rig.postgres import at_database, copied_database
from loadtests.rig.servers import Servers
from loadtests.rig.servers import servers as started_servers
from worker.clients import postgres

ROOT = Path(__file__).resolve().parents[1]
IN_CI = bool(os.environ.get("CI"))


@dataclass(frozen=True)
class Database:
    """``url`` is the worker's role, ``admin_url`` the owner's."""

    url: str
    admin_url: str


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rewrite",
        action="store_true",
        help="rewrite generated blocks and golden files instead of comparing them",
    )


def pytest_configure() -> None:
    """A shell has what it runs in the background ignore Ctrl-C, and so their children:
    tests that send one to what they start would wait for ever.
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def rewrite(request: pytest.FixtureRequest) -> bool:
    """Whether generated files are to be written (make docs, make golden)."""
    return bool(request.config.getoption("--rewrite"))


@pytest.fixture(autouse=True, scope="session")
def _no_connection_is_left_open() -> Iterator[None]:
    """A process keeps a connection for its next task; the last test has none."""
    yield
    postgres.close_all()


@pytest.fixture(autouse=True)
def _fixed_seed() -> None:
    random.seed(1337)


@pytest.fixture(scope="session")
def transit_data() -> Path:
    """The folder of real transit data that TRANSIT_DATA names, relative to the root."""
    named = os.environ.get("TRANSIT_DATA")
    if not named:
        pytest.skip("TRANSIT_DATA does not name a folder of real transit data")
    folder = (ROOT / named).resolve()
    if not folder.is_dir():
        pytest.fail(f"TRANSIT_DATA names {folder}, which is not a folder")
    return folder


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Valkey and PostgreSQL of the rig, shared by the whole session."""
    with contextlib.ExitStack() as stack:
        try:
            world = stack.enter_context(started_servers())
        except RigError as error:
            if IN_CI:
                raise
            pytest.skip(f"no servers here: {error}")
        yield world


@pytest.fixture
def redis_url(servers: Servers) -> str:
    """The session's Redis, emptied."""
    with redis.Redis.from_url(servers.redis_url) as client:
        client.flushall()
    return servers.redis_url


@pytest.fixture
def empty_database(servers: Servers) -> Iterator[Database]:
    """A database of the test's own: Supabase's stubs and nothing of ours."""
    with copied_database(servers.admin_database_url) as name:
        yield _database(servers, name)


@pytest.fixture(scope="session")
def migrated_template(servers: Servers) -> Iterator[str]:
    """The name of a database that is migrated once and copied for each test."""
    with copied_database(servers.admin_database_url) as name:
        database = _database(servers, name)
        migrated = subprocess.run(
            [sys.executable, "-m", "worker", "migrate"],
            cwd=ROOT,
            env={
                **os.environ,
                "REDIS_URL": servers.redis_url,
                "DATABASE_URL": database.url,
                "DATABASE_ADMIN_URL": database.admin_url,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert migrated.returncode == 0, migrated.stderr
        yield name


@pytest.fixture
def database(servers: Servers, migrated_template: str) -> Iterator[Database]:
    """A migrated database of the test's own."""
    with copied_database(servers.admin_database_url, like=migrated_template) as name:
        copied = _database(servers, name)
        with psycopg.connect(copied.admin_url) as db:
            # A copy does not bring the privileges on the database itself.
            db.execute(f'grant create on database "{name}" to worker_loader'.encode())
        yield copied


@pytest.fixture
def database_url(database: Database) -> str:
    """The worker's address of a migrated database of the test's own."""
    return database.url


def _database(servers: Servers, name: str) -> Database:
    return Database(
        url=at_database(servers.database_url, name),
        admin_url=at_database(servers.admin_database_url, name),
    )
