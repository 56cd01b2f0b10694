"""Locust's page, as its user sees it: he starts tests there, and starts them again."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

from loadtests.control import Control
from loadtests.given import Input
from loadtests.progress import Steps
from loadtests.rig.folder import RigError, free_port
from loadtests.stage import world

ROOT = Path(__file__).resolve().parents[2]
LOCUSTFILE = "loadtests/locustfile.py"
PATIENCE_S = 30.0


@dataclass(frozen=True)
class Page:
    """The page's own questions and buttons."""

    url: str

    def ask(self, path: str, form: Mapping[str, str] | None = None) -> Any:
        body = None if form is None else urlencode(form).encode()
        with urlopen(f"{self.url}/{path}", body, timeout=10) as answer:
            return json.loads(answer.read())

    def state(self) -> str:
        return str(self.ask("stats/requests")["state"])

    def exceptions(self) -> list[dict[str, Any]]:
        return list(self.ask("exceptions")["exceptions"])

    def start(self, **fields: str) -> None:
        said = self.ask("swarm", {"user_count": "5", "spawn_rate": "5", **fields})
        assert said["success"]

    def up(self) -> bool:
        try:
            return self.state() == "ready"
        except URLError:
            return False


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@contextmanager
def page(environment: Mapping[str, str], *words: str) -> Iterator[Page]:
    port = str(free_port())
    there = ("--web-host", "127.0.0.1", "--web-port", port, "--loglevel", "ERROR")
    with subprocess.Popen(
        [sys.executable, "-m", "locust", "-f", LOCUSTFILE, *there, *words],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
    ) as running:
        try:
            found = Page(f"http://127.0.0.1:{port}")
            until(found.up)
            yield found
        finally:
            running.kill()


@pytest.mark.timeout(90)
def test_a_test_that_cannot_begin_says_why_on_the_page_and_stops() -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    with page({"RIG_CONTROL_URL": nobody}, "--groups-per-s", "2") as here:
        here.start(groups_per_s="many")
        until(lambda: here.state() == "stopped")
        here.start(groups_per_s="", seed="")  # emptied: as if they were not given
        until(lambda: len(here.exceptions()) > 1)
        until(lambda: here.state() == "stopped")
        here.start(groups_per_s="", control_url="http://127.0.0.1:99999")
        until(lambda: len(here.exceptions()) > 2)
        until(lambda: here.state() == "stopped")

        said = [row["msg"] for row in here.exceptions()]

    assert said[0] == "--groups-per-s many: it is a number"
    assert said[1].startswith(f"the switchboard at {nobody} does not answer")
    assert "99999' is not the address of a switchboard" in said[2]


@pytest.mark.slow
@pytest.mark.timeout(150)
def test_a_second_test_in_a_world_begins_as_the_first_did() -> None:
    try:
        with (
            world(Input(), steps=Steps()) as around,
            closing(Control(around.control_url)) as control,
            page(around.environment) as here,
        ):
            here.start()
            until(lambda: here.state() == "running")
            lines = control.state()["lines"]
            control.delay(lines[:3], 900, 600.0)
            assert control.events()
            here.ask("stop", {})
            until(lambda: here.state() == "stopped")

            here.start(seed="2")
            until(lambda: here.state() == "running")

            assert control.events() == []
            assert here.ask("stats/requests")["user_count"] == 5
            assert here.exceptions() == []
    except RigError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no servers here: {error}")
