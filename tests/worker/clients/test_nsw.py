"""The client against a real server on loopback that behaves and misbehaves."""

import asyncio
import gzip
import ssl
import threading
import time
from dataclasses import replace

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived

from loadtests.rig.certificate import write_certificate
from worker.clients.nsw import Nsw, retry_after_s
from worker.policy import POLICY

KEY = "planted-secret"
BODY = b"\n\x0d" + b"x" * 5000
LIMITS = replace(POLICY.realtime, deadline_s=1.0, connect_timeout_s=0.5)


def response(body=b"", *, status="200 OK", length=None, **headers):
    lines = [f"HTTP/1.1 {status}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Server:
    """Answers each path with what ``script`` says: bytes, or a coroutine function."""

    def __init__(self):
        self.script = {}
        self.requests = []
        self.connections = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        starting = asyncio.start_server(self._serve, "127.0.0.1", 0)
        server = asyncio.run_coroutine_threadsafe(starting, self._loop).result(5)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._server = server
        return self

    def __exit__(self, *_):
        async def stop():
            self._server.close()
            rest = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
            for task in rest:
                task.cancel()
            await asyncio.gather(*rest, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(stop(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def within(self, doing):
        """Run a coroutine where the server runs."""
        return asyncio.run_coroutine_threadsafe(doing, self._loop).result(5)

    def call(self, what):
        """Call something where the server runs."""
        self._loop.call_soon_threadsafe(what)

    async def _serve(self, reader, writer):
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                self.requests.append(head)
                answer = self.script[head.split(" ")[1]]
                if callable(answer):
                    await answer(writer)
                else:
                    writer.write(answer)
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()


@pytest.fixture
def server():
    with Server() as running:
        yield running


@pytest.fixture
def fetch(server):
    """Fetch some paths; the answers by path, in the order in which they came."""
    client = Nsw(server.url, KEY, LIMITS)

    def fetched(*paths, admit=None, sent=None, handle=None):
        answers = {}

        async def always(_):
            return True

        def keep(answer):
            answers[answer.feed] = answer

        client.fetch(
            {path: path for path in paths},
            admit or always,
            sent or (lambda _: None),
            handle or keep,
        )
        return answers

    yield fetched
    client.close()


def test_a_body_comes_whole_with_the_key_in_a_header(server, fetch):
    server.script["/a"] = response(BODY)

    answer = fetch("/a")["/a"]

    assert (answer.body, answer.problem, answer.status) == (BODY, "", 200)
    assert f"authorization: apikey {KEY}" in server.requests[0].lower()
    assert KEY not in server.requests[0].split("\r\n")[0]


def test_a_gzipped_body_is_inflated(server, fetch):
    packed = gzip.compress(BODY)
    server.script["/a"] = response(packed, Content_Encoding="gzip")

    answer = fetch("/a")["/a"]

    assert answer.body == BODY
    assert answer.received == len(packed)


def test_connections_are_kept_from_tick_to_tick(server, fetch):
    server.script["/a"] = response(BODY)

    for _ in range(3):
        fetch("/a")

    assert server.connections == 1


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        pytest.param(response(status="500 Oops"), "unavailable", id="500"),
        pytest.param(response(status="503 Busy"), "unavailable", id="503"),
        pytest.param(response(status="429 Slow"), "rate_limited", id="429"),
        pytest.param(response(status="401 Who"), "unauthorized", id="401"),
        pytest.param(response(status="404 Where"), "refused", id="404"),
        pytest.param(response(status="301 There", Location="/a"), "refused", id="301"),
        pytest.param(
            response(status="403 No", X_Error_Detail="Account Over Quota Limit"),
            "over_quota",
            id="403 the day",
        ),
        pytest.param(
            response(status="403 No", X_Error_Detail="Account Over Rate Limit"),
            "rate_limited",
            id="403 the second",
        ),
        pytest.param(response(status="403 No"), "rate_limited", id="403 bare"),
        pytest.param(
            response(gzip.compress(BODY)[:-20], Content_Encoding="gzip"),
            "truncated",
            id="a gzip without its end",
        ),
        pytest.param(
            response(b"no gzip", Content_Encoding="gzip"), "truncated", id="no gzip"
        ),
        pytest.param(
            response(gzip.compress(BODY) * 2, Content_Encoding="GZIP"),
            "truncated",
            id="a gzip of two members",
        ),
    ],
)
def test_a_status_means_a_problem(server, fetch, answer, problem):
    server.script["/a"] = answer

    found = fetch("/a")["/a"]

    assert (found.problem, found.body) == (problem, b"")


def test_a_body_shorter_than_promised_is_truncated(server, fetch):
    async def cut(writer):
        writer.write(response(BODY, length=len(BODY) + 1))
        await writer.drain()
        writer.close()

    server.script["/a"] = cut

    assert fetch("/a")["/a"].problem == "truncated"


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "a gzip bomb"])
def test_a_body_beyond_the_limit_is_not_taken(server, packed):
    limits = replace(LIMITS, body_limit_mib=1, deadline_s=5.0)
    large = bytes(3 << 20)
    server.script["/a"] = (
        response(gzip.compress(large), Content_Encoding="gzip")
        if packed
        else response(large)
    )
    answers = []

    async def always(_):
        return True

    client = Nsw(server.url, KEY, limits)
    client.fetch({"/a": "/a"}, always, lambda _: None, answers.append)
    client.close()

    assert [answer.problem for answer in answers] == ["too_large"]


