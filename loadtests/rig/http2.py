"""The server side of HTTP/2 (RFC 9113) as far as a push service needs it.

Framed by hand: the h2 library takes 0.6 ms a push, most of a core at the bursts that
are measured. Its client, httpx and nghttp2 are what the tests speak to it with.
"""

import asyncio
import struct
from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass, field

from loadtests.rig.header_block import BlockError, HeaderDecoder

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
FRAME_LIMIT = 16_384
BLOCK_LIMIT = 65_536
FIRST_WINDOW = 65_535
WINDOW = 2**30
BODY_LIMIT = 16_384

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS = 0, 1, 2, 3, 4
PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS, PADDED, WITH_PRIORITY = 1, 1, 4, 8, 32

NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR = 0, 1, 2
FRAME_SIZE_ERROR, REFUSED_STREAM = 6, 7
MAX_CONCURRENT_STREAMS = 3


class FrameError(Exception):
    """The client broke the protocol: the connection ends with this code."""

    def __init__(self, code: int, what: str) -> None:
        super().__init__(what)
        self.code = code


@dataclass(slots=True)
class Stream:
    """One request as it comes in; ``late`` once it is whole."""

    headers: dict[str, str]
    body: bytearray = field(default_factory=bytearray)
    whole: bool = False


class Http2Server(asyncio.Protocol, ABC):
    """One connection. ``requested`` is for the heir; ``respond`` answers.

    ``granted`` streams may be open at once; more are refused, one by one.
    """

    def __init__(self, granted: int) -> None:
        self.granted = granted
        self.streams: dict[int, Stream] = {}
        self.last_stream = 0
        self._headers = HeaderDecoder()
        self._waiting = bytearray()
        self._greeted = False
        self._block: tuple[int, int, bytearray] | None = None
        self._out: list[bytes] = []
        self._send_window = FIRST_WINDOW
        self._blocked: deque[bytes] = deque()
        self._received = 0

    @abstractmethod
    def requested(self, number: int, stream: Stream) -> None:
        """A request is whole."""

    def refused(self) -> None:
        """A stream above the granted number was refused."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.grant(self.granted)
        self._frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", WINDOW))
        self.flush()

    def data_received(self, data: bytes) -> None:
        self._waiting += data
        try:
            self._take_frames()
        except FrameError as error:
            self.go_away(error.code, str(error).encode())
        except BlockError as error:
            self.go_away(PROTOCOL_ERROR, str(error).encode())
        self.flush()

    def grant(self, streams: int) -> None:
        """Say how many streams may be open at once."""
        self.granted = streams
        self._frame(SETTINGS, 0, 0, struct.pack(">HI", MAX_CONCURRENT_STREAMS, streams))

    def respond(self, number: int, block: bytes, body: bytes = b"") -> None:
        """Answer a stream that is still open; the stream is then closed."""
        if self.streams.pop(number, None) is None:
            return
        if not body:
            self._frame(HEADERS, END_HEADERS | END_STREAM, number, block)
            return
        self._frame(HEADERS, END_HEADERS, number, block)
        self._blocked.append(_framed(DATA, END_STREAM, number, body))
        self._send_blocked()

    def reset(self, number: int, code: int) -> None:
        """End one stream without an answer."""
        self.streams.pop(number, None)
        self._frame(RST_STREAM, 0, number, struct.pack(">I", code))

    def go_away(self, code: int, reason: bytes) -> None:
        """Send GOAWAY with a reason and close."""
        self._frame(GOAWAY, 0, 0, struct.pack(">II", self.last_stream, code) + reason)
        self.flush()
        self.transport.close()

    def flush(self) -> None:
        """Send what was framed since the last flush."""
        if self._out and not self.transport.is_closing():
            self.transport.write(b"".join(self._out))
        self._out.clear()

    def _take_frames(self) -> None:
        waiting, at = self._waiting, 0
        if not self._greeted:
            if len(waiting) < len(PREFACE):
                return
            if not waiting.startswith(PREFACE):
                raise FrameError(PROTOCOL_ERROR, "this is not HTTP/2")
            self._greeted, at = True, len(PREFACE)
        while len(waiting) - at >= 9:
            length = waiting[at] << 16 | waiting[at + 1] << 8 | waiting[at + 2]
            if length > FRAME_LIMIT:
                raise FrameError(FRAME_SIZE_ERROR, "a frame is too large")
            end = at + 9 + length
            if len(waiting) < end:
                break
            number = int.from_bytes(waiting[at + 5 : at + 9], "big") & 0x7FFFFFFF
            self._take(
                waiting[at + 3], waiting[at + 4], number, bytes(waiting[at + 9 : end])
            )
            at = end
        del waiting[:at]

    def _take(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if self._block is not None and kind != CONTINUATION:
            raise FrameError(PROTOCOL_ERROR, "a header block is interrupted")
        if kind == DATA:
            self._take_data(flags, number, payload)
        elif kind == HEADERS:
            block = _unpadded(flags, payload)
            if flags & WITH_PRIORITY:
                block = block[5:]
            self._block = (number, flags, bytearray(block))
            self._take_block(flags)
        elif kind == CONTINUATION:
            if self._block is None or self._block[0] != number:
                raise FrameError(PROTOCOL_ERROR, "nothing to continue")
            self._block[2].extend(payload)
            self._take_block(flags)
        elif kind == RST_STREAM:
            self.streams.pop(number, None)
        elif kind == SETTINGS and not flags & ACK:
            self._frame(SETTINGS, ACK, 0, b"")
        elif kind == PING and not flags & ACK:
            self._frame(PING, ACK, 0, payload)
        elif kind == WINDOW_UPDATE and number == 0:
            self._send_window += int.from_bytes(payload, "big") & 0x7FFFFFFF
            self._send_blocked()
        elif kind == GOAWAY:
            self.transport.close()

    def _take_block(self, flags: int) -> None:
        assert self._block is not None
        number, first_flags, block = self._block
        if len(block) > BLOCK_LIMIT:
            raise FrameError(PROTOCOL_ERROR, "a header block is too large")
        if not flags & END_HEADERS:
            return
        self._block = None
        headers = dict(self._headers.decode(bytes(block)))
        if number <= self.last_stream or not number & 1:
            raise FrameError(PROTOCOL_ERROR, "a stream's number does not rise")
        if len(self.streams) >= self.granted:
            self.reset(number, REFUSED_STREAM)
            self.refused()
            return
        self.last_stream = number
        self.streams[number] = Stream(headers)
        if first_flags & END_STREAM:
            self._complete(number)

    def _take_data(self, flags: int, number: int, payload: bytes) -> None:
        self._received += len(payload)
        if self._received > WINDOW // 2:
            update = struct.pack(">I", self._received)
            self._frame(WINDOW_UPDATE, 0, 0, update)
            self._received = 0
        stream = self.streams.get(number)
        if stream is None or stream.whole:
            return
        stream.body += _unpadded(flags, payload)
        if flags & END_STREAM or len(stream.body) > BODY_LIMIT:
            self._complete(number)

    def _complete(self, number: int) -> None:
        stream = self.streams[number]
        stream.whole = True
        self.requested(number, stream)

    def _send_blocked(self) -> None:
        """Bodies count against the connection's window; headers do not."""
        while self._blocked and len(self._blocked[0]) - 9 <= self._send_window:
            framed = self._blocked.popleft()
            self._send_window -= len(framed) - 9
            self._out.append(framed)

    def _frame(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        self._out.append(_framed(kind, flags, number, payload))


def _framed(kind: int, flags: int, number: int, payload: bytes) -> bytes:
    length = len(payload)
    return (
        struct.pack(">HBBBI", length >> 8, length & 0xFF, kind, flags, number) + payload
    )


def _unpadded(flags: int, payload: bytes) -> bytes:
    if not flags & PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise FrameError(PROTOCOL_ERROR, "the padding is longer than the frame")
    return payload[1 : len(payload) - payload[0]]
