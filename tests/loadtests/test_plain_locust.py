"""Locust by itself, without a door of ours, in the stand-in world."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

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
