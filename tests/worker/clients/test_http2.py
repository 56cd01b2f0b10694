"""One HTTP/2 connection against the h2 library's own server side."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated, PingReceived, RequestReceived, StreamEnded
from h2.settings import SettingCodes, Settings
from hyperframe.frame import GoAwayFrame

from worker.clients.frames import literals
from worker.clients.http2 import Answer, Connection, Request

HEADERS = literals(
    [
        (b":method", b"POST"),
        (b":scheme", b"https"),
        (b":authority", b"apns"),
        (b":path", b"/"),
        (b"long", b"x" * 300),
    ]
)
Script = Callable[["Peer", list[int]], None]


class Peer:
    """A server that a script answers for: it is told of requests that have ended."""

    def __init__(self, sock: socket.socket, script: Script, streams: int) -> None:
        self.sock = sock
        self.script = script
        self.most_open = self.open = 0
        self.asked = 0
        self.pings = 0
        self.lowered = False
        self.h2 = H2Connection(H2Configuration(client_side=False))
        self.h2.local_settings = Settings(
            client=False,
            initial_values={SettingCodes.MAX_CONCURRENT_STREAMS: streams},
        )
        self.h2.initiate_connection()

    def run(self) -> None:
        self.flush()
        while True:
            try:
                data = self.sock.recv(65_536)
            except OSError:
                return
            if not data:
                return
            ended = []
            for event in self.h2.receive_data(data):
                if isinstance(event, RequestReceived):
                    self.open += 1
                    self.most_open = max(self.most_open, self.open)
                elif isinstance(event, StreamEnded):
                    self.asked += 1
                    ended.append(event.stream_id)
                elif isinstance(event, PingReceived):
                    self.pings += 1
                elif isinstance(event, ConnectionTerminated):
                    return
            if ended:
                self.script(self, ended)
            self.flush()

    def answer(self, stream: int, status: int = 200, body: bytes = b"") -> None:
        self.open -= 1
        self.h2.send_headers(stream, [(":status", str(status))], end_stream=not body)
        if body:
            self.h2.send_data(stream, body, end_stream=True)

    def flush(self) -> None:
        data = self.h2.data_to_send()
        if data:
            self.sock.sendall(data)


@contextmanager
def connected(script: Script, streams: int = 100) -> Iterator[tuple[Connection, Peer]]:
    ours, theirs = socket.socketpair()
    peer = Peer(theirs, script, streams)
    thread = threading.Thread(target=peer.run)
    thread.start()
    connection = Connection(ours)
    try:
        yield connection, peer
    finally:
        connection.close()
        theirs.close()
        thread.join(10)


def exchanged(
    connection: Connection, count: int, *, streams: int = 50, within_s: float = 20.0
) -> list[Answer | None]:
    answers: list[Answer | None] = [None] * count
    connection.exchange(
        [Request(HEADERS, b"%d" % n) for n in range(count)],
        answers,
        streams=streams,
        until=time.monotonic() + within_s,
        ends=lambda answer: answer.status == 403,
    )
    return answers


def seen(answers: list[Answer | None]) -> list[object]:
    return [each and (each.status or each.reason) for each in answers]


def yes(peer: Peer, streams: list[int]) -> None:
    for stream in streams:
        peer.answer(stream)


def test_every_request_gets_its_own_answer():
    def script(peer, streams):
        for stream in reversed(streams):
            peer.answer(stream, 200 if stream % 4 == 1 else 410, b"%d" % stream)

    with connected(script) as (connection, _):
        answers = exchanged(connection, 40)

    assert [each.body for each in answers] == [b"%d" % (2 * n + 1) for n in range(40)]
    assert seen(answers) == [200, 410] * 20


def test_streams_are_bounded_by_the_peer_and_by_us():
    for ours, theirs in ((50, 7), (7, 50)):
        with connected(yes, streams=theirs) as (connection, peer):
            assert seen(exchanged(connection, 60, streams=ours)) == [200] * 60
            assert peer.most_open == 7


def test_streams_follow_settings_that_change_while_it_sends():
    allowed = []

    def script(peer, streams):
        allowed.append(peer.open)
        if peer.asked >= 10 and not peer.lowered:
            peer.lowered = True
            peer.h2.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: 2})
            allowed.clear()
        yes(peer, streams)

    with connected(script, streams=20) as (connection, peer):
        assert seen(exchanged(connection, 30)) == [200] * 30
        allowed.clear()
        assert seen(exchanged(connection, 30)) == [200] * 30

    assert max(allowed) == 2
    assert peer.most_open > 2


def test_there_is_one_stream_until_the_first_is_accepted():
    open_when_refused = []

    def script(peer, streams):
        for stream in streams:
            if peer.asked <= 3:
                open_when_refused.append(peer.open)
            peer.answer(stream, 410 if peer.asked <= 3 else 200)

    with connected(script) as (connection, peer):
        answers = exchanged(connection, 40)

    assert seen(answers) == [410] * 3 + [200] * 37
    assert open_when_refused == [1, 1, 1]
    assert peer.most_open > 1


def test_a_refused_stream_is_begun_again():
    def script(peer, streams):
        for stream in streams:
            if stream in (5, 9, 11):
                peer.open -= 1
                peer.h2.reset_stream(stream, ErrorCodes.REFUSED_STREAM)
            else:
                peer.answer(stream)

    with connected(script) as (connection, _):
        assert seen(exchanged(connection, 20)) == [200] * 20


def test_a_peer_that_refuses_for_ever_does_not_hold_us():
    def script(peer, streams):
        for stream in streams:
            peer.h2.reset_stream(stream, ErrorCodes.REFUSED_STREAM)

    with connected(script) as (connection, _):
        assert seen(exchanged(connection, 3)) == ["Refused"] * 3


def test_a_reset_stream_may_have_been_acted_on():
    def script(peer, streams):
        for stream in streams:
            if stream == 5:
                peer.h2.reset_stream(stream, ErrorCodes.INTERNAL_ERROR)
            else:
                peer.answer(stream)

    with connected(script) as (connection, _):
        assert seen(exchanged(connection, 4)) == [200, 200, "Reset", 200]


def test_what_the_peer_has_begun_is_answered_after_its_goaway():
    def script(peer, streams):
        if peer.asked == 1:
            return yes(peer, streams)
        if peer.asked < 10:
            return None
        # Streams 1 to 9 were taken; the rest never began.
        frame = GoAwayFrame(
            0, last_stream_id=9, additional_data=b'{"reason":"Shutdown"}'
        )
        peer.sock.sendall(frame.serialize())
        for stream in (3, 5, 7, 9):
            peer.answer(stream)
        return None

    with connected(script) as (connection, _):
        answers = exchanged(connection, 10)

    assert seen(answers) == [200] * 5 + [None] * 5
    assert "Shutdown" in connection.leaving


def test_a_cut_leaves_what_was_in_flight_unknown_and_the_rest_unsent():
    def script(peer, streams):
        if peer.asked == 1:
            return yes(peer, streams)
        return peer.sock.shutdown(socket.SHUT_RDWR)

    with connected(script) as (connection, _):
        answers = exchanged(connection, 10, streams=4)

    assert seen(answers) == [200] + ["Lost"] * 4 + [None] * 5
    assert connection.closed


def test_a_peer_that_does_not_answer_is_left_in_time():
    with connected(lambda _peer, _streams: None) as (connection, _):
        answers = exchanged(connection, 3, within_s=0.2)

    assert seen(answers) == ["TimedOut", None, None]
    assert connection.closed


def test_an_answer_that_ends_the_batch_stops_it():
    def script(peer, streams):
        for stream in streams:
            peer.answer(stream, 403, b'{"reason":"InvalidProviderToken"}')

    with connected(script) as (connection, peer):
        answers = exchanged(connection, 50)

    assert seen(answers) == [403] + [None] * 49
    assert peer.asked == 1


def test_bytes_may_come_one_by_one():
    def script(peer, streams):
        yes(peer, streams)
        for byte in peer.h2.data_to_send():
            peer.sock.sendall(bytes([byte]))

    with connected(script) as (connection, _):
        assert seen(exchanged(connection, 5)) == [200] * 5


def test_garbage_is_a_lost_connection():
    def script(peer, streams):
        peer.sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n" * 10)

    with connected(script) as (connection, _):
        assert seen(exchanged(connection, 2)) == ["Lost", None]


def test_a_silent_connection_proves_itself_by_a_ping():
    with connected(yes) as (connection, peer):
        exchanged(connection, 1)
        assert connection.alive(idle_s=60, within_s=5)
        assert peer.pings == 0
        assert connection.alive(idle_s=0, within_s=5)
        assert peer.pings == 1


def test_a_silent_connection_without_a_ping_back_is_given_up_in_time():
    ours, theirs = socket.socketpair()
    with theirs:
        connection = Connection(ours)

        assert not connection.alive(idle_s=0, within_s=0.1)
    assert connection.closed


def test_a_connection_that_the_peer_closed_is_not_alive():
    with connected(yes) as (connection, peer):
        exchanged(connection, 1)
        peer.sock.shutdown(socket.SHUT_RDWR)

        assert not connection.alive(idle_s=0, within_s=5)


def test_bodies_wait_for_the_peers_window():
    def script(peer, streams):
        for stream in streams:
            peer.answer(stream)
        peer.h2.increment_flow_control_window(20_000)

    with connected(script) as (connection, _):
        requests = [Request(HEADERS, b"x" * 4_000)] * 60
        answers: list[Answer | None] = [None] * 60
        connection.exchange(
            requests,
            answers,
            streams=50,
            until=time.monotonic() + 20,
            ends=lambda _: False,
        )

    assert seen(answers) == [200] * 60


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_answers_are_right_when_it_is_left_by_an_exception(error):
    def ends(answer):
        if answer.body == b"last":
            raise error
        return False

    def script(peer, streams):
        for stream in streams:
            peer.answer(stream, 200, b"last" if peer.asked >= 3 else b"")

    answers: list[Answer | None] = [None] * 5
    with connected(script) as (connection, _), pytest.raises(error):
        connection.exchange(
            [Request(HEADERS, b"x")] * 5,
            answers,
            streams=1,
            until=time.monotonic() + 20,
            ends=ends,
        )

    assert seen(answers) == [200, 200, 200, None, None]
