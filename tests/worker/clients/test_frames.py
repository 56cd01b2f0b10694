"""What is done beside the h2 library: header blocks, and frames without GOAWAY."""

import pytest
from h2.exceptions import ProtocolError
from hpack import Decoder
from hyperframe.frame import DataFrame, GoAwayFrame, PingFrame
from hypothesis import given
from hypothesis import strategies as st

from worker.clients.frames import LARGEST_FRAME, Frames, literals

DATA = DataFrame(3, b"answer").serialize()
PING = PingFrame(0, b"is there").serialize()
GOAWAY = GoAwayFrame(
    0, last_stream_id=9, additional_data=b'{"reason":"Shutdown"}'
).serialize()


@pytest.mark.parametrize("size", [0, 1, 126, 127, 128, 254, 255, 256, 5_000])
def test_headers_of_any_length_are_read_back_as_they_were(size):
    headers = [(b"name", b"v" * size), (b"n" * max(1, size), b"value")]

    read = Decoder(max_header_list_size=100_000).decode(literals(headers), raw=True)

    assert [tuple(header) for header in read] == headers


@given(
    sent=st.lists(st.sampled_from([DATA, PING, GOAWAY]), max_size=8),
    cuts=st.lists(st.integers(0, 300), max_size=8),
)
def test_however_bytes_come_frames_are_whole_and_goaway_is_apart(sent, cuts):
    whole = b"".join(sent)
    ends = [*sorted(cut for cut in cuts if cut < len(whole)), len(whole)]
    frames, begin = Frames(), 0
    kept, leaving = b"", []
    for end in ends:
        more, gone = frames.feed(whole[begin:end])
        kept += more
        leaving += gone
        begin = end

    assert kept == b"".join(frame for frame in sent if frame != GOAWAY)
    assert leaving == [(9, '{"reason":"Shutdown"}')] * sent.count(GOAWAY)


def test_a_frame_larger_than_we_allow_is_refused_before_it_is_held():
    header = (LARGEST_FRAME + 1).to_bytes(3, "big") + bytes(6)

    with pytest.raises(ProtocolError, match="larger than we allow"):
        Frames().feed(header)
