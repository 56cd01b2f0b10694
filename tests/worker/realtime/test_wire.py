import numpy as np
import pytest
from google.transit.gtfs_realtime_pb2 import TripUpdate
from hypothesis import given
from hypothesis import strategies as st

from worker.realtime.wire import BYTES, FIXED32, VARINT, Malformed, Wire, tag_of

times = st.integers(0, 2**62)
delays = st.integers(-(2**31), 2**31 - 1)


def walk(messages):
    """Every field of every message as (owner, tag, value)."""
    data = b"".join(messages)
    ends = np.cumsum([len(each) for each in messages], dtype=np.int64)
    starts = ends - [len(each) for each in messages]
    return [
        (owner, step.tag, value)
        for step in Wire(data).fields(starts, ends)
        for owner, value in zip(step.owner.tolist(), step.value.tolist(), strict=True)
    ]


@given(st.lists(st.tuples(delays, times), max_size=200))
def test_every_number_is_what_the_bindings_read(rows):
    events = [TripUpdate.StopTimeEvent(delay=d, time=t) for d, t in rows]

    found = walk([event.SerializeToString() for event in events])

    delay, time = tag_of(1, VARINT), tag_of(2, VARINT)
    assert {owner: value for owner, tag, value in found if tag == delay} == {
        number: row[0] for number, row in enumerate(rows)
    }
    assert {owner: value for owner, tag, value in found if tag == time} == {
        number: row[1] for number, row in enumerate(rows)
    }


@given(st.lists(st.sampled_from(["sequence", "stop", "both", "none"]), max_size=400))
def test_messages_that_differ_in_layout_are_all_walked(layouts):
    rows = []
    for number, layout in enumerate(layouts):
        row = TripUpdate.StopTimeUpdate()
        if layout in ("sequence", "both"):
            row.stop_sequence = number
        if layout in ("stop", "both"):
            row.stop_id = "s" * (number % 300)
        rows.append(row)

    found = walk([row.SerializeToString() for row in rows])

    sequences = [owner for owner, tag, _ in found if tag == tag_of(1, VARINT)]
    stops = [owner for owner, tag, _ in found if tag == tag_of(4, BYTES)]
    assert sorted(sequences) == [
        n for n, layout in enumerate(layouts) if layout in ("sequence", "both")
    ]
    assert sorted(stops) == [
        n for n, layout in enumerate(layouts) if layout in ("stop", "both")
    ]


def test_a_field_above_fifteen_is_walked():
    extension = b"\xfa\x3e\x03abc"  # field 1007, as TfNSW sends it
    plain = b"\x08\x05"

    found = walk([extension + plain] * 100 + [plain])

    assert len([tag for _, tag, _ in found if tag == tag_of(1007, BYTES)]) == 100
    assert len([tag for _, tag, _ in found if tag == tag_of(1, VARINT)]) == 101


def test_the_last_bytes_are_read_like_all_others():
    found = walk([b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"])

    assert found == [(0, tag_of(1, VARINT), -1)]


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(b"\x08", id="a number is missing"),
        pytest.param(b"\x08\x80", id="a number does not end"),
        pytest.param(b"\x08" + b"\xff" * 11, id="a number of eleven bytes"),
        pytest.param(b"\x0a\x05abc", id="bytes are missing"),
        pytest.param(b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", id="a huge length"),
        pytest.param(b"\x0a" + b"\xff" * 9 + b"\x01", id="a negative length"),
        pytest.param(b"\x0d\x01\x02", id="four bytes are missing"),
        pytest.param(b"\x0b\x0c", id="a group"),
        pytest.param(b"\x00\x01", id="field number zero"),
        pytest.param(b"\x0e\x01", id="wire type six"),
    ],
)
@pytest.mark.parametrize("company", [0, 100], ids=["alone", "among good ones"])
def test_what_is_not_well_formed_is_refused(message, company):
    good = [b"\x08\x05\x10\x07"] * company

    with pytest.raises(Malformed):
        walk([*good, message, *good])


def test_repeated_finds_runs_that_others_interrupt():
    run, other = b"\x12\x01a", b"\x18\x01"
    messages = [run * 3 + other + run, other, b"", other + run * 2]
    data = b"".join(messages)
    ends = np.cumsum([len(each) for each in messages], dtype=np.int64)
    starts = ends - [len(each) for each in messages]

    found, others = Wire(data).repeated(tag_of(2, BYTES), starts, ends)

    assert found.owner.tolist() == [0, 0, 0, 0, 3, 3]
    assert sorted(n for step in others for n in step.owner.tolist()) == [0, 1, 3]


def test_a_fixed_field_is_four_bytes():
    assert walk([b"\x0d\x00\x00\x80\x3f"]) == [(0, tag_of(1, FIXED32), 1)]
