"""What a locust process does while the switchboard does not answer."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import gevent
import pytest

from loadtests.assignment import assign
from loadtests.control import Control
from loadtests.field import Field, Place
from simulation.scenario import Scenario

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


class Switchboard(BaseHTTPRequestHandler):
    """Fails once; then seven pushes came before, and each long poll brings one more."""

    failures = 0

    def do_GET(self) -> None:
        answers = {
            "/state": {"pushes": 7},
            "/events": {"events": []},
            "/arrivals?after=7&wait_s=5": {
                "next": 8,
                "arrivals": [{"status": 200, "token": "t", "at": 1.0, "apns_id": "x"}],
            },
            "/arrivals?after=8&wait_s=5": {"next": 8, "arrivals": []},
        }
        failed = self.path == "/state" and not type(self).failures
        if failed:
            type(self).failures += 1
        self.send_response(503 if failed else 200)
        self.end_headers()
        self.wfile.write(json.dumps(answers[self.path]).encode())

    def log_message(self, *_: object) -> None:
        """Not on the test's output."""


@pytest.fixture
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Switchboard) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_switchboard_that_fails_at_first_is_complained_of_and_asked_again(
    url: str,
) -> None:
    complaints: list[Exception] = []
    field = Field(
        RUN,
        lambda: Control(url),
        Place(leads=False),
        complaints.append,
        lambda _: None,
    )

    with gevent.Timeout(20):
        field.start()
        while field.arrivals < 1:
            gevent.sleep(0.05)
    field.stop()

    assert field.arrivals == 1
    assert "refused GET /state" in str(complaints[0])
