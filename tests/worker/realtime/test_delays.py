"""What the poller packs is what the matcher reads."""

from dataclasses import astuple, fields

from hypothesis import given
from hypothesis import strategies as st

from worker.realtime import delays

NAMES = [field.name for field in fields(delays.Delay)]
TEXTS = st.text(max_size=5)
DELAYS = st.builds(
    delays.Delay,
    kind=st.sampled_from(["delay", "canceled", "replaced"]),
    feed=TEXTS,
    route_id=TEXTS,
    trip_id=TEXTS,
    service_date=st.sampled_from(["20260615", "20260616"]),
    stop_id=TEXTS,
    delay_s=st.integers(-(2**31), 2**31),
    expected_at=st.none() | st.integers(0, 2**40),
    published_at=st.sampled_from([0.0, 1.5, 1_800_000_000.25]),
)


@given(st.lists(DELAYS, max_size=20))
def test_packed_delays_come_out_as_they_went_in(held):
    columns = dict(zip(NAMES, zip(*map(astuple, held), strict=True), strict=False))
    given_columns = {name: list(columns.get(name, ())) for name in NAMES}

    packed = delays.pack(given_columns)

    assert delays.columns(packed) == given_columns
    assert delays.unpack(packed) == held
