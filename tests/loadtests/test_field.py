"""What a locust process hears: while the switchboard does not answer, at the end."""

import json
import threading
import time
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


def page(following: int, *arrivals: tuple[str, float]) -> dict[str, object]:
    return {
        "next": following,
        "arrivals": [
            {"status": 200, "token": token, "at": at, "apns_id": f"{token} at {at}"}
            for token, at in arrivals
        ],
    }


class Switchboard(BaseHTTPRequestHandler):
    """Fails once; then seven pushes came before, and the first long poll brings one
    more. Another comes when nobody polls, and one when the run is over.
    """

    failures = 0

    def do_GET(self) -> None:
        answers = {
            "/state": {"pushes": 7},
            "/events": {
                "events": [{"published_at": at, "lines": ["a"]} for at in (1.0, 1.5)]
            },
            "/arrivals?after=7&wait_s=5": page(8, ("t", 0.5)),
            "/arrivals?after=8&wait_s=5": page(8),
            "/arrivals?after=8&wait_s=0": page(10, ("t", 2.0), ("t", 4e9)),
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
        field.end()

    assert "refused GET /state" in str(complaints[0])


def test_a_push_of_the_last_instant_is_counted_and_told_of_and_a_later_one_is_not(
    url: str,
) -> None:
    complaints: list[Exception] = []
    field = Field(
        RUN, lambda: Control(url), Place(leads=False), complaints.append, lambda _: None
    )
    field.letterbox.join("t", "a")
    told: list[tuple[float, float]] = []

    def ride() -> None:
        for number in range(3):
            onset = field.letterbox.onset("a", number).get()
            arrived_at = field.letterbox.push("t", onset).get()
            told.append((onset.published_at, arrived_at))
            gevent.sleep(0)  # as locust does between two tasks

    rider = gevent.spawn(ride)
    with gevent.Timeout(20):
        field.start()
        while field.arrivals < 1:
            gevent.sleep(0.05)
        before = time.time()
        field.end()
        field.end()  # Ctrl-C while a run ends by itself
    rider.kill()

    assert field.arrivals == 2
    assert told == [(1.0, 2.0), (1.5, 2.0)]
    assert field.ended_at is not None
    assert before <= field.ended_at <= time.time()
