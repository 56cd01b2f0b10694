from decimal import ROUND_HALF_UP, Decimal

from hypothesis import given
from hypothesis import strategies as st

from worker.timetable import fields, hashing
from worker.timetable.blocks import Block, read_blocks
from worker.timetable.fields import BLANK
from worker.timetable.skipped import Skips


def column(values: list[str]) -> Block:
    raw = "x,v\n" + "".join(f"1,{value}\n" for value in values)
    *_, block = read_blocks("f.txt", [raw.encode()], Skips(), block_bytes=1 << 20)
    return block


@given(st.lists(st.integers(0, 10**9 - 1).map(str) | st.just(""), min_size=1))
def test_integers_are_read_as_python_reads_them(values: list[str]) -> None:
    found = fields.integers(column(values), "v")

    assert found.values.tolist() == [int(v) if v else BLANK for v in values]
    assert not found.bad.any()


@given(
    st.lists(
        st.decimals(-9_999_999, 9_999_999, places=12).map(str)
        | st.decimals(-180, 180, places=6).map(str)
        | st.integers(-999, 99_999_999).map(str)
        | st.sampled_from(["", ".5", "5.", "-0.000001", "1e-3", "+7.25", "-.1"]),
        min_size=1,
    ),
    st.sampled_from([5, 7]),
)
def test_decimals_are_within_half_a_unit(values: list[str], places: int) -> None:
    found = fields.decimals(column(values), "v", places)

    assert not found.bad.any()
    for text, value in zip(values, found.values.tolist(), strict=True):
        if text:
            # Eight digits after the point are read, then rounded.
            off = abs(Decimal(text).scaleb(places) - value)
            assert off <= Decimal("0.5") + Decimal(10) ** (places - 8), text
        else:
            assert value == BLANK


@given(st.lists(st.integers(0, 999 * 3600), min_size=1), st.booleans())
def test_clock_times_are_seconds_of_any_day(values: list[int], padded: bool) -> None:
    width = 2 if padded else 1
    texts = [f"{v // 3600:0{width}}:{v // 60 % 60:02}:{v % 60:02}" for v in values]

    found = fields.clocks(column(texts), "v")

    assert found.values.tolist() == values


@given(st.lists(st.text("0123456789:.-+ eEx", max_size=20), min_size=1))
def test_what_is_no_number_is_called_bad_not_guessed(values: list[str]) -> None:
    block = column(values)

    whole, clock = fields.integers(block, "v"), fields.clocks(block, "v")
    decimal = fields.decimals(block, "v", 5)

    for at, text in enumerate(value.strip() for value in values):
        assert whole.bad[at] == (bool(text) and fields._integer(text) is None)
        assert clock.bad[at] == (bool(text) and fields._clock(text) is None)
        exact = fields._decimal(text, 5) if text else int(BLANK)
        assert decimal.bad[at] == (exact is None)
        if exact is not None and text:
            near = Decimal(text).scaleb(5).quantize(Decimal(1), ROUND_HALF_UP)
            assert abs(near - int(decimal.values[at])) <= 1


def test_a_hash_does_not_depend_on_the_block() -> None:
    alone = hashing.hashes(column(["abc"]), "v")
    among = hashing.hashes(column(["abc", "a very long value indeed, for sure"]), "v")

    assert [lane[0] for lane in alone] == [lane[0] for lane in among]
    assert [lane[0] for lane in alone] == [
        lane[0] for lane in hashing.hash_texts(["abc"])
    ]
