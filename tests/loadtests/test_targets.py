"""Load is put on this machine alone, unless its user says that the host is his."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from loadtests.assignment import assign
from loadtests.control import Control
from loadtests.riders import settle_in_from_outside
from loadtests.rig.folder import RigError, free_port
from loadtests.rig.servers import servers
from loadtests.targets import refuse_foreign, refuse_foreign_servers
from simulation.scenario import Scenario
from worker.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]
HERE = "redis://127.0.0.1:9/0"
RUN = assign(
    Scenario(
        name="disruption",
        question="?",
        users=1,
        duration_s=90.0,
        lines=1,
        onset_every_s=30.0,
    ),
    ["a"],
    starts_at=0.0,
)


@pytest.mark.parametrize(
    "url",
    [
        "redis://cache.example.com:6379/0",
        "postgresql://u:secret@10.0.0.5/db",
        "http://127.0.0.1.example.com:80",
        "http://[2001:db8::1]:80",
        "postgresql:///db",
        "postgresql://u:secret@127.0.0.1/db?host=192.0.2.7",
        "postgresql://u:secret@127.0.0.1/db?hostaddr=192.0.2.7",
        "postgresql://u:secret@127.0.0.1,192.0.2.7/db",
        "host=127.0.0.1 password=secret hostaddr=192.0.2.7",
        "service=elsewhere password=secret",
    ],
)
def test_another_machine_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(UsageError, match="loopback only") as refused:
        refuse_foreign("DATABASE_URL", url, i_own_this_host=False)

    assert "secret" not in str(refused.value)
    refuse_foreign("DATABASE_URL", url, i_own_this_host=True)


@pytest.mark.parametrize("variable", ["PGHOSTADDR", "PGSERVICE"])
def test_an_environment_that_leads_elsewhere_is_refused_at_every_door(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    url = "postgresql://u@127.0.0.1:1/db"
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv(variable, "192.0.2.7")

    with pytest.raises(UsageError, match=r"192\.0\.2\.7.*i-own-this-host"):
        refuse_foreign_servers(i_own_this_host=False)
    with (
        pytest.raises(RigError, match=r"192\.0\.2\.7.*i-own-this-host"),
        servers(environ={"DATABASE_URL": url}),
    ):
        pass


@pytest.mark.parametrize(
    "url", ["postgresql://[1:secret", "secret", "redis://[1", "redis://u:secret"]
)
def test_what_is_no_address_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(UsageError, match="not an address") as refused:
        refuse_foreign("DATABASE_URL", url, i_own_this_host=True)

    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_this_machine_is_not(host: str) -> None:
    refuse_foreign("REDIS_URL", f"redis://{host}:6379", i_own_this_host=False)


def test_a_switchboard_elsewhere_is_refused_before_it_is_spoken_to() -> None:
    with pytest.raises(UsageError, match="i-own-this-host"):
        Control("http://rig.example.com:80")


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:99999",
        "http://127.0.0.1:many",
        "http://[::1",
        "127.0.0.1:80",
        "",
    ],
)
def test_what_is_no_address_of_a_switchboard_is_told_in_a_sentence(url: str) -> None:
    with pytest.raises(UsageError, match="is not the address of a switchboard"):
        Control(url)


def test_riders_of_another_database_are_not_thrown_out() -> None:
    with pytest.raises(UsageError, match="i-own-this-host"):
        settle_in_from_outside(
            "postgresql://u@db.example.com/app", RUN, i_own_this_host=False
        )


@pytest.mark.parametrize(
    ("variable", "url"),
    [
        ("REDIS_URL", "redis://u:secret@cache.example.com:6379/0"),
        ("DATABASE_URL", "postgresql://u:secret@db.example.com/app"),
    ],
)
def test_servers_elsewhere_are_refused_to_publishers_and_readers(
    monkeypatch: pytest.MonkeyPatch, variable: str, url: str
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:6379/0")
    monkeypatch.delenv("DATABASE_URL", raising=False)
    refuse_foreign_servers(i_own_this_host=False)
    monkeypatch.setenv(variable, url)

    with pytest.raises(UsageError, match=f"{variable}.*i-own-this-host") as refused:
        refuse_foreign_servers(i_own_this_host=False)

    assert "secret" not in str(refused.value)
    refuse_foreign_servers(i_own_this_host=True)


def test_a_database_elsewhere_is_not_asked_when_pushes_were_matched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    url = "postgresql://u:secret@db.example.com/app"

    with pytest.raises(UsageError, match="RIG_ADMIN_DATABASE_URL") as refused:
        refuse_foreign_servers(i_own_this_host=False, admin_url=url)

    assert "secret" not in str(refused.value)
    refuse_foreign_servers(i_own_this_host=True, admin_url=url)


def locust(
    *words: str, redis_url: str, control_url: str = "http://127.0.0.1:9"
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "locust", "-f", "loadtests/locustfile.py", *words],
        env={
            **os.environ,
            "REDIS_URL": redis_url,
            "RIG_CONTROL_URL": control_url,
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


@contextmanager
def master() -> Iterator[tuple[str, ...]]:
    """Waits for two who follow; the words by which they do."""
    port = str(free_port())
    leads = ("--master", "--expect-workers", "2", "--master-bind-port", port)
    quiet = ("--headless", "--loglevel", "ERROR")
    with locust(*quiet, *leads, redis_url=HERE) as leading:
        try:
            yield ("--worker", "--master-port", port, "--loglevel", "ERROR")
        finally:
            leading.kill()
            leading.communicate()


def said_by(refused: subprocess.Popen[str]) -> str:
    """What a process that ends by itself has said."""
    with refused:
        try:
            return refused.communicate(timeout=60)[1]
        finally:
            refused.kill()


@pytest.mark.parametrize("follows", [False, True], ids=["alone", "worker"])
def test_plain_locust_ends_before_it_speaks_to_a_redis_elsewhere(follows: bool) -> None:
    alone = ("--headless", "--loglevel", "ERROR")
    with master() if follows else nullcontext(alone) as words:
        refused = locust(*words, redis_url="redis://cache.example.com:6379/0")
        said = said_by(refused)

    assert refused.returncode == 2, said
    assert "REDIS_URL: cache.example.com is not this machine" in said
    assert "Traceback" not in said


def test_one_who_follows_without_a_switchboard_ends_with_a_sentence() -> None:
    with master() as words:
        refused = locust(*words, redis_url=HERE, control_url="")
        said = said_by(refused)

    assert refused.returncode == 2, said
    assert "RIG_CONTROL_URL '' is not the address of a switchboard" in said
    assert "Traceback" not in said
