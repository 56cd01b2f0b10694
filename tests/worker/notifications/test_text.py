"""Text from strangers, made safe and short."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.notifications.text import clean

FAMILY = "👩‍👩‍👧‍👦"
FLAG = "🇦🇺"


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("Central", 20, "Central"),
        ("  two\n\tlines\u2028more ", 20, "two lines more"),
        ("nul\x00 bell\x07", 20, "nul bell"),
        ("abc\u202edcba\u2066x", 20, "abcdcbax"),
        ("a" * 30, 10, "a" * 9 + "…"),
        (FAMILY * 2, 9, FAMILY + "…"),
        (FAMILY, 3, "…"),
        (FLAG * 3, 4, FLAG + "…"),
        ("👍🏽👍🏽", 3, "👍🏽…"),
        ("e\u0301e\u0301", 20, "éé"),
        ("x" + "\u0300\u0301" * 40, 20, "x\u0300\u0301\u0300\u0301"),
        ("\ud800", 5, ""),
        ("", 5, ""),
    ],
    ids=range(13),
)
def test_text_becomes_one_short_visible_line(text, limit, expected):
    assert clean(text, limit) == unicodedata.normalize("NFC", expected)


@given(st.text(), st.integers(1, 40))
def test_whatever_comes_in_what_goes_out_is_short_and_has_no_control(text, limit):
    cleaned = clean(text, limit)

    assert len(cleaned) <= limit
    assert cleaned == cleaned.strip()
    cleaned.encode()
    assert not any(
        unicodedata.category(each)[0] == "C" and each != "\u200d" for each in cleaned
    )
