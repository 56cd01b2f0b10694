"""Header blocks: what the hpack library encodes, ours decodes, block after block."""

import random
import string

import pytest
from hpack import Decoder, Encoder

from loadtests.rig.header_block import BlockError, HeaderDecoder, literal, status


def some_headers(rng: random.Random) -> list[tuple[str, str]]:
    names = [":path", "authorization", "apns-id", "x-" + "y" * rng.randrange(1, 40)]
    text = string.printable[:95]
    return [
        (name, "".join(rng.choices(text, k=rng.choice([0, 1, 5, 64, 300]))))
        for name in rng.choices(names, k=8)
    ]


@pytest.mark.parametrize("huffman", [True, False], ids=["huffman", "plain"])
def test_blocks_of_a_connection_are_decoded_as_they_were_encoded(huffman: bool) -> None:
    rng = random.Random(7)
    encoder, decoder = Encoder(), HeaderDecoder()

    for _ in range(300):
        headers = some_headers(rng)
        assert decoder.decode(encoder.encode(headers, huffman=huffman)) == headers


def test_a_smaller_table_is_obeyed() -> None:
    encoder, decoder = Encoder(), HeaderDecoder()
    decoder.decode(encoder.encode([("a", "1"), ("b", "2")]))

    encoder.header_table_size = 40
    decoder.decode(encoder.encode([("c", "3")]))

    assert decoder.decode(encoder.encode([("c", "3")])) == [("c", "3")]
    with pytest.raises(BlockError):
        decoder.decode(bytes([0x80 | 63]))


def test_what_we_encode_the_library_decodes() -> None:
    for code in (200, 400, 410, 503):
        block = status(code) + literal(b"apns-id", b"0A-1")

        assert Decoder().decode(block) == [(":status", str(code)), ("apns-id", "0A-1")]


@pytest.mark.parametrize(
    "block",
    [b"\x80", b"\xff\xff\xff\xff\xff\xff", b"\x00\x05ab", b"\x3f\xe2\x7f", b"\xc0"],
    ids=["index 0", "endless integer", "short string", "large table", "not there"],
)
def test_nonsense_is_refused(block: bytes) -> None:
    with pytest.raises(BlockError):
        HeaderDecoder().decode(block)