def test_a_body_that_trickles_in_ends_at_the_total_deadline(server, fetch):
    async def trickle(writer):
        writer.write(response(length=1000))
        for _ in range(1000):
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)

    server.script |= {"/slow": trickle, "/a": response(BODY)}
    began = time.monotonic()

    answers = fetch("/slow", "/a")

    assert answers["/slow"].problem == "deadline"
    assert answers["/a"].body == BODY
    assert time.monotonic() - began < LIMITS.deadline_s + 1


class Http2(asyncio.Protocol):
    """One connection to a server that speaks HTTP/2 and never ends some answers."""

    def __init__(self, connections):
        self._of_all = connections

    def connection_made(self, transport):
        self._transport = transport
        self._of_all.append(self)
        self._h2 = H2Connection(H2Configuration(client_side=False))
        self._h2.initiate_connection()
        transport.write(self._h2.data_to_send())

    def data_received(self, data):
        for event in self._h2.receive_data(data):
            if isinstance(event, RequestReceived):
                headers = [(":status", "200"), ("content-length", str(len(BODY)))]
                self._h2.send_headers(event.stream_id, headers)
                if dict(event.headers)[b":path"] == b"/a":
                    self._h2.send_data(event.stream_id, BODY, end_stream=True)
        self._transport.write(self._h2.data_to_send())


@pytest.fixture
def offers_http2(server, tmp_path, monkeypatch):
    """A TLS server that offers HTTP/2; its address and its connections."""
    monkeypatch.setenv("SSL_CERT_FILE", str(write_certificate(tmp_path)))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "apns.pem", tmp_path / "apns.key")
    context.set_alpn_protocols(["h2", "http/1.1"])
    connections = []

    async def listen():
        loop = asyncio.get_running_loop()
        return await loop.create_server(
            lambda: Http2(connections), "127.0.0.1", 0, ssl=context
        )

    listening = server.within(listen())
    yield f"https://127.0.0.1:{listening.sockets[0].getsockname()[1]}", connections
    server.within(asyncio.sleep(0))
    for each in connections:
        server.call(each._transport.abort)
    server.call(listening.close)


def test_http2_is_spoken_where_it_is_offered_over_one_connection(offers_http2):
    url, connections = offers_http2
    answers, left = {}, []

    async def always(_):
        return True

    def keep(answer):
        answers[answer.feed] = answer

    client = Nsw(url, KEY, LIMITS)
    for _ in range(2):
        client.fetch({"x": "/a", "y": "/a"}, always, left.append, keep)

    assert [answer.body for answer in answers.values()] == [BODY, BODY]
    assert sorted(left) == ["x", "x", "y", "y"]
    assert len(connections) == 1

    # One that never ends takes its connection along, not the next tick.
    client.fetch({"x": "/endless", "y": "/a"}, always, left.append, keep)
    assert (answers["x"].problem, answers["y"].body) == ("deadline", BODY)
    client.fetch({"x": "/a"}, always, left.append, keep)
    client.close()

    assert answers["x"].body == BODY
    assert len(connections) == 2


def test_nobody_listening_is_unreachable():
    answers = []

    async def always(_):
        return True

    client = Nsw("http://127.0.0.1:9", KEY, LIMITS)
    client.fetch({"a": "/a"}, always, lambda _: None, answers.append)
    client.close()

    assert [answer.problem for answer in answers] == ["unreachable"]


def test_a_request_is_told_when_it_has_left(server, fetch):
    server.script["/a"] = response(BODY)
    left = []

    fetch("/a", sent=left.append)

    assert left == ["/a"]


def test_a_feed_that_is_not_admitted_is_not_asked(server, fetch):
    async def never(_):
        return False

    assert fetch("/a", admit=never) == {}
    assert server.requests == []


def test_an_error_of_the_handler_ends_the_fetch_and_the_next_one_works(server, fetch):
    server.script["/a"] = response(BODY)

    def fail(_):
        raise RuntimeError("redis is away")

    with pytest.raises(RuntimeError, match="redis is away"):
        fetch("/a", handle=fail)

    assert fetch("/a")["/a"].body == BODY


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0),
        ({"Retry-After": "30"}, 30),
        ({"Retry-After": "soon"}, 0),
        ({"Retry-After": "\u00b2"}, 0),
        (
            {
                "Retry-After": "Thu, 11 Jun 2026 01:41:00 GMT",
                "Date": "Thu, 11 Jun 2026 01:40:00 GMT",
            },
            60,
        ),
        ({"Retry-After": "Thu, 11 Jun 2026 01:41:00 GMT"}, 0),
        ({"Retry-After": f"Mon, 01 Jan 2026 00:00:00 +{'9' * 20}"}, 0),
        ({"Retry-After": f"Mon, 01 Jan {'9' * 20} 00:00:00 GMT"}, 0),
    ],
)
def test_retry_after_is_read_in_both_forms(headers, seconds):
    assert retry_after_s(headers) == seconds
