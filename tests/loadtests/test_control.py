"""What is said of an address at which something else than a switchboard answers."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from loadtests.control import Control, SwitchboardError
from worker.errors import UsageError


class Page(BaseHTTPRequestHandler):
    """Any web server."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<h1>It works!</h1>")

    def log_message(self, *_: object) -> None:
        """Not on the test's output."""


@pytest.fixture
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_web_server_that_is_no_switchboard_is_told_in_a_sentence(url: str) -> None:
    with pytest.raises(UsageError, match=r"answers GET /state at .* no switchboard"):
        Control(url).state()


def test_a_name_that_no_host_can_have_is_told_in_a_sentence() -> None:
    with pytest.raises(SwitchboardError, match=r"at http://a\.\.b:80 does not answer"):
        Control("http://a..b:80", i_own_this_host=True).state()
