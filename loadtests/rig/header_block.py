"""Header blocks of HTTP/2 (HPACK, RFC 7541): decoded fast, encoded without state.

The hpack library walks Huffman codes by half bytes in Python and takes most of a push's
time; here one step of a table takes a whole byte. Its tables of constants are used.
"""

from collections import deque

from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH
from hpack.table import HeaderTable

TABLE_SIZE = 4096
ENTRY_OVERHEAD = 32

STATIC: tuple[tuple[str, str], ...] = tuple(
    (name.decode(), value.decode()) for name, value in HeaderTable.STATIC_TABLE
)
STATUS_200 = b"\x88"
_END_OF_STRING = 256

Pair = tuple[str, str]


class BlockError(Exception):
    """The bytes are no header block."""


class HeaderDecoder:
    """Decodes the blocks of one connection, in their order."""

    def __init__(self) -> None:
        self._dynamic: deque[Pair] = deque()
        self._size = 0
        self._limit = TABLE_SIZE

    def decode(self, block: bytes) -> list[Pair]:
        """The headers of a block; raises BlockError."""
        try:
            return self._decode(block)
        except (IndexError, UnicodeDecodeError) as error:
            raise BlockError(str(error)) from None

    def _decode(self, block: bytes) -> list[Pair]:
        headers: list[Pair] = []
        at, end = 0, len(block)
        while at < end:
            first = block[at]
            if first & 0x80:
                index, at = _integer(block, at, 0x7F)
                headers.append(self._indexed(index))
            elif first & 0x40:
                pair, at = self._literal(block, at, 0x3F)
                self._remember(pair)
                headers.append(pair)
            elif first & 0x20:
                self._limit, at = _integer(block, at, 0x1F)
                if self._limit > TABLE_SIZE:
                    raise BlockError("the dynamic table would grow too large")
                self._evict()
            else:
                pair, at = self._literal(block, at, 0x0F)
                headers.append(pair)
        return headers

    def _literal(self, block: bytes, at: int, mask: int) -> tuple[Pair, int]:
        index, at = _integer(block, at, mask)
        if index:
            name = self._indexed(index)[0]
        else:
            name, at = _string(block, at)
        value, at = _string(block, at)
        return (name, value), at

    def _indexed(self, index: int) -> Pair:
        if not index:
            raise BlockError("there is no header 0")
        if index <= len(STATIC):
            return STATIC[index - 1]
        return self._dynamic[index - len(STATIC) - 1]

    def _remember(self, pair: Pair) -> None:
        self._dynamic.appendleft(pair)
        self._size += _cost(pair)
        self._evict()

    def _evict(self) -> None:
        while self._size > self._limit:
            self._size -= _cost(self._dynamic.pop())


def literal(name: bytes, value: bytes) -> bytes:
    """One header, not to be remembered and not compressed; both below 127 bytes."""
    return b"\0" + bytes((len(name),)) + name + bytes((len(value),)) + value


def status(code: int) -> bytes:
    """The :status header."""
    if code == 200:
        return STATUS_200
    return b"\x08\x03" + str(code).encode()


def _cost(pair: Pair) -> int:
    return len(pair[0]) + len(pair[1]) + ENTRY_OVERHEAD


def _integer(block: bytes, at: int, mask: int) -> tuple[int, int]:
    value = block[at] & mask
    at += 1
    if value < mask:
        return value, at
    shift = 0
    while True:
        byte = block[at]
        at += 1
        value += (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return value, at
        if shift > 28:
            raise BlockError("an integer is too long")


def _string(block: bytes, at: int) -> tuple[str, int]:
    packed = block[at] & 0x80
    length, at = _integer(block, at, 0x7F)
    end = at + length
    if end > len(block):
        raise BlockError("a string ends beyond its block")
    text = block[at:end]
    return (_unpacked(text) if packed else text.decode()), end


class _Huffman:
    """Rows by node of the code tree: byte -> (next node, what it spelled)."""

    def __init__(self) -> None:
        self._tree: list[list[int]] = [[0, 0]]
        for symbol, (code, length) in enumerate(
            zip(REQUEST_CODES, REQUEST_CODES_LENGTH, strict=True)
        ):
            self._grow(symbol, code, length)
        self.rows: list[list[tuple[int, bytes]] | None] = [None] * len(self._tree)

    def _grow(self, symbol: int, code: int, length: int) -> None:
        node = 0
        for bit in range(length - 1, 0, -1):
            way = code >> bit & 1
            if not self._tree[node][way]:
                self._tree.append([0, 0])
                self._tree[node][way] = len(self._tree) - 1
            node = self._tree[node][way]
        self._tree[node][code & 1] = -symbol - 1

    def row(self, node: int) -> list[tuple[int, bytes]]:
        """Made when it is first needed."""
        row = self.rows[node] = [self._step(node, byte) for byte in range(256)]
        return row

    def _step(self, node: int, byte: int) -> tuple[int, bytes]:
        spelled = bytearray()
        for bit in range(7, -1, -1):
            node = self._tree[node][byte >> bit & 1]
            if node < 0:
                symbol = -node - 1
                if symbol == _END_OF_STRING:
                    return -1, b""
                spelled.append(symbol)
                node = 0
        return node, bytes(spelled)


_HUFFMAN = _Huffman()


def _unpacked(packed: bytes) -> str:
    rows, node = _HUFFMAN.rows, 0
    spelled = bytearray()
    for byte in packed:
        if node < 0:
            raise BlockError("a Huffman string holds its own end")
        node, more = (rows[node] or _HUFFMAN.row(node))[byte]
        spelled += more
    return spelled.decode()
