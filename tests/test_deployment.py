"""The Railway project file, read as Railway's CLI reads it, and what it starts."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from worker import keys
from worker.env import Settings
from worker.policy import POLICY

ROOT = Path(__file__).resolve().parents[1]
PROJECT_FILE = ROOT / ".railway/railway.py"

# What the CLI runs: the module by file path, then main, Railway or default, called
# without arguments; stdout must be the JSON alone.
# https://github.com/railwayapp/cli/blob/master/src/iac/eval.rs
EVALUATE = """
import importlib.util, json, sys
spec = importlib.util.spec_from_file_location("railway_project", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
found = next(
    getattr(module, name) for name in ("main", "Railway", "default")
    if hasattr(module, name)
)
project = found() if callable(found) else found
print(json.dumps({"partial": None, "project": project}, default=str))
"""


def evaluated(**variables: str) -> dict[str, Any]:
    """The project as a python3 without any installed package sees it."""
    base = Path(getattr(sys, "_base_executable", sys.executable))
    done = subprocess.run(
        [base, "-I", "-S", "-c", EVALUATE, PROJECT_FILE],
        cwd="/",
        env={"PATH": os.defpath, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["project"]


def services(project: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        row["name"]: row for row in project["resources"] if row["type"] == "service"
    }


def test_the_project_holds_every_service_and_its_redis():
    resources = evaluated()["resources"]

    # A resource that is not returned is planned for deletion.
    assert {(row["type"], row["name"]) for row in resources} == {
        ("database", "redis"),
        ("service", "rt"),
        ("service", "bg"),
        ("service", "beat"),
    }


def test_redis_states_its_image():
    (database,) = (r for r in evaluated()["resources"] if r["type"] == "database")

    # Without one the CLI would take its default, a PostgreSQL image.
    assert database["engine"] == "redis"
    assert "redis" in database["image"]
    assert database["source"] == {"type": "image", "image": database["image"]}


@pytest.mark.parametrize("name", ["rt", "bg", "beat"])
def test_a_service_restarts_always_and_is_given_time_to_leave(name):
    deploy = services(evaluated())[name]["deploy"]

    assert deploy["restartPolicyType"] == "ALWAYS"
    assert type(deploy["drainingSeconds"]) is int
    assert deploy["drainingSeconds"] >= POLICY.broker.soft_shutdown_s
    # Two releases at once would both be beat, and double what the plan pays for.
    assert deploy["overlapSeconds"] == 0
    assert deploy["limitOverride"]["containers"]["memoryBytes"] >= 128 * 2**20
    assert sum(r["numReplicas"] for r in deploy["multiRegionConfig"].values()) == 1


def test_variables_are_of_the_kinds_that_railway_compares():
    project = evaluated()
    addresses = {f"{row['type']}.{row['name']}" for row in project["resources"]}

    for service in services(project).values():
        for name, variable in service["variables"].items():
            match variable:
                case {"type": "literal", "value": value}:
                    assert isinstance(value, str), name
                case {"type": "reference", "resource": resource, "output": _}:
                    assert resource in addresses, name
                case _:
                    assert variable == {"type": "preserve"}, name


def test_every_variable_is_one_that_the_worker_reads():
    read = {name.upper() for name in Settings.model_fields}

    for service in services(evaluated()).values():
        ours = {n for n in service["variables"] if not n.startswith("RAILWAY_")}
        assert ours <= read


def test_every_variable_that_somebody_must_set_reaches_a_service():
    # Set in Railway and not listed here, a plan would delete it. What has a default
    # that fits, or names a file (Railway has none), is left out.
    optional = {
        *("NSW_BASE_URL", "APNS_BASE_URL", "APNS_CA_FILE", "APNS_KEY_FILE"),
        *("CLOCK_OFFSET_S", "STATE_DIR"),
    }
    needed = {name.upper() for name in Settings.model_fields} - optional

    given = set().union(*(s["variables"] for s in services(evaluated()).values()))

    assert needed <= given


def test_every_service_is_built_from_the_image_that_is_there():
    for service in services(evaluated()).values():
        assert (ROOT / service["build"]["dockerfilePath"]).is_file()


def test_the_repository_comes_from_the_environment():
    assert {s["kind"] for s in services(evaluated()).values()} == {"empty"}

    project = evaluated(GITHUB_REPOSITORY="someone/transit")

    for service in services(project).values():
        assert service["kind"] == "github"
        assert service["source"]["repo"] == "someone/transit"


def test_the_image_installs_the_base_lock_and_runs_as_nobody_special():
    lines = (ROOT / "worker/Dockerfile").read_text().splitlines()
    users = [line.split()[1] for line in lines if line.startswith("USER ")]

    assert users == ["worker"]
    assert any("--require-hashes" in line for line in lines)
    assert any("-r worker/requirements.lock" in line for line in lines)
    # The exec form: a shell as process 1 would swallow SIGTERM.
    assert [line for line in lines if line.startswith(("CMD", "ENTRYPOINT"))] == [
        line for line in lines if line.startswith(("CMD [", "ENTRYPOINT ["))
    ]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like the image's: worker/ alone, and an environment of its lock."""
    folder = tmp_path_factory.mktemp("image")
    shutil.copytree(
        ROOT / "worker",
        folder / "worker",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    lock = folder / "worker/requirements.lock"
    install = [folder / "venv/bin/python", "-m", "pip", "install", "-q", "--no-deps"]
    done = subprocess.run(
        [*install, "--no-compile", "--require-hashes", "-r", lock],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0 and not os.environ.get("CI"):
        pytest.skip(f"the base lock cannot be installed: {done.stderr[-300:]}")
    assert done.returncode == 0, done.stderr
    return folder


def environment(
    image: Path, service: dict[str, Any], values: dict[str, str]
) -> dict[str, str]:
    """What the platform would set for a service, and nothing else of this machine."""
    given = {
        name: variable.get("value") or values[name]
        for name, variable in service["variables"].items()
        if variable["type"] == "literal" or name in values
    }
    # The one stand-in: Transport for NSW is not there to be called by tests.
    return {
        "PATH": f"{image / 'venv/bin'}:{os.defpath}",
        "HOME": str(image),
        "NSW_BASE_URL": "http://127.0.0.1:9",
        "STATE_DIR": str(image / "state"),
        **given,
    }


@contextmanager
def started(
    command: str, image: Path, environ: dict[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as out:
        process = subprocess.Popen(
            shlex.split(command),
            cwd=image,
            env=environ,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.slow
def test_the_services_start_from_the_base_install_and_do_their_ticks(
    image, redis_url, empty_database, tmp_path
):
    project = services(evaluated())
    values = {
        "REDIS_URL": redis_url,
        "DATABASE_URL": empty_database.url,
        "DATABASE_ADMIN_URL": empty_database.admin_url,
        "NSW_API_KEY": "key",
        "APNS_KEY": _p8(),
        "APNS_KEY_ID": "KEY1234567",
        "APNS_TEAM_ID": "TEAM123456",
        "APNS_TOPIC": "au.example.transit",
    }
    cache = redis.Redis.from_url(redis_url)
    for command in project["bg"]["deploy"]["preDeployCommand"]:
        subprocess.run(
            shlex.split(command),
            cwd=image,
            env=environment(image, project["bg"], values),
            check=True,
            capture_output=True,
        )

    with ExitStack() as stack:
        running = {
            name: stack.enter_context(
                started(
                    row["deploy"]["startCommand"],
                    image,
                    environment(image, row, values),
                    tmp_path / f"{name}.log",
                )
            )
            for name, row in project.items()
        }

        ticked = {name for name, row in POLICY.tasks.items() if _often(row)}
        seen = _await_records(cache, ticked, running, tmp_path, patience_s=90)
        assert ticked <= seen

        for process in running.values():
            process.send_signal(signal.SIGTERM)
        for name, process in running.items():
            left = process.wait(project[name]["deploy"]["drainingSeconds"])
            assert left == 0, f"{name} left with {left}"


def _often(task: Any) -> bool:
    return task.tick is not None and getattr(task.tick, "period_s", 3600) <= 60


def _await_records(
    cache: Any,
    wanted: set[str],
    running: dict[str, subprocess.Popen[bytes]],
    logs: Path,
    patience_s: float,
) -> set[str]:
    """Tasks of which a worker has left a record; fails when a service is gone."""
    seen: set[str] = set()
    last: Any = "0-0"
    deadline = time.monotonic() + patience_s
    while not wanted <= seen and time.monotonic() < deadline:
        for name, process in running.items():
            said = (logs / f"{name}.log").read_text()[-2000:]
            assert process.poll() is None, f"{name} left: {said}"
        for _, entries in cache.xread({keys.TASK_RECORDS: last}, block=500) or []:
            last = entries[-1][0]
            said = b" ".join(v for _, fields in entries for v in fields.values())
            seen |= {task for task in wanted if task.encode() in said}
    return seen


def _p8() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
