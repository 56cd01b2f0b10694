"""One HTTP/2 connection: many requests in flight, answers as they come.

Sends as many streams as the peer's SETTINGS allow, and one until the peer has accepted
a first request. The `h2` library ends a connection at GOAWAY, although the peer then
still answers what it has begun; so GOAWAY is read here and never shown to it.
"""

import select
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from h2.config import H2Configuration
from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    Event,
    PingAckReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
)
from h2.exceptions import ProtocolError

from worker.clients.frames import LARGEST_FRAME, Blocks, Frames, LeanH2

_POST = ((b":method", b"POST"),)  # all that `h2` itself looks at
_READ = 65_536
_REFUSALS = 3


@dataclass(frozen=True, slots=True)
class Request:
    """One POST; ``block``: its headers, as ``frames.literals`` encodes them. The body
    must fit one frame.
    """

    block: bytes
    body: bytes


@dataclass(slots=True)
class Answer:
    """Status and body; status 0 when there was none, and ``reason`` says why.

    "Unsent" and "Refused": the peer did not act on it. "Reset", "Lost", "TimedOut":
    it may have.
    """

    status: int = 0
    reason: str = "Unsent"
    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytes = b""


class Connection:
    """A connection over a socket that is already encrypted and speaks h2."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._h2 = LeanH2(
            H2Configuration(
                client_side=True,
                header_encoding=None,
                validate_inbound_headers=False,
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
            )
        )
        self._blocks = Blocks()
        self._h2.encoder = self._blocks
        self._h2.initiate_connection()
        self._frames = Frames()
        self._begun: dict[int, Answer] = {}
        self._flying: dict[int, int] = {}
        self._refused: dict[int, int] = {}
        self.trusted = False
        self.leaving = ""  # why the peer wants us to go
        self.closed = False
        self.last_heard = time.monotonic()

    def exchange(
        self,
        requests: Sequence[Request],
        answers: list[Answer | None],
        *,
        streams: int,
        until: float,
        ends: Callable[[Answer], bool],
    ) -> None:
        """Send each request that has no answer yet, and put its answer in place.

        ``until``: monotonic seconds; what is in flight then is "TimedOut" and the
        connection closed. After an answer for which ``ends`` is true nothing more is
        begun. What never began keeps None. ``answers`` is right at any moment, also
        when this is left by an exception.
        """
        waiting = deque(i for i, answer in enumerate(answers) if answer is None)
        self._refused.clear()
        ended = False
        reason = "TimedOut"
        try:
            while waiting or self._flying:
                if not (ended or self.leaving):
                    self._begin(requests, waiting, streams)
                elif not self._flying:
                    break
                for event in self._heard(until):
                    ended |= self._put(event, answers, waiting, ends)
        except ConnectionError:
            reason = "Lost"
        except TimeoutError:
            self.close()
        finally:
            if self._flying:
                for index in self._flying.values():
                    answers[index] = Answer(reason=reason)
                self._flying.clear()
                self._begun.clear()
                self.close()

    def alive(self, *, idle_s: float, within_s: float) -> bool:
        """Whether it can be used; after ``idle_s`` of silence a PING proves it."""
        if self.closed or self.leaving:
            return False
        until = time.monotonic() + within_s
        proved = time.monotonic() - self.last_heard < idle_s
        try:
            if not proved:
                self._h2.ping(b"is there")
            while not proved or self._speaks():
                heard = self._heard(until)
                proved |= any(isinstance(event, PingAckReceived) for event in heard)
                if self.leaving:
                    return False
        except (ConnectionError, TimeoutError):
            self.close()
        return not self.closed

    def _speaks(self) -> bool:
        """Whether something waits to be read: a GOAWAY, or the end."""
        readable, _, _ = select.select([self._sock], [], [], 0)
        return bool(readable)

    def close(self) -> None:
        """Close without waiting for the peer."""
        self.closed = True
        self._sock.close()

    def _begin(
        self, requests: Sequence[Request], waiting: deque[int], streams: int
    ) -> None:
        h2 = self._h2
        h2.forget_closed_streams()
        limit = min(streams, h2.remote_settings.max_concurrent_streams)
        if not self.trusted:
            limit = min(limit, 1)
        window = min(
            h2.outbound_flow_control_window, h2.remote_settings.initial_window_size
        )
        while waiting and len(self._flying) < limit:
            request = requests[waiting[0]]
            if len(request.body) > window:
                break
            window -= len(request.body)
            stream = h2.get_next_available_stream_id()
            self._blocks.next = request.block
            h2.send_headers(stream, _POST)
            h2.send_data(stream, request.body, end_stream=True)
            self._flying[stream] = waiting.popleft()

    def _heard(self, until: float) -> list[Event]:
        """Send what is due, then wait for the peer.

        Raises TimeoutError when time is up, ConnectionError when the peer is gone or
        does not speak HTTP/2; it is closed then.
        """
        left_s = until - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        try:
            self._sock.settimeout(left_s)
            self._sock.sendall(self._h2.data_to_send())
            data = self._sock.recv(_READ)
            if not data:
                raise ConnectionError("the peer closed the connection")
            frames, leaving = self._frames.feed(data)
            events = self._h2.receive_data(frames)
        except TimeoutError:
            raise
        except (OSError, ProtocolError) as error:
            self.close()
            raise ConnectionError(str(error)) from None
        self.last_heard = time.monotonic()
        for last_stream, reason in leaving:
            self.leaving = reason
            for stream in [s for s in self._flying if s > last_stream]:
                events.append(
                    StreamReset(stream_id=stream, error_code=ErrorCodes.REFUSED_STREAM)
                )
        return events

    def _put(
        self,
        event: Event,
        answers: list[Answer | None],
        waiting: deque[int],
        ends: Callable[[Answer], bool],
    ) -> bool:
        """Take in one event; True when its answer ends the exchange."""
        if isinstance(event, ResponseReceived):
            headers = dict(event.headers or ())
            status = int(headers.get(b":status", b"0"))
            self._begun[event.stream_id] = Answer(status, "", headers)
        elif isinstance(event, DataReceived):
            begun = self._begun.get(event.stream_id)
            if begun is not None and event.data is not None:
                begun.body = (begun.body + event.data)[:LARGEST_FRAME]
            if event.flow_controlled_length:
                self._h2.acknowledge_received_data(
                    event.flow_controlled_length, event.stream_id
                )
        elif isinstance(event, StreamReset):
            self._begun.pop(event.stream_id, None)
            self._reset(event, answers, waiting)
        elif isinstance(event, StreamEnded) and event.stream_id in self._flying:
            answer = self._begun.pop(event.stream_id, Answer(reason="Reset"))
            answers[self._flying.pop(event.stream_id)] = answer
            self.trusted |= answer.status == 200
            return ends(answer)
        return False

    def _reset(
        self, event: StreamReset, answers: list[Answer | None], waiting: deque[int]
    ) -> None:
        index = self._flying.pop(event.stream_id, None)
        if index is None:
            return
        if event.error_code != ErrorCodes.REFUSED_STREAM:
            answers[index] = Answer(reason="Reset")
            return
        self._refused[index] = self._refused.get(index, 0) + 1
        if self.leaving or self._refused[index] < _REFUSALS:
            waiting.append(index)
        else:
            answers[index] = Answer(reason="Refused")
