"""What we do beside the `h2` library, for speed and for GOAWAY.

Header blocks are encoded once for all pushes; streams are not counted at each; a GOAWAY
is kept from `h2`, which would end the connection.
"""

from collections.abc import Sequence
from typing import Any

from h2.connection import H2Connection
from h2.exceptions import ProtocolError
from hpack import Encoder

Headers = Sequence[tuple[bytes, bytes]]

LARGEST_FRAME = 16_384
_FRAME_HEADER = 9
_GOAWAY = 7


def literals(headers: Headers) -> bytes:
    """Headers as HPACK literals that no table remembers: RFC 7541, section 6.2.2.

    The same block is then right on every connection, and costs no search.
    """
    return b"".join(
        part
        for name, value in headers
        for part in (b"\0", _length(len(name)), name, _length(len(value)), value)
    )


def _length(octets: int) -> bytes:
    """A string's length without Huffman coding: RFC 7541, sections 5.1 and 5.2."""
    if octets < 127:
        return bytes((octets,))
    octets -= 127
    encoded = bytearray((127,))
    while octets >= 128:
        encoded.append(octets % 128 + 128)
        octets //= 128
    encoded.append(octets)
    return bytes(encoded)


class LeanH2(H2Connection):
    """Without counting every stream each time that one begins: we count ourselves."""

    @property
    def open_outbound_streams(self) -> int:
        return 0

    def forget_closed_streams(self) -> None:
        """What the count would have done by the way."""
        H2Connection.open_outbound_streams.fget(self)  # type: ignore[attr-defined]


class Blocks(Encoder):
    """Gives `h2` header blocks that are encoded already."""

    next = b""

    def encode(self, headers: Any, huffman: bool = False) -> bytes:
        return self.next


class Frames:
    """Bytes from the peer, whole frames at a time, without GOAWAY."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> tuple[bytes, list[tuple[int, str]]]:
        """Whole frames for `h2`; (last stream, reason) of each GOAWAY among them."""
        held = self._held + data if self._held else data
        leaving = []
        kept = []
        start = at = 0
        while len(held) - at >= _FRAME_HEADER:
            size = int.from_bytes(held[at : at + 3], "big")
            if size > LARGEST_FRAME:
                raise ProtocolError("a frame larger than we allow")
            end = at + _FRAME_HEADER + size
            if end > len(held):
                break
            if held[at + 3] == _GOAWAY:
                kept.append(held[start:at])
                start = end
                payload = held[at + _FRAME_HEADER : end]
                last_stream = int.from_bytes(payload[:4], "big") & 0x7FFFFFFF
                reason = payload[8:].decode("utf-8", "replace")
                leaving.append((last_stream, reason or "GOAWAY"))
            at = end
        kept.append(held[start:at])
        self._held = held[at:]
        return b"".join(kept), leaving
