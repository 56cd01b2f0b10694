"""Locust by itself, without a door of ours, in the stand-in world."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from loadtests.assignment import Assignment
from loadtests.rig.rig import rig
from simulation.scenarios import scenario

ROOT = Path(__file__).resolve().parents[2]
RIG = (sys.executable, "-m", "loadtests", "rig", "--")
LOCUST = (sys.executable, "-m", "locust", "-f", "loadtests/locustfile.py")


@pytest.mark.timeout(120)
def test_plain_locust_puts_its_riders_there_and_lets_them_wait() -> None:
    said = []
    with subprocess.Popen(
        [*RIG, *LOCUST, "--headless", "-u", "5", "-t", "70s", "--only-summary"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as running:
        assert running.stderr is not None
        for line in running.stderr:
            said.append(line)
            if "All users spawned" in line:
                running.send_signal(signal.SIGINT)

    assert '"Commuter": 5' in "".join(said), said


def test_a_master_that_sets_its_clock_back_begins_its_run_once() -> None:
    # A locust master calls reset_time again once its first tick is answered.
    program = (
        "from loadtests.shapes import ScenarioShape\n"
        "shape = ScenarioShape()\n"
        "shape.begun = True\n"
        "shape.reset_time()\n"
        "print(shape.begun)\n"
        "shape.end()\n"
        "print(shape.begun)\n"
    )

    said = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )

    assert said.stdout.split() == ["True", "False"]


def test_a_master_can_send_every_option_to_those_that_follow() -> None:
    program = (
        "import loadtests.locustfile\n"
        "import msgpack\n"
        "from locust.argument_parser import get_parser\n"
        "words = ['--told', 'told.json', '--assignment', 'run.json', '--seed', '2']\n"
        "options = vars(get_parser(default_config_files=[]).parse_args(words))\n"
        "print(msgpack.loads(msgpack.dumps(options))['told'])\n"
    )

    said = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )

    assert said.stdout.strip() == "told.json", said.stderr


@contextmanager
def locust(*words: str, env: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Plain locust, at work until the block ends."""
    with subprocess.Popen(
        [*LOCUST, *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, **env},
    ) as running:
        try:
            yield running
        finally:
            running.kill()


def said_until(running: subprocess.Popen[str], words: str) -> str:
    """What it says on stderr, up to the line with the words or its end."""
    said = ""
    assert running.stderr is not None
    for line in running.stderr:
        said += line
        if words in line:
            break
    return said


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("first", "then"), [(1, 2), (2, 1)], ids=["late", "dies"])
def test_a_follower_that_comes_late_or_dies_ends_the_test_which_says_so(
    first: int, then: int
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    master = ("--master", "--master-bind-port", port, "--headless", "--expect-workers")
    test = ("-u", "20", "-t", "70s", "--only-summary")
    worker = ("--worker", "--master-port", port)
    with ExitStack() as stack:
        env = stack.enter_context(rig()).environment
        leads = stack.enter_context(locust(*master, str(first), *test, env=env))
        follow = [stack.enter_context(locust(*worker, env=env)) for _ in range(first)]
        assert "All users spawned" in said_until(leads, "All users spawned")
        if then > first:
            stack.enter_context(locust(*worker, env=env))
        else:
            follow[0].kill()
        said = said_until(leads, "processes followed") + said_until(leads, "never said")
        assert leads.wait(30) == 1

    assert f"{first} processes followed when the test began, {then} do now" in said
    assert "AttributeError" not in said


def test_a_run_that_is_described_in_a_file_stays_on_this_machine_too(
    tmp_path: Path,
) -> None:
    described = scenario("disruption", users=5, duration_s=62.0)
    lines = tuple(f"L{number}" for number in range(described.lines))
    run = Assignment(scenario=described, routes=lines, starts_at=0.0)
    run.write(tmp_path / "run.json")
    foreign = {
        "REDIS_URL": "redis://192.0.2.2:7777/0",
        "RIG_CONTROL_URL": "http://127.0.0.1:9",
    }
    words = ("--headless", "--only-summary", "--assignment", str(tmp_path / "run.json"))

    with locust(*words, env=foreign) as running:
        said = said_until(running, "never said")
        assert running.wait(30) == 2

    assert "REDIS_URL: 192.0.2.2 is not this machine" in said


@pytest.mark.timeout(60)
def test_a_master_that_nobody_follows_begins_no_test() -> None:
    program = (
        "import loadtests.locustfile\n"
        "from locust.env import Environment\n"
        "from loadtests.users import _refuse_missing\n"
        "_refuse_missing(Environment().create_master_runner('127.0.0.1', 0))\n"
    )

    said = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )

    assert "no process follows this master" in said.stderr.splitlines()[-1]
